"""Gauges of several processes: what each mode shows, and what goes when a process goes."""

from __future__ import annotations

import os
import shutil

import pytest
from host import Host, Worker

LIVE_MODES = ("liveall", "livemin", "livemax", "livesum", "livemostrecent")
MODES = ("all", "min", "max", "sum", "mostrecent", *LIVE_MODES)

GAUGES = f"""
gauges = {{mode: Gauge("g_" + mode, "A gauge.", multiprocess_mode=mode) for mode in {MODES}}}
gauges["auto"] = Gauge("g_auto", "A gauge that says no mode.")
busy = Gauge("busy", "Never set, only added to.")
for gauge in gauges.values():
    gauge.set(float(sys.argv[1]))
busy.inc(float(sys.argv[1]))
say("set")
hear()
"""


def gauge_worker(host: Host, value: float) -> Worker:
    worker = host.start(GAUGES, value)
    worker.hear("set")
    return worker


@pytest.mark.parametrize("how", ["killed", "ended"])
# What the process that has ended had set; then, computed by hand, what each mode makes of it, of
# the 2 of a process that set it before, and of the 3 of one that set it last. Both live.
@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (1, {"min": 1, "max": 3, "sum": 6}),
        (9, {"min": 2, "max": 9, "sum": 14}),
        (-4, {"min": -4, "max": 3, "sum": 1}),
    ],
)
def test_every_mode_with_two_live_processes_and_one_that_ended(
    host: Host, ended: int, expected: dict[str, float], how: str
) -> None:
    first = gauge_worker(host, 2)
    gone = gauge_worker(host, ended)
    last = gauge_worker(host, 3)
    if how == "killed":
        gone.kill()
    else:
        gone.end()
    found = host.scrape()

    pids = {(str(first.pid),): 2.0, (str(last.pid),): 3.0}

    assert {**pids, (str(gone.pid),): ended} == found.values("g_all")
    assert pids == found.values("g_liveall")
    assert {mode: {(): value} for mode, value in expected.items()} == {
        mode: found.values(f"g_{mode}") for mode in expected
    }
    assert {"livemin": 2, "livemax": 3, "livesum": 5, "livemostrecent": 3} == {
        mode: found.value(f"g_{mode}")
        for mode in ("livemin", "livemax", "livesum", "livemostrecent")
    }
    assert {(): 3} == found.values("g_mostrecent")
    assert {(): 3} == found.values("g_auto")
    assert {(): 5} == found.values("busy")


def test_the_most_recent_value_is_kept_when_its_process_ends(host: Host) -> None:
    """``mostrecent`` and ``auto`` show it still, the live modes what is left."""
    first = gauge_worker(host, 2)
    last = gauge_worker(host, 7)
    last.kill()
    found = host.scrape()

    assert 7 == found.value("g_mostrecent")
    assert 7 == found.value("g_auto")
    assert 2 == found.value("g_livemostrecent")

    first.kill()
    after_all = host.scrape()

    assert 7 == after_all.value("g_mostrecent")
    assert 7 == after_all.value("g_auto")
    assert {} == after_all.values("g_livemostrecent")


def test_live_gauges_of_dead_processes_are_gone_at_the_next_scrape(host: Host) -> None:
    """With nobody left, the live modes have no samples, and what is only added to is zero."""
    gauge_worker(host, 5).kill()
    found = host.scrape()

    assert {} == {mode: one for mode in LIVE_MODES if (one := found.values(f"g_{mode}"))}
    assert {(): 0} == found.values("busy")


def in_pid_namespace() -> list[str]:
    """A command that runs the rest as the first process of a new pid namespace."""
    assert shutil.which("unshare"), "these tests need unshare, of util-linux"
    user = [] if os.geteuid() == 0 else ["-r"]
    return ["unshare", *user, "--pid", "--fork", "--kill-child"]


CONTAINER = """
assert os.getpid() == 1, os.getpid()
hits = Counter("hits", "Hits.")
queue = Gauge("queue", "Queue.", multiprocess_mode="liveall")
total = Gauge("total", "Total.", multiprocess_mode="livesum")
each = Gauge("each", "Each.", multiprocess_mode="all")
busy = Gauge("busy", "Busy.")
say("started")
while order := hear():
    if order == "count":
        hits.inc()
    else:
        for gauge in (queue, total, each):
            gauge.set(float(order))
        busy.inc(float(order))
    say("done")
"""


def test_processes_of_equal_pids_in_two_containers_add_up(host: Host) -> None:
    """Both are process 1, both live; when one is killed only its live values go."""
    one, other = (host.start(CONTAINER, prefix=in_pid_namespace()) for _ in range(2))
    for worker, value in ((one, 3), (other, 4)):
        worker.hear("started")
        for _ in range(10):
            worker.ask("count")
        worker.ask(value)
    both = host.scrape()
    one.kill()
    after = host.scrape()
    other.ask("count")
    last = host.scrape()

    assert 20 == both.value("hits_total")
    assert 2 == both.value("tallymark_live_processes")
    assert 7 == both.value("total")
    assert 7 == both.value("busy")
    assert 20 == after.value("hits_total")
    assert 1 == after.value("tallymark_live_processes")
    assert 4 == after.value("total")
    assert 4 == after.value("busy")
    assert {("1",): 4} == after.values("queue")
    assert 21 == last.value("hits_total")


def test_a_recycled_pid_does_not_bring_back_its_former_owners_values(host: Host) -> None:
    """The heir has declared the gauges and set nothing yet: they are 0, not what the former had."""
    former = host.start(CONTAINER, prefix=in_pid_namespace())
    former.hear("started")
    former.ask("count")
    former.ask(5)
    former.kill()
    heir = host.start(CONTAINER, prefix=in_pid_namespace())
    heir.hear("started")
    heir.ask("count")
    before = host.scrape()
    heir.ask(2)
    after = host.scrape()

    assert 2 == before.value("hits_total")
    assert {("1",): 0} == before.values("queue")
    assert 0 == before.value("total")
    assert 0 == before.value("busy")
    assert {("1",): 2} == after.values("queue")
    assert {("1",): 2} == after.values("each")
    assert 2 == after.value("total")
    assert 2 == after.value("busy")


def test_requests_in_progress_heal_when_a_worker_is_killed(host: Host) -> None:
    """The worker never leaves the block; the scrape after its death does not count it."""
    script = """
        in_progress = Gauge("in_progress", "Requests in progress.")
        with in_progress.track_inprogress():
            say("inside")
            hear()
        say("outside")
        hear()
    """
    killed, other = host.start(script), host.start(script)
    killed.hear("inside")
    other.hear("inside")
    both = host.scrape().values("in_progress")
    killed.kill()
    healed = host.scrape().values("in_progress")
    other.ask("leave")
    none = host.scrape().values("in_progress")

    assert [{(): 2}, {(): 1}, {(): 0}] == [both, healed, none]
