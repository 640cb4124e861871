"""``max_series``: what ``labels()`` gives once a metric has as many series as it may have."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Iterator

import pytest
from tallymark import CollectorRegistry, Counter, Gauge, Histogram, _tallymark, use_store


@pytest.fixture
def bounded() -> Iterator[None]:
    """Two series in each family, in memory."""
    use_store("memory:?max_series=2")
    yield
    use_store("memory:")


pytestmark = pytest.mark.usefixtures("bounded")


@pytest.fixture
def hits(registry: CollectorRegistry) -> Counter:
    """A counter with two series already."""
    hits = Counter("hits", "h", ["path"], registry=registry)
    hits.labels("/a").inc()
    hits.labels("/b").inc()
    return hits


def totals(metric: Counter) -> dict[str, float]:
    """Give the values by label value."""
    samples = metric.collect()[0].samples
    return {one.labels["path"]: one.value for one in samples if one.name.endswith("_total")}


def test_further_label_sets_count_in_the_overflow_series(hits: Counter) -> None:
    """By position, by name, and whatever they are."""
    hits.labels("/c").inc()
    hits.labels(path="/d").inc(2)
    hits.labels(5).inc(4)
    hits.labels("/a").inc()

    assert {"/a": 2, "/b": 1, "overflow": 7} == totals(hits)


def test_they_all_have_one_child_which_says_overflow(hits: Counter) -> None:
    """Its label values are those that are shown."""
    child = hits.labels("/c")

    assert child is hits.labels("/d")
    assert child is hits.labels("overflow")
    assert ("overflow",) == child._labelvalues
    assert hits.labels("/a") is hits.labels("/a")
    assert ("/a",) == hits.labels("/a")._labelvalues


def test_nothing_is_kept_of_a_label_set_that_overflows(hits: Counter) -> None:
    """As many of them as there are cost no memory."""
    hits.labels("warm").inc()
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(20_000):
        hits.labels(f"/{number}").inc()
    gc.collect()
    grown = sys.getallocatedblocks() - before

    assert 20_001 == totals(hits)["overflow"]
    assert 3 == len(hits._children())
    assert grown < 1_000


def test_removing_one_that_overflows_does_nothing(hits: Counter) -> None:
    """It has no series of its own."""
    child = hits.labels("/c")
    child.inc()
    hits.remove("/c")
    hits.remove_by_labels({"path": "/c"})
    child.inc()

    assert {"/a": 1, "/b": 1, "overflow": 2} == totals(hits)


def test_a_removed_series_makes_room(hits: Counter) -> None:
    """Also for a label set that has counted in the overflow series before."""
    hits.labels("/c").inc()
    hits.remove("/a")
    hits.labels("/c").inc(5)
    hits.labels("/a").inc(7)

    assert {"/b": 1, "/c": 5, "overflow": 8} == totals(hits)


def test_the_overflow_series_can_be_removed_and_comes_back(hits: Counter) -> None:
    """From zero, and it takes no place from the others."""
    old = hits.labels("/c")
    old.inc()
    hits.remove("overflow")
    old.inc()

    assert {"/a": 1, "/b": 1} == totals(hits)

    hits.labels("/c").inc(3)

    assert {"/a": 1, "/b": 1, "overflow": 3} == totals(hits)


def test_clear_makes_room_for_all(hits: Counter) -> None:
    """The overflow series goes, too."""
    hits.labels("/c").inc()
    hits.clear()
    for path in ("/1", "/2", "/3"):
        hits.labels(path).inc()

    assert {"/1": 1, "/2": 1, "overflow": 1} == totals(hits)


def test_it_is_logged_once_per_metric(
    hits: Counter, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """With the metric's name and what to do."""
    gauge = Gauge("depth", "d", ["queue"], registry=registry)
    with caplog.at_level(logging.WARNING, "tallymark"):
        for number in range(5):
            hits.labels(f"/{number}").inc()
            gauge.labels(f"q{number}").set(number)

    assert ["hits", "depth"] == [record.getMessage().split()[0] for record in caplog.records]
    assert "raise max_series" in caplog.text


def test_every_type_has_an_overflow_series(registry: CollectorRegistry) -> None:
    """Which does what any other of its type does."""
    seconds = Histogram("seconds", "s", ["a", "b"], buckets=[1], registry=registry)
    depth = Gauge("depth", "d", ["a", "b"], registry=registry)
    for number in range(4):
        seconds.labels(number, "x").observe(number)
        depth.labels(number, "x").set(number)

    overflow = {"a": "overflow", "b": "overflow"}

    assert 2 == registry.get_sample_value("seconds_count", overflow)
    assert 5 == registry.get_sample_value("seconds_sum", overflow)
    assert 3 == registry.get_sample_value("depth", overflow)


def test_children_of_subclasses_overflow_too(registry: CollectorRegistry) -> None:
    """Whatever their ``__init__`` does, it is done once for all of them."""
    made: list[object] = []

    class Loud(Counter):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            made.append(self._labelvalues)

    hits = Loud("hits", "h", ["path"], registry=registry)
    for path in ("/a", "/b", "/c", "/d"):
        hits.labels(path).inc()

    assert {"/a": 1, "/b": 1, "overflow": 2} == totals(hits)
    assert [(), ("/a",), ("/b",), ("overflow",)] == made


def test_a_metric_without_labels_has_its_series(registry: CollectorRegistry) -> None:
    """It is never too many."""
    plain = Counter("plain", "p", registry=registry)
    plain.inc()

    assert 1 == registry.get_sample_value("plain_total")


def test_the_url_says_so() -> None:
    """A program that is started with it is bounded as well."""
    assert "memory:?max_series=2" == _tallymark.store_url()


@pytest.mark.parametrize(
    "url",
    ["memory:?max_series=many", "memory:?ttl=-1", "memory:?mode=0660", "file:/x?max_series=-1"],
)
def test_an_option_that_makes_no_sense_is_an_error(url: str) -> None:
    """And the store in use stays."""
    with pytest.raises(ValueError):
        use_store(url)

    assert "memory:?max_series=2" == _tallymark.store_url()
