"""However a process ends, what it counted before is in the totals, once."""

from __future__ import annotations

import sys

import pytest
from host import Host

JOBS = 20

# What a job does after it has counted, and the status it ends with.
ENDINGS = {
    "the end of its script": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise RuntimeError('on purpose')", 1),
    "os._exit": ("os._exit(4)", 4),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", -15),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    "os.abort": ("os.abort()", -6),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_twenty_jobs_count_exactly_twenty_however_they_end(host: Host, ending: str) -> None:
    """One increment, one observation and one new label set each; the fractions are exact too."""
    action, status = ENDINGS[ending]
    script = """
Counter("jobs", "Jobs.").inc()
Counter("by_job", "Jobs by number.", ["job"]).labels("{job}").inc(0.1)
Histogram("seconds", "Seconds.", buckets=[1]).observe(0.1)
"""
    host.run_all((script.format(job=job % 5) + action for job in range(JOBS)), status=status)
    found = host.scrape()
    again = host.scrape()

    assert JOBS == found.value("jobs_total")
    # Four times the float nearest to 0.1, rounded once.
    assert {(str(job),): 4 * 0.1 for job in range(5)} == found.values("by_job_total")
    assert JOBS == found.value("seconds_count")
    assert JOBS * 0.1 == found.value("seconds_sum")
    assert found.values("jobs_total") == again.values("jobs_total")
    assert 0 == found.value("tallymark_live_processes")


def test_what_exit_handlers_count_is_counted_before_and_after_ours(host: Host) -> None:
    """Handlers run in reverse order: one runs before the package leaves the store, one after."""
    job = host.directory / "job.py"
    job.write_text(
        "import atexit, sys\n"
        "early = []\n"
        "atexit.register(lambda: early[0].inc(100))\n"
        "from tallymark import Counter\n"
        "hits = Counter('hits', 'Hits.')\n"
        "early.append(hits)\n"
        "atexit.register(lambda: hits.inc(10))\n"
        "hits.inc()\n"
        "sys.exit(7)\n"
    )
    for _ in range(4):
        host.command([sys.executable, str(job)]).end(7)

    assert 4 * 111 == host.scrape().value("hits_total")


def test_a_thread_that_counts_until_the_end_loses_nothing_that_it_noted(host: Host) -> None:
    """A daemon thread goes on while the main thread leaves the store."""
    notes = host.directory / "notes"
    host.run(
        """
        hits = Counter("hits", "Hits.")
        notes = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        started = threading.Event()
        def count():
            while True:
                hits.inc()
                os.write(notes, b".")
                started.set()
        threading.Thread(target=count, daemon=True).start()
        started.wait()
        """,
        notes,
    )
    found = host.scrape().value("hits_total")
    noted = notes.stat().st_size

    # One increment may have returned without being noted.
    assert found in (noted, noted + 1)
