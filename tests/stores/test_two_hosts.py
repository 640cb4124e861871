"""Two hosts that feed one store: what adds up, what stays apart, and what one does to the other."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable

import pytest
from host import Scrape, Worker
from ledgers import Ledger, Site
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from servers import wait_until

MODES = [
    f"{live}{mode}" for live in ("", "live") for mode in ("all", "min", "max", "sum", "mostrecent")
]

DECLARE = f"""
hits = Counter("hits", "Hits.", ["path"])
seconds = Histogram("seconds", "Seconds.", buckets=[1, 2])
size = Summary("size", "Size.")
build = Info("build", "What runs.")
state = Enum("state", "How it is.", states=["up", "down"])
gauges = [Gauge(mode, "A gauge.", multiprocess_mode=mode) for mode in {MODES}]
queue = Gauge("queue", "Set.")
in_progress = Gauge("in_progress", "Counted.")

def count(value):
    hits.labels("/").inc(value)
    seconds.observe(value / 4)
    size.observe(value)
    for gauge in gauges:
        gauge.set(value)
    in_progress.inc(value)
    queue.set(value)
"""

WORKER = (
    DECLARE
    + """
while order := hear():
    try:
        exec(order)
        tallymark.flush(30)
        say("done")
    except Exception as error:
        say(repr(error))
"""
)


class Pair:
    """A process on each of two hosts. Each order is carried out and flushed before the next."""

    def __init__(self, ledger: Ledger, site: Callable[..., Site], **options: object) -> None:
        self.sites = [site(ledger, name, **options) for name in ("a", "b")]
        self.workers: list[Worker] = [one.start(WORKER) for one in self.sites]
        self.observer = site(ledger, "observer")

    def on_a(self, order: str) -> None:
        self._on(self.workers[0], order)

    def on_b(self, order: str) -> None:
        self._on(self.workers[1], order)

    def _on(self, worker: Worker, order: str) -> None:
        # Hosts know the store's time to a tenth of a second: what is closer has no order.
        time.sleep(0.25)
        worker.say(order)
        worker.hear("done")

    def scrape(self) -> Scrape:
        return self.observer.scrape()


@pytest.fixture
def pair(ledger: Ledger, site: Callable[..., Site]) -> Pair:
    return Pair(ledger, site)


def test_counters_histograms_and_summaries_of_two_hosts_add_up(pair: Pair) -> None:
    pair.on_a("count(2)")
    pair.on_b("count(4)")
    pair.on_a("count(6)")
    found = pair.scrape()

    assert {("/",): 12} == found.values("hits_total")
    assert {("1.0",): 2, ("2.0",): 3, ("+Inf",): 3} == found.values("seconds_bucket")
    assert (3, 12) == (found.value("size_count"), found.value("size_sum"))


def test_a_scrape_on_either_host_is_the_same_as_one_elsewhere(pair: Pair) -> None:
    """Of a process that has counted, of one that has not, and of another host."""
    pair.on_a("count(2)")
    pair.on_b("count(4)")
    scrapes = [pair.scrape(), *(one.scrape() for one in pair.sites)]

    for name in ("hits_total", "seconds_sum", *MODES, "queue", "in_progress"):
        first, second, third = (one.values(name) for one in scrapes)
        assert first == second == third, name


def test_gauges_of_every_mode_are_what_they_are_among_the_processes_of_one_host(
    pair: Pair,
) -> None:
    """Those that stay apart have the label ``instance`` beside ``pid``."""
    pair.on_b("count(4)")
    pair.on_a("count(2)")
    both = pair.scrape()
    pids = [str(worker.pid) for worker in pair.workers]
    pair.workers[1].kill()
    pair.sites[1].drain()
    one = pair.scrape()

    apart = {("a", pids[0]): 2, ("b", pids[1]): 4}
    expected = {"min": 2, "max": 4, "sum": 6, "mostrecent": 2}
    assert {mode: {(): value} for mode, value in expected.items()} == {
        mode: both.values(mode) for mode in expected
    }
    assert {mode: {(): value} for mode, value in expected.items()} == {
        mode: both.values(f"live{mode}") for mode in expected
    }
    assert apart == both.values("all") == both.values("liveall")
    assert (2, 6) == (both.value("queue"), both.value("in_progress"))

    assert {mode: {(): value} for mode, value in expected.items()} == {
        mode: one.values(mode) for mode in expected
    }
    assert {mode: {(): 2.0} for mode in expected} == {
        mode: one.values(f"live{mode}") for mode in expected
    }
    assert apart == one.values("all")
    assert {("a", pids[0]): 2} == one.values("liveall")
    assert (2, 2) == (one.value("queue"), one.value("in_progress"))


def test_the_most_recent_value_is_that_of_the_last_host_to_set_it(pair: Pair) -> None:
    """A value that was set earlier but came later is not it."""
    pair.on_a("count(1)")
    pair.on_b("count(2)")
    pair.on_a("count(3)")
    first = pair.scrape()
    pair.on_b("count(4)")
    second = pair.scrape()

    assert [3, 3] == [first.value(name) for name in ("mostrecent", "queue")]
    assert [4, 4] == [second.value(name) for name in ("mostrecent", "queue")]


def test_a_host_that_falls_silent_has_no_live_gauges_when_its_lease_is_over(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """Nobody is left there to say that all of its processes are dead."""
    pair = Pair(ledger, site, lease=1)
    pair.on_a("count(2)")
    pair.on_b("count(4)")
    both = pair.scrape()
    pair.workers[1].kill()
    wait_until(lambda: {(): 2} == pair.scrape().values("livesum"), "its lease is over")
    one = pair.scrape()

    assert {(): 6} == both.values("livesum")
    assert (2, 2) == (one.value("in_progress"), one.value("livemax"))
    assert 1 == len(one.values("liveall"))
    assert 2 == len(one.values("all"))
    assert (6, 4) == (one.value("sum"), one.value("queue"))
    assert {("/",): 6} == one.values("hits_total")


def test_a_host_that_comes_back_has_its_live_gauges_again(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """It was stopped for longer than its lease, as a suspended machine is."""
    pair = Pair(ledger, site, lease=1)
    pair.on_a("count(2)")
    pair.on_b("count(4)")
    pair.workers[1].process.send_signal(signal.SIGSTOP)
    wait_until(lambda: {(): 2} == pair.scrape().values("livesum"), "its lease is over")
    pair.workers[1].process.send_signal(signal.SIGCONT)
    wait_until(lambda: {(): 6} == pair.scrape().values("livesum"), "it is back")
    pair.on_b("in_progress.inc()")

    assert 7 == pair.scrape().value("in_progress")


@pytest.mark.parametrize(
    "removal",
    ["hits.remove('/x')", "hits.remove_by_labels({'path': '/x'})", "hits.clear()"],
    ids=["remove", "remove_by_labels", "clear"],
)
def test_what_one_host_removes_is_gone_on_the_other_and_starts_anew(
    pair: Pair, removal: str
) -> None:
    """The other's handles go on, from nothing."""
    for on in (pair.on_a, pair.on_b):
        on("child = hits.labels('/x'); child.inc(5); hits.labels('/y').inc()")
    pair.on_a(removal)
    pair.on_b("pass")
    removed = pair.scrape()
    pair.on_b("child.inc(2)")
    once = pair.scrape()
    pair.on_a("hits.labels('/x').inc(1)")
    twice = pair.scrape()

    assert ("/x",) not in removed.values("hits_total")
    assert ({} if "clear" in removal else {("/y",): 2}) == removed.values("hits_total")
    assert 2 == once.value("hits_total", "/x")
    assert 3 == twice.value("hits_total", "/x")


