"""What the official client's insides are to those who look into them, or replace them."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
from tallymark import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
    metrics,
    values,
)
from tallymark.multiprocess import MultiProcessCollector, mark_process_dead
from tallymark.samples import Exemplar, Sample


@pytest.fixture
def value_class() -> Iterator[None]:
    """What ``ValueClass`` was comes back at the end."""
    before = values.ValueClass
    yield
    values.ValueClass = before


class Recording(values.MutexValue):
    """Remembers with what it was made."""

    made: ClassVar[list[tuple[Any, ...]]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.made.append((*args, *kwargs.values()))
        super().__init__(*args, **kwargs)


@pytest.fixture
def recording(value_class: None) -> type[Recording]:
    """Chosen for all metrics of the test."""
    Recording.made = []
    values.ValueClass = Recording
    return Recording


# ---- Looking


def test_a_value_reads_what_was_counted(registry: CollectorRegistry) -> None:
    """Of every part that there is."""
    counter = Counter("c", "C.", registry=registry)
    counter.inc(2.5)
    summary = Summary("s", "S.", registry=registry)
    summary.observe(3)
    histogram = Histogram("h", "H.", buckets=[1, 5], registry=registry)
    histogram.observe(3)
    histogram.observe(4)

    assert 2.5 == counter._value.get()
    assert (1, 3) == (summary._count.get(), summary._sum.get())
    assert [0, 2, 0] == [bucket.get() for bucket in histogram._buckets]
    assert 7 == histogram._sum.get()
    assert [1, 5, float("inf")] == histogram._upper_bounds


def test_a_value_gives_the_last_exemplar(registry: CollectorRegistry) -> None:
    """A counter's, and a bucket's."""
    counter = Counter("c", "C.", ["l"], registry=registry).labels("x")
    histogram = Histogram("h", "H.", buckets=[1, 5], registry=registry)
    assert counter._value.get_exemplar() is None
    counter.inc(2, exemplar={"trace": "a"})
    histogram.observe(3, exemplar={"trace": "b"})

    assert ({"trace": "a"}, 2) == counter._value.get_exemplar()[:2]
    assert ({"trace": "b"}, 3) == histogram._buckets[1].get_exemplar()[:2]
    assert histogram._buckets[0].get_exemplar() is None
    assert histogram._sum.get_exemplar() is None


def test_counters_and_gauges_can_be_set(registry: CollectorRegistry) -> None:
    """Tests do so to begin at zero."""
    counter = Counter("c", "C.", registry=registry)
    counter.inc(5)
    counter._value.set(0)
    counter._value.inc(2)
    gauge = Gauge("g", "G.", registry=registry)
    gauge._value.set(3)

    assert 2 == registry.get_sample_value("c_total")
    assert 3 == registry.get_sample_value("g")


def test_the_parts_of_a_histogram_can_be_added_to(registry: CollectorRegistry) -> None:
    """Subclasses count ready-made observations so; to set one part alone makes no sense."""

    class Batched(Histogram):
        def observe_all(self, amounts: list[float]) -> None:
            self._sum.inc(sum(amounts))
            for amount in amounts:
                for bound, bucket in zip(self._upper_bounds, self._buckets, strict=True):
                    if amount <= bound:
                        bucket.inc(1)
                        break

    histogram = Batched("h", "H.", buckets=[1, 5], registry=registry)
    histogram.observe_all([0.5, 3, 4])
    summary = Summary("s", "S.", registry=registry)
    summary._count.inc(2)
    summary._sum.inc(0.5)

    assert 1 == registry.get_sample_value("h_bucket", {"le": "1.0"})
    assert (3, 7.5) == (registry.get_sample_value("h_count"), registry.get_sample_value("h_sum"))
    assert (2, 0.5) == (summary._count.get(), summary._sum.get())
    with pytest.raises(AttributeError, match="by itself"):
        histogram._sum.set(0)
    with pytest.raises(ValueError, match="cannot change by"):
        histogram._buckets[0].inc(0.5)


def test_infos_and_enums_have_values(registry: CollectorRegistry) -> None:
    """The facts, and the number of the state."""
    info = Info("i", "I.", registry=registry)
    info.info({"version": "1"})
    state = Enum("e", "E.", states=["off", "on"], registry=registry)
    state.state("on")

    assert {"version": "1"} == info._value
    assert 1 == state._value


@pytest.mark.parametrize("name", ["_value", "_metrics"])
def test_what_a_metric_has_not_is_missing(name: str, registry: CollectorRegistry) -> None:
    """`hasattr` tells parents from children."""
    parent = Counter("c", "C.", ["l"], registry=registry)

    assert hasattr(parent, "_metrics") and not hasattr(parent, "_value")
    assert hasattr(parent.labels("x"), "_value") and not hasattr(parent.labels("x"), "_metrics")


def test_a_subclass_may_look_into_itself_for_its_samples(registry: CollectorRegistry) -> None:
    """And keep exemplars of what it has counted part by part."""

    class Batched(Histogram):
        def observe_all(self, amounts: list[float], exemplar: dict[str, str]) -> None:
            for amount in amounts:
                self._sum.inc(amount)
                self._buckets[0].inc(1)
                self._buckets[0].set_exemplar(Exemplar(exemplar, amount))

        def _child_samples(self) -> list[Sample]:
            last = self._buckets[0].get_exemplar()
            return [Sample("_bucket", {"le": "+Inf"}, self._buckets[0].get(), None, last)]

    class Facts(Info):
        def _child_samples(self) -> list[Sample]:
            return [Sample("_info", {**self._value, "more": "1"}, 1.0)]

    batched = Batched("h", "H.", buckets=[1], registry=registry)
    batched.observe_all([0.5, 0.25], {"trace": "a"})
    Facts("i", "I.", registry=registry).info({"version": "1"})
    (histogram, info) = registry.collect()

    assert (2, ({"trace": "a"}, 0.25, None)) == (
        histogram.samples[0].value,
        histogram.samples[0].exemplar,
    )
    assert {"version": "1", "more": "1"} == info.samples[0].labels


def test_a_metric_of_ones_own_has_its_own_samples(registry: CollectorRegistry) -> None:
    """Of the common base, with children of its class."""

    class Peak(metrics.MetricWrapperBase):
        _type = "gauge"

        def _metric_init(self) -> None:
            self._highest = float("-inf")

        def see(self, value: float) -> None:
            self._raise_if_not_observable()
            self._highest = max(self._highest, value)

        def _child_samples(self) -> list[Sample]:
            return [Sample("", {}, self._highest)]

    peaks = Peak("peak", "P.", ["room"], unit="celsius", registry=registry)
    for value in (19, 23, 21):
        peaks.labels("hall").see(value)

    text = generate_latest(registry)
    assert b'# TYPE peak_celsius gauge\npeak_celsius{room="hall"} 23.0\n' in text
    assert "gauge" == peaks._get_metric().type
    with pytest.raises(ValueError, match="missing label values"):
        peaks.see(1)
    with pytest.raises(TypeError, match="in common"):
        metrics.MetricWrapperBase("m", "M.")


@pytest.mark.parametrize("metric", [Counter, Gauge, Summary, Histogram, Info])
def test_a_labelled_parent_can_be_inspected(metric: Any, registry: CollectorRegistry) -> None:
    """Mocks and debuggers ask it for all it has."""
    parent = metric("m", "M.", ["l"], registry=registry)

    assert dict(inspect.getmembers(parent))["_labelnames"] == ("l",)
    assert not hasattr(parent, "_created")
    mock.create_autospec(parent)


def test_the_number_is_found_under_its_old_name(registry: CollectorRegistry) -> None:
    """Where the official client's values keep it."""
    counter = Counter("c", "C.", registry=registry)
    counter.inc(3)
    gauge = Gauge("g", "G.", registry=registry)
    gauge._value._value = 2

    assert 3 == counter._value._value
    assert 2 == registry.get_sample_value("g")


