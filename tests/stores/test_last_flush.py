"""However a process ends, what it counted is in the store: at once, or when the host is drained."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ledgers import Ledger, RedisLedger, Site

JOBS = 3

# What a job does after it has counted, and the status it ends with.
ENDINGS = {
    "the end of its script": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise RuntimeError('on purpose')", 1),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); signal.pause()", -15),
    "os._exit": ("os._exit(4)", 4),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -9),
}
# Those that a process notices.
NOTICED = ["the end of its script", "sys.exit", "an exception", "SIGTERM"]

JOB = """
Counter("jobs", "Jobs.").inc()
Histogram("seconds", "Seconds.", buckets=[1]).observe(0.1)
Gauge("together", "Together.", multiprocess_mode="sum").inc(2)
Gauge("live", "Live.", multiprocess_mode="livesum").inc(2)
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_spool_has_what_its_processes_counted_for_whoever_drains_it(
    ledger: Ledger, site: Callable[..., Site], tallymark: str, ending: str
) -> None:
    """The store is drained by nobody but the command: an hour is longer than any job."""
    action, status = ENDINGS[ending]
    host = site(ledger, interval=3600)
    host.run_all([JOB + action] * JOBS, status=status)
    host.command([tallymark, "drain", host.url]).end()
    found = site(ledger, "observer").scrape()

    assert JOBS == found.value("jobs_total")
    assert (JOBS, JOBS * 0.1) == (found.value("seconds_count"), found.value("seconds_sum"))
    assert 2 * JOBS == found.value("together")
    assert found.value("live") in (None, 0)


@pytest.mark.parametrize("options", [{}, {"sync": "true"}], ids=["thread", "sync"])
@pytest.mark.parametrize("ending", NOTICED)
def test_a_spool_in_memory_is_flushed_when_its_process_ends(
    ledger: Ledger, site: Callable[..., Site], ending: str, options: dict[str, object]
) -> None:
    """A process that is told to end ends with the status that it would have had."""
    action, status = ENDINGS[ending]
    host = site(ledger, interval=3600, **{**options, "spool": "memory"})
    host.run_all([JOB + action] * JOBS, status=status)
    found = site(ledger, "observer").scrape()

    assert JOBS == found.value("jobs_total")
    assert (JOBS, JOBS * 0.1) == (found.value("seconds_count"), found.value("seconds_sum"))
    assert 2 * JOBS == found.value("together")
    assert found.value("live") in (None, 0)


@pytest.mark.parametrize("spool", ["file", "memory"])
@pytest.mark.parametrize("ending", NOTICED)
def test_a_hung_store_lets_processes_end(
    redis: RedisLedger, site: Callable[..., Site], ending: str, spool: str
) -> None:
    """With the status they have; a spool that is a file keeps what could not be brought away."""
    action, status = ENDINGS[ending]
    memory = {"spool": "memory"} if spool == "memory" else {}
    host = site(redis, timeout=0.3, **memory)
    redis.server.hang()
    host.run_all([JOB + action] * JOBS, status=status)
    redis.server.go_on()
    if spool == "file":
        host.drain()

        assert JOBS == site(redis, "observer").scrape().value("jobs_total")


def test_a_handler_of_sigterm_is_left_alone(redis: RedisLedger, site: Callable[..., Site]) -> None:
    """A program that ends by its own handler flushes as at every other end."""
    host = site(redis, interval=3600, spool="memory")
    output = host.run(
        """
        def end(*_):
            say("my own handler")
            sys.exit(5)
        signal.signal(signal.SIGTERM, end)
        Counter("jobs", "Jobs.").inc()
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
        """,
        status=5,
    )

    assert "my own handler\n" == output
    assert 1 == site(redis, "observer").scrape().value("jobs_total")


def test_in_sync_mode_nothing_is_sent_but_when_asked(
    redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """No thread runs beside the program; `flush` and a scrape drain."""
    host = site(redis, sync="true")
    worker = host.start(
        """
        hits = Counter("hits", "Hits.")
        hits.inc()
        say(len(os.listdir("/proc/self/task")))
        hear()
        tallymark.flush(30)
        say("flushed")
        hear()
        hits.inc(10)
        generate_latest()
        say("scraped")
        hear()
        """
    )
    observer = site(redis, "observer")
    threads = worker.hear()
    before = observer.scrape()
    worker.ask("flush")
    flushed = observer.scrape()
    worker.ask("scrape")
    scraped = observer.scrape()
    worker.end()

    assert "1" == threads
    assert None is before.value("hits_total")
    assert 1 == flushed.value("hits_total")
    assert 11 == scraped.value("hits_total")
