"""A device without room: what is there goes on, what is new waits in memory until there is room."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from host import Host, Sandbox, Worker

MEGABYTE = 1 << 20

WORKER = """
old = Counter("old", "There before the device is full.")
seconds = Histogram("seconds", "There before.", buckets=[1])
paths = Counter("paths", "Paths.", ["path"])
made = 0

def limit(size):
    if size < 0:
        size = os.stat(os.environ["TALLYMARK_STORE"].removeprefix("file:")).st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

def make(number):
    global made
    for _ in range(number):
        paths.labels(made).inc()
        made += 1

def again(_):
    for path in range(made):
        paths.labels(path).inc()

def count(amount):
    old.inc(amount)
    seconds.observe(amount)

def state(_):
    unshared = own("tallymark_unshared_series")
    say(json.dumps({
        "made": made,
        "unshared": unshared,
        "paths": len(own_values("paths_total")),
        "total": sum(own_values("paths_total")),
        "old": own("old_total"),
        "messages": messages(),
    }))

count(1)
say("ready")
while order := hear():
    name, _, number = order.partition(" ")
    globals()[name](int(number or 0))
    if name != "state":
        say("done")
"""


def state(worker: Worker) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(worker.ask("state"))
    return found


class Device:
    """Something with a megabyte of room, which can be made more."""

    def __init__(self, host: Host, worker: Worker, make_room: Callable[[], object]) -> None:
        self.host = host
        self.worker = worker
        self.make_room = make_room

    def fill(self) -> dict[str, Any]:
        """Create label sets until there is no room for them."""
        for _ in range(100):
            self.worker.ask("make", 500)
            found = state(self.worker)
            if found["unshared"]:
                self.worker.ask("make", 100)
                return state(self.worker)
        raise AssertionError(f"50,000 label sets found room in a megabyte: {found}")


@pytest.fixture(params=["tmpfs", "RLIMIT_FSIZE"])
def device(host: Host, request: pytest.FixtureRequest) -> Device:
    if request.param == "tmpfs":
        disk = host.directory / "disk"
        disk.mkdir()
        sandbox = Sandbox(host, f"mount -t tmpfs -o size=1m tmpfs {disk}")
        host.prefix = sandbox.prefix
        host.store = disk / "metrics.tally"
        host.environment["TALLYMARK_STORE"] = f"file:{host.store}"
        worker = host.start(WORKER)
        worker.hear("ready")
        return Device(
            host, worker, lambda: sandbox.run("mount", "-o", "remount,size=16m", str(disk))
        )
    worker = host.start(WORKER)
    worker.hear("ready")
    worker.ask("limit", MEGABYTE)
    return Device(host, worker, lambda: worker.ask("limit", 16 * MEGABYTE))


def test_a_full_device_stops_no_update_and_hides_nothing(device: Device) -> None:
    """Old series are shared still; new ones show in the scrape of the process that has them."""
    full = device.fill()
    device.worker.ask("again")
    device.worker.ask("count", 5)
    own = state(device.worker)
    found = device.host.scrape()

    assert full["unshared"] >= 100
    assert own["made"] == own["paths"]
    assert 2 * own["made"] == own["total"]
    assert own["made"] - own["unshared"] == len(found.values("paths_total"))
    assert {2.0} == set(found.values("paths_total").values())
    assert 6 == own["old"] == found.value("old_total")
    assert 2 == found.value("seconds_count")
    [message] = own["messages"]
    assert message.startswith(f"WARNING {device.host.store}: no room on the device")


def test_a_process_that_comes_to_a_full_device_counts_in_its_memory(device: Device) -> None:
    """It shows what it has with what the store has, and neither raises nor dies of a signal."""
    device.fill()
    output = device.host.run(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(sys.argv[1]).st_size, -1))
        old = Counter("old", "There before the device is full.")
        Counter("new", "New.").inc()
        for _ in range(10):
            old.inc()
        say(own("old_total"), own("new_total"), len(messages()) <= 1)
        """,
        device.host.store,
    )

    assert "11.0 1.0 True\n" == output


def test_when_there_is_room_again_the_next_scrape_shares_what_waited(device: Device) -> None:
    """Every count once; new series find room at once."""
    full = device.fill()
    device.make_room()
    device.worker.ask("make", 50)
    before = device.host.scrape()
    own = state(device.worker)
    device.worker.ask("again")
    after = device.host.scrape()

    assert full["made"] - full["unshared"] + 50 == len(before.values("paths_total"))
    assert 0 == own["unshared"]
    assert own["made"] == own["paths"] == len(after.values("paths_total"))
    assert {2.0} == set(after.values("paths_total").values())
    assert 1 == len(own["messages"])


def test_each_time_that_a_device_fills_is_logged_once(device: Device) -> None:
    """A change of state is news, more of the same is not. The second time a limit makes it full."""
    device.fill()
    device.worker.ask("make", 100)
    first = state(device.worker)["messages"]
    device.make_room()
    assert 0 == state(device.worker)["unshared"]
    device.worker.ask("limit", -1)
    second = device.fill()["messages"]

    assert 1 == len(first)
    assert 2 == len(second)


def test_what_waited_is_shared_when_its_process_ends(device: Device) -> None:
    """A job that nobody scrapes loses nothing if there is room by its end."""
    full = device.fill()
    device.make_room()
    device.worker.end()
    found = device.host.scrape()

    assert full["made"] == len(found.values("paths_total"))