# ---- The children


def test_children_are_a_live_mapping(registry: CollectorRegistry) -> None:
    """Made by labels, seen at once, in the order of their making."""
    parent = Counter("c", "C.", ["a", "b"], registry=registry)
    children = parent._metrics
    assert 0 == len(children)
    child = parent.labels("y", "1")
    parent.labels("x", "2")

    assert [("y", "1"), ("x", "2")] == list(children.keys())
    assert child is children[("y", "1")] is children.get(("y", "1"))
    assert ("z", "1") not in children
    assert {("y", "1"): child, ("x", "2"): parent.labels("x", "2")} == children


def test_deleting_children_shows(registry: CollectorRegistry) -> None:
    """As in the exporters that drop what is stale."""
    parent = Counter("c", "C.", ["a"], registry=registry)
    for value in "xyz":
        parent.labels(value).inc()
    del parent._metrics[("x",)]
    parent._metrics.pop(("y",))

    assert registry.get_sample_value("c_total", {"a": "x"}) is None
    assert 1 == registry.get_sample_value("c_total", {"a": "z"})
    with pytest.raises(KeyError):
        del parent._metrics[("x",)]
    parent._metrics.clear()
    assert b"c_total{" not in generate_latest(registry)


def test_assigning_children_keeps_only_those(registry: CollectorRegistry) -> None:
    """``metric._metrics = {}`` empties it; foreign children are refused."""
    parent = Counter("c", "C.", ["a"], registry=registry)
    kept, _ = parent.labels("x"), parent.labels("y")
    parent._metrics = {("x",): kept}
    assert [("x",)] == list(parent._metrics)
    with pytest.raises(ValueError, match="labels"):
        parent._metrics[("z",)] = kept
    parent._metrics = {}

    assert {} == parent._metrics


