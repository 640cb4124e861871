"""Size follows the processes that live, not those that have lived."""

from __future__ import annotations

from host import Host


def test_after_two_hundred_jobs_the_file_is_as_large_as_after_twenty(host: Host) -> None:
    """Half of them end cleanly, half are killed, and nobody scrapes in between."""
    script = """
Counter("jobs", "Jobs.", ["kind"]).labels("batch").inc()
Histogram("seconds", "Seconds.").observe(0.25)
Gauge("last", "Last.").set(1)
Gauge("live", "Live.", multiprocess_mode="liveall").set(1)
Info("build", "Build.").info({"version": "1"})
"""
    kill = "os.kill(os.getpid(), signal.SIGKILL)"

    def jobs(number: int) -> None:
        host.run_all([script] * (number // 2))
        host.run_all([script + kill] * (number // 2), status=-9)

    jobs(20)
    after_twenty = host.store.stat().st_size
    jobs(180)
    after_two_hundred = host.store.stat().st_size
    found = host.scrape()

    assert after_twenty == after_two_hundred == host.store.stat().st_size
    assert 200 == found.value("jobs_total", "batch")
    assert 200 == found.value("seconds_count")
    assert 50.0 == found.value("seconds_sum")
    assert 200 == found.value("tallymark_folded_processes_total")
    assert {} == found.values("live")
