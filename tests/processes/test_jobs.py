"""Size follows the processes that live, not those that have lived."""

from __future__ import annotations

from host import Host


def test_after_a_hundred_jobs_the_file_is_as_large_as_after_twenty(host: Host) -> None:
    """
    Half of them end cleanly, half are killed, and nobody scrapes in between.

    One after the other: of jobs that run at the same time each needs a place.
    """
    script = """
Counter("jobs", "Jobs.", ["kind"]).labels("batch").inc()
Histogram("seconds", "Seconds.").observe(0.25)
Gauge("last", "Last.").set(1)
Gauge("live", "Live.", multiprocess_mode="liveall").set(1)
Info("build", "Build.").info({"version": "1"})
"""
    kill = "os.kill(os.getpid(), signal.SIGKILL)"

    def jobs(number: int) -> None:
        for _ in range(number // 2):
            host.run(script)
            host.run(script + kill, status=-9)

    jobs(20)
    after_twenty = host.store.stat().st_size
    jobs(80)
    after_a_hundred = host.store.stat().st_size
    found = host.scrape()

    assert after_twenty == after_a_hundred == host.store.stat().st_size
    assert 100 == found.value("jobs_total", "batch")
    assert 100 == found.value("seconds_count")
    assert 25.0 == found.value("seconds_sum")
    assert 100 == found.value("tallymark_folded_processes_total")
    assert {} == found.values("live")