def test_a_metric_has_a_lock_to_take(registry: CollectorRegistry) -> None:
    """Around a look at the children; it may be taken twice."""
    parent = Counter("c", "C.", ["a"], registry=registry)
    with parent._lock, parent.labels("x")._lock:
        parent.labels("x").inc()

    assert 1 == parent.labels("x")._value.get()


# ---- Other objects that count


def test_a_value_class_is_made_as_the_official_client_makes_it(
    recording: type[Recording], registry: CollectorRegistry
) -> None:
    """With type, family, sample, labels, help and mode."""
    Counter("c", "C.", ["l"], registry=registry).labels("x")
    Gauge("g", "G.", multiprocess_mode="max", registry=registry)
    Summary("s", "S.", registry=registry)
    Histogram("h", "H.", ["l"], buckets=[1], registry=registry).labels("x")

    assert [
        ("counter", "c", "c_total", ("l",), ("x",), "C."),
        ("gauge", "g", "g", (), (), "G.", "max"),
        ("summary", "s", "s_count", (), (), "S."),
        ("summary", "s", "s_sum", (), (), "S."),
        ("histogram", "h", "h_sum", ("l",), ("x",), "H."),
        ("histogram", "h", "h_bucket", ("l", "le"), ("x", "1.0"), "H."),
        ("histogram", "h", "h_bucket", ("l", "le"), ("x", "+Inf"), "H."),
    ] == recording.made


def test_value_objects_count_and_are_shown(
    recording: type[Recording], registry: CollectorRegistry
) -> None:
    """Every kind of update, as a native metric would show it."""

    def use() -> bytes:
        registry = CollectorRegistry()
        counter = Counter("c", "C.", ["l"], registry=registry)
        counter.labels("x").inc(2)
        counter.labels("y").inc(3)
        counter.labels("y").reset()
        gauge = Gauge("g", "G.", registry=registry)
        gauge.set("4.5")
        gauge.inc()
        gauge.dec(2)
        Gauge("f", "F.", registry=registry).set_function(lambda: 7)
        with Gauge("p", "P.", registry=registry).track_inprogress():
            pass
        Gauge("last", "L.", multiprocess_mode="mostrecent", registry=registry).set(5)
        Summary("s", "S.", registry=registry).observe(2)
        Histogram("h", "H.", buckets=[1, 3], registry=registry).observe(2)
        Info("i", "I.", registry=registry).info({"a": "b"})
        Enum("e", "E.", states=["a", "b"], registry=registry).state("b")
        return b"".join(
            line for line in generate_latest(registry).splitlines(True) if b"_created" not in line
        )

    by_objects = use()
    assert recording.made
    values.ValueClass = values._first_value_class

    assert use() == by_objects


def test_value_objects_carry_exemplars(
    recording: type[Recording], registry: CollectorRegistry
) -> None:
    """Checked before anything is counted."""
    counter = Counter("c", "C.", registry=registry)
    counter.inc(1, exemplar={"trace": "a"})
    with pytest.raises(ValueError):
        counter.inc(1, exemplar={"trace": "a" * 200})
    with pytest.raises(ValueError):
        counter.inc(-1)

    assert 1 == counter._value.get()
    assert isinstance(counter._value.get_exemplar(), Exemplar)