def test_the_newest_exemplar_info_and_state_of_either_host_stay(pair: Pair) -> None:
    """Exemplars bucket by bucket."""
    pair.on_a("hits.labels('/').inc(1, {'trace': 'a1'}); seconds.observe(0.5, {'trace': 'a1'})")
    pair.on_a("build.info({'version': '1'}); state.state('up')")
    pair.on_b("hits.labels('/').inc(1, {'trace': 'b1'}); seconds.observe(1.5, {'trace': 'b1'})")
    pair.on_b("build.info({'version': '2'}); state.state('down')")
    first = exemplars(pair)
    second = pair.scrape()
    pair.on_a("seconds.observe(1.5, {'trace': 'a2'}); state.state('up')")
    pair.on_a("build.info({'version': '3'})")
    third = exemplars(pair)
    fourth = pair.scrape()

    assert {"hits_total": "b1", "seconds_bucket 1.0": "a1", "seconds_bucket 2.0": "b1"} == first
    assert {("2",): 1} == second.values("build_info")
    assert {("down",): 1, ("up",): 0} == second.values("state")
    assert {"hits_total": "b1", "seconds_bucket 1.0": "a1", "seconds_bucket 2.0": "a2"} == third
    assert {("3",): 1} == fourth.values("build_info")
    assert {("down",): 0, ("up",): 1} == fourth.values("state")


def exemplars(pair: Pair) -> dict[str, str]:
    """Give the traces of the exemplars by the names of their samples and their buckets."""
    script = (
        "import sys, tallymark.openmetrics.exposition as e, tallymark;"
        "sys.stdout.buffer.write(e.generate_latest(tallymark.REGISTRY))"
    )
    text = pair.observer.command([sys.executable, "-c", script]).end()
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {
        " ".join([one.name, *([one.labels["le"]] if "le" in one.labels else [])]): (
            one.exemplar.labels["trace"]
        )
        for one in samples
        if one.exemplar
    }


def test_hosts_that_agree_on_no_buckets_and_no_labels_are_all_shown(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """As during a deployment: shared bounds are exact, and both sets of labels are there."""
    first, second = site(ledger, "a"), site(ledger, "b")
    first.run(
        "Histogram('seconds', 'Seconds.', buckets=[1, 2, 4]).observe(1.5)\n"
        "Counter('hits', 'Hits.', ['path']).labels('/').inc(2)"
    )
    second.run(
        "Histogram('seconds', 'Seconds.', buckets=[2, 3]).observe(2.5)\n"
        "Counter('hits', 'Hits.', ['path', 'status']).labels('/', 200).inc(3)"
    )
    found = site(ledger, "observer").scrape()

    assert {("2.0",): 1, ("+Inf",): 2} == found.values("seconds_bucket")
    assert {("/",): 2, ("/", "200"): 3} == found.values("hits_total")