def test_children_count_by_the_class_that_is_there_when_they_are_made(
    value_class: None, registry: CollectorRegistry
) -> None:
    """Of a parent that was made before; its other children stay as they are."""
    parent = Counter("c", "C.", ["l"], registry=registry)
    parent.labels("native").inc(1)
    values.ValueClass = Recording
    parent.labels("object").inc(2)
    values.ValueClass = values._first_value_class
    parent.labels("again").inc(3)

    assert isinstance(parent.labels("object")._value, Recording)
    assert {"native": 1, "object": 2, "again": 3} == {
        sample.labels["l"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "c_total"
    }
    assert b'c_total{l="object"} 2.0' in generate_latest(registry)


def test_a_labelled_parent_is_refused_with_value_objects_too(
    recording: type[Recording], registry: CollectorRegistry
) -> None:
    """With the same words."""
    with pytest.raises(ValueError, match="missing label values"):
        Counter("c", "C.", ["l"], registry=registry).inc()


def test_the_mutex_value_counts_in_memory(
    value_class: None, tmp_path: Path, registry: CollectorRegistry
) -> None:
    """Assigned where another class was first, as tests of multiprocess programs do."""
    values.ValueClass = values.MultiProcessValue()
    values.ValueClass = values.MutexValue
    counter = Counter("c", "C.", registry=registry)
    counter.inc()

    assert 1 == registry.get_sample_value("c_total")


def test_what_counts_natively_keeps_its_series(registry: CollectorRegistry) -> None:
    """An object put in its place would count beside it."""
    counter = Counter("c", "C.", registry=registry)

    with pytest.raises(AttributeError, match="natively already"):
        counter._value = values.MutexValue("counter", "c", "c_total", (), (), "C.")
    with pytest.raises(AttributeError, match="reset"):
        counter._created = 1.0


# ---- Template methods


def test_a_subclass_puts_its_own_objects_in_place(registry: CollectorRegistry) -> None:
    """In ``_metric_init``; the updates of the base go to them."""

    class Logged(Counter):
        def _metric_init(self) -> None:
            self._value = Recording("counter", self._name, "", (), (), "")

    parent = Logged("c", "C.", ["l"], registry=registry)
    parent.labels("x").inc(3)

    assert 3 == parent.labels("x")._value.get()
    assert isinstance(parent.labels("x")._value, Recording)
    assert 3 == registry.get_sample_value("c_total", {"l": "x"})


def test_a_subclass_adds_samples(registry: CollectorRegistry) -> None:
    """Before those of its base, with attributes from before the base's ``__init__``."""

    class Quantiles(Summary):
        def __init__(self, *args: Any, at: float = 0.5, **kwargs: Any) -> None:
            self._lock = None
            self._at = at
            super().__init__(*args, **kwargs)
            self._kwargs["at"] = at

        def _metric_init(self) -> None:
            super()._metric_init()
            self._seen: list[float] = []

        def observe(self, amount: float) -> None:
            super().observe(amount)
            self._seen.append(amount)

        def _child_samples(self) -> list[Sample]:
            last = sorted(self._seen)[int(len(self._seen) * self._at)]
            quantile = Sample("", {"quantile": str(self._at)}, last)
            return [quantile, *super()._child_samples()]

    parent = Quantiles("s", "S.", ["l"], at=0.25, registry=registry)
    for amount in (1, 2, 3, 4):
        parent.labels("x").observe(amount)

    assert 2 == registry.get_sample_value("s", {"l": "x", "quantile": "0.25"})
    assert 4 == registry.get_sample_value("s_count", {"l": "x"})


def test_a_subclass_shows_what_only_other_processes_have(
    shared: CollectorRegistry, tmp_path: Path
) -> None:
    """It says what the samples of its own children are; the others are as they were counted."""

    class Doubled(Counter):
        def _child_samples(self) -> list[Sample]:
            own = super()._child_samples()
            return [*own, Sample("_doubled", {}, 2 * next(iter(own)).value)]

    name = 1
    values.ValueClass = values.MultiProcessValue(lambda: name)
    registry = CollectorRegistry()
    here = Doubled("c", "C.", ["l"], registry=registry)
    there = Counter("c", "C.", ["l"], registry=None)
    here.labels("soup").inc()
    name = 2
    there.labels("soup").inc()
    there.labels("cake").inc(5)

    assert 2 == registry.get_sample_value("c_total", {"l": "soup"})
    assert 4 == registry.get_sample_value("c_doubled", {"l": "soup"})
    assert 5 == registry.get_sample_value("c_total", {"l": "cake"})
    assert registry.get_sample_value("c_doubled", {"l": "cake"}) is None


# ---- Several processes in one


@pytest.fixture
def shared(
    value_class: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CollectorRegistry]:
    """A registry that shows what is counted in a directory."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    yield registry
    values.close_all_multiprocess_files()


def test_a_program_may_say_itself_which_process_it_is(shared: CollectorRegistry) -> None:
    """At every update: uWSGI's workers are numbered from their fork on."""
    name = "0"
    values.ValueClass = values.MultiProcessValue(lambda: name)
    counter = Counter("c", "C.", ["l"], registry=None)
    gauge = Gauge("g", "G.", registry=None)
    child = counter.labels("x")
    child.inc()
    gauge.set(5)
    name = "1"
    child.inc(2)
    gauge.set(6)

    assert 3 == shared.get_sample_value("c_total", {"l": "x"})
    assert 2 == child._value.get()
    assert (5, 6) == tuple(shared.get_sample_value("g", {"pid": pid}) for pid in "01")


def test_a_named_process_can_be_ended(shared: CollectorRegistry) -> None:
    """Its totals stay, its live gauges go, and it may come back."""
    values.ValueClass = values.MultiProcessValue(lambda: 7)
    counter = Counter("c", "C.", registry=None)
    gauge = Gauge("g", "G.", multiprocess_mode="livesum", registry=None)
    counter.inc()
    gauge.set(5)
    mark_process_dead(7)
    assert 1 == shared.get_sample_value("c_total")
    assert shared.get_sample_value("g") is None
    counter.inc()
    gauge.set(6)

    assert 2 == shared.get_sample_value("c_total")
    assert 6 == shared.get_sample_value("g")


def test_removing_is_for_every_named_process(shared: CollectorRegistry) -> None:
    """One removes what the other has counted."""
    name = 1
    values.ValueClass = values.MultiProcessValue(lambda: name)
    counter = Counter("c", "C.", ["l"], registry=None)
    counter.labels("x").inc()
    name = 2
    counter.labels("x").inc()
    counter.remove("x")

    assert shared.get_sample_value("c_total", {"l": "x"}) is None


def test_names_that_are_no_numbers_are_told_apart(shared: CollectorRegistry) -> None:
    """Each gets a number, which is no process id."""
    name = "blue"
    values.ValueClass = values.MultiProcessValue(lambda: name)
    gauge = Gauge("g", "G.", registry=None)
    gauge.set(5)
    name = "green"
    gauge.set(6)
    family = next(family for family in shared.collect() if family.name == "g")

    assert [5, 6] == sorted(sample.value for sample in family.samples)
    assert all(int(sample.labels["pid"]) >= 2**31 for sample in family.samples)


def test_a_subclass_counts_as_its_parent_does(shared: CollectorRegistry) -> None:
    """By the same name, and is reset with it."""

    class Own(Counter):
        pass

    values.ValueClass = values.MultiProcessValue(lambda: 7)
    registry = CollectorRegistry()
    child = Own("c", "C.", ["l"], registry=registry).labels("x")
    child.inc(3)
    assert 3 == registry.get_sample_value("c_total", {"l": "x"})
    registry.reset()

    assert 0 == shared.get_sample_value("c_total", {"l": "x"})


@pytest.mark.parametrize("labels", [[], ["l"]])
def test_without_a_directory_a_name_makes_no_difference(
    value_class: None, registry: CollectorRegistry, labels: list[str]
) -> None:
    """There are no other processes in memory."""
    name = 1
    values.ValueClass = values.MultiProcessValue(lambda: name)
    parent = Counter("c", "C.", labels, registry=registry)
    counter = parent.labels("x") if labels else parent
    counter.inc()
    name = 2
    counter.inc()

    assert 2 == registry.get_sample_value("c_total", {"l": "x"} if labels else {})


def test_a_value_class_that_is_loaded_again_counts_where_it_did() -> None:
    """The default stays the default."""
    program = (
        "import importlib, tallymark; from tallymark import values; importlib.reload(values);"
        "print(type(tallymark.Counter('c', 'C.')._value).__name__)"
    )
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)

    assert "LocalValue\n" == shown


# ---- Flags


def test_the_flag_for_created_is_read_at_every_scrape(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assigned, not called."""
    Counter("c", "C.", registry=registry)
    monkeypatch.setattr(metrics, "_use_created", False)

    assert b"created" not in generate_latest(registry)


def test_values_are_not_touched_by_an_import() -> None:
    """The module that counts is the one that people assign to."""
    assert sys.modules["tallymark.values"] is metrics.values
