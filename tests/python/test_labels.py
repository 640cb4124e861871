"""How children are found, made, removed, and what subclasses of metrics get."""

from __future__ import annotations

import enum
import gc
import threading
import weakref

import pytest
import tallymark
from tallymark import Counter, Enum, Gauge, Histogram, Info, Summary
from tallymark.metrics import MetricWrapperBase
from tallymark.samples import Sample


@pytest.fixture
def counter(registry):
    return Counter("c", "D.", ["a", "b"], registry=registry)


def labels_of(metric: MetricWrapperBase) -> list[dict[str, str]]:
    return [s.labels for s in metric.collect()[0].samples if not s.name.endswith("_created")]


class TestLabels:
    def test_the_same_values_give_the_same_child(self, counter):
        child = counter.labels("x", "y")
        for again in (
            counter.labels("x", "y"),
            counter.labels("".join(["x"]), "y"),
            counter.labels(a="x", b="y"),
            counter.labels(b="y", a="x"),
        ):
            assert child is again
        assert child is not counter.labels("y", "x")

    def test_a_child_is_of_the_class_of_its_parent_and_knows_its_values(self, counter):
        child = counter.labels("x", "y")

        assert Counter is type(child)
        assert ("x", "y") == child._labelvalues
        assert ("a", "b") == child._labelnames
        assert child._is_observable() and not child._is_parent()
        assert counter._is_parent() and not counter._is_observable()

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "None"), (1, "1"), (1.5, "1.5"), (b"x", "b'x'"), ("é", "é"), ("", "")],
    )
    def test_values_are_taken_as_text(self, registry, value, text):
        metric = Counter("m", "D.", ["a"], registry=registry)
        metric.labels(value).inc()

        assert metric.labels(text) is metric.labels(value) is metric.labels(a=value)
        assert [{"a": text}] == labels_of(metric)

    def test_a_string_of_another_class_is_asked_for_its_text(self, registry):
        class Color(str, enum.Enum):
            RED = "red"

            def __str__(self):
                return "Color.RED"

        metric = Counter("m", "D.", ["a"], registry=registry)
        metric.labels(Color.RED)

        assert [{"a": "Color.RED"}] == labels_of(metric)

    def test_different_strings_with_the_same_address_are_told_apart(self, registry):
        metric = Counter("m", "D.", ["a"], registry=registry)
        for number in range(2000):
            # Made anew each time: a string that was freed leaves its address to the next.
            metric.labels("n" + str(number)).inc(number)

        found = {s.labels["a"]: s.value for s in metric.collect()[0].samples if "total" in s.name}

        assert {f"n{number}": float(number) for number in range(2000)} == found

    def test_more_label_sets_than_the_cache_has_places_are_found(self, registry):
        metric = Counter("m", "D.", ["a", "b"], registry=registry)
        values = [str(number) for number in range(40)]
        children = {(a, b): metric.labels(a, b) for a in values for b in values}
        for _ in range(2):
            assert all(metric.labels(a, b) is child for (a, b), child in children.items())

    def test_many_labels_are_no_trouble(self, registry):
        names = [f"l{number}" for number in range(20)]
        metric = Counter("m", "D.", names, registry=registry)

        assert metric.labels(*names) is metric.labels(**{name: name for name in names})

    def test_a_value_that_fails_to_be_text_raises(self, counter):
        class Silent:
            def __str__(self):
                raise TypeError("no text")

        with pytest.raises(TypeError, match="no text"):
            counter.labels("x", Silent())
        assert [] == labels_of(counter)

    def test_a_value_that_is_no_unicode_is_refused_at_once(self, counter):
        with pytest.raises(UnicodeEncodeError):
            counter.labels("x", "\ud800")

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            (("x",), {}, "Incorrect label count"),
            (("x", "y", "z"), {}, "Incorrect label count"),
            ((), {}, "Incorrect label count"),
            ((), {"a": "x"}, "Incorrect label names"),
            ((), {"a": "x", "c": "y"}, "Incorrect label names"),
            ((), {"a": "x", "b": "y", "c": "z"}, "Incorrect label names"),
            (("x",), {"b": "y"}, r"Can't pass both \*args and \*\*kwargs"),
        ],
    )
    def test_wrong_labels_are_refused(self, counter, args, kwargs, text):
        with pytest.raises(ValueError, match=text):
            counter.labels(*args, **kwargs)

    def test_a_metric_without_label_names_has_no_children(self):
        metric = Counter("m", "D.", registry=None)
        with pytest.raises(ValueError, match="No label names were set when constructing counter:m"):
            metric.labels("x")

    def test_a_child_has_no_children(self, counter):
        text = r"counter:c already has labels set \({'a': 'x', 'b': 'y'}\); can not chain calls"
        with pytest.raises(ValueError, match=text):
            counter.labels("x", "y").labels("x", "y")

    @pytest.mark.parametrize(
        ("kind", "kwargs", "operations"),
        [
            (Counter, {}, [lambda m: m.inc(), lambda m: m.count_exceptions()]),
            (
                Gauge,
                {},
                [
                    lambda m: m.inc(),
                    lambda m: m.dec(),
                    lambda m: m.set(1),
                    lambda m: m.set_to_current_time(),
                    lambda m: m.set_function(int),
                    lambda m: m.track_inprogress(),
                ],
            ),
            (Summary, {}, [lambda m: m.observe(1)]),
            (Histogram, {}, [lambda m: m.observe(1)]),
            (Info, {}, [lambda m: m.info({})]),
            (Enum, {"states": ["x"]}, [lambda m: m.state("x")]),
        ],
    )
    def test_a_labelled_parent_cannot_be_updated(self, kind, kwargs, operations):
        metric = kind("m", "D.", ["l"], registry=None, **kwargs)
        for operation in operations:
            with pytest.raises(ValueError, match=f"{kind._type} metric is missing label values"):
                operation(metric)

    def test_reset_of_a_parent_is_an_attribute_error(self, counter):
        with pytest.raises(AttributeError):
            counter.reset()

    def test_a_timer_of_a_parent_picks_its_child_inside(self):
        metric = Summary("m", "D.", ["l"], registry=None)
        with metric.time() as timer:
            timer.labels("x")

        assert 1.0 == metric.labels("x")._count.get()

    def test_children_are_shown_in_order_of_creation(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)
        order = ["z", "a", "m", "b"]
        for value in order:
            metric.labels(value)

        assert [{"l": value} for value in order] == labels_of(metric)
        assert [(value,) for value in order] == list(metric._metrics)

    def test_metrics_maps_values_to_children(self, counter):
        child = counter.labels("x", "y")

        assert {("x", "y"): child} == counter._metrics
        with pytest.raises(AttributeError):
            _ = child._metrics

    def test_a_child_collects_itself_without_labels(self, registry, stopped_clock):
        metric = Counter("m", "D.", ["l"], registry=registry)
        metric.labels("x").inc(2)
        metric.labels("y").inc(3)

        expected = [Sample("m_total", {}, 3.0), Sample("m_created", {}, 1234.5)]
        assert expected == metric.labels("y").collect()[0].samples
        assert [("_total", 3.0), ("_created", 1234.5)] == [
            (s.name, s.value) for s in metric.labels("y")._child_samples()
        ]


class TestRemove:
    def test_a_removed_series_is_gone_and_comes_back_at_zero(self, counter):
        old = counter.labels("x", "y")
        old.inc(5)
        counter.labels("x", "z").inc()
        counter.remove("x", "y")
        old.inc()
        assert [{"a": "x", "b": "z"}] == labels_of(counter)

        new = counter.labels("x", "y")

        assert (True, 0.0) == (new is not old, new._value.get())
        new.inc()
        assert 1.0 == counter.collect()[0].samples[2].value

    def test_values_are_taken_as_text(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)
        metric.labels("1")
        metric.remove(1)

        assert [] == labels_of(metric)

    def test_removing_what_is_not_there_does_nothing(self, counter):
        counter.labels("x", "y")
        counter.remove("no", "such")

        assert [{"a": "x", "b": "y"}] == labels_of(counter)

    def test_wrong_counts_and_metrics_without_labels_are_refused(self, counter):
        with pytest.raises(ValueError, match=r"expected 2, got \('x',\)"):
            counter.remove("x")
        for metric in (Counter("m", "D.", registry=None), counter.labels("x", "y")):
            with pytest.raises(ValueError):
                metric.remove("x", "y")
            with pytest.raises(ValueError):
                metric.remove_by_labels({"a": "x"})

    def test_series_are_removed_by_some_of_their_labels(self, registry):
        metric = Counter("m", "D.", ["a", "b"], registry=registry)
        for a in "12":
            for b in "34":
                metric.labels(a, b)
        assert metric.remove_by_labels({"b": 3}) is None
        assert [{"a": "1", "b": "4"}, {"a": "2", "b": "4"}] == labels_of(metric)

        metric.remove_by_labels({"b": "4", "a": "2"})

        assert [{"a": "1", "b": "4"}] == labels_of(metric)
        metric.remove_by_labels({})
        assert [{"a": "1", "b": "4"}] == labels_of(metric)

    def test_remove_by_labels_wants_a_dict_of_known_names(self, counter):
        counter.labels("x", "y")
        with pytest.raises(TypeError, match="must be a dict"):
            counter.remove_by_labels(["a"])
        with pytest.raises(
            ValueError, match=r"Unknown label names: \['c'\]; expected \('a', 'b'\)"
        ):
            counter.remove_by_labels({"a": "x", "c": "y"})

        assert [{"a": "x", "b": "y"}] == labels_of(counter)

    def test_clear_removes_all_series(self, counter):
        old = counter.labels("x", "y")
        counter.clear()

        assert [] == labels_of(counter)
        assert {} == counter._metrics
        assert old is not counter.labels("x", "y")

    def test_clear_of_a_metric_without_labels_does_nothing(self):
        metric = Counter("m", "D.", registry=None)
        metric.inc()
        metric.clear()

        assert 1.0 == metric._value.get()

    def test_a_removed_child_is_let_go(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)
        child = weakref.ref(metric.labels("x"))
        assert metric.labels("x") is child()

        metric.remove("x")
        gc.collect()

        assert child() is None

    def test_a_child_whose_series_is_removed_while_it_is_made_is_made_again(self, registry):
        """A child that is found by its labels counts, whatever was removed meanwhile."""
        made = []

        class Mine(Counter):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                made.append(self._labelvalues)
                if made == [(), ("x",)]:
                    metric.remove("x")

        metric = Mine("m", "D.", ["l"], registry=registry)
        metric.labels("x").inc()

        assert [(), ("x",), ("x",)] == made
        assert 1.0 == registry.get_sample_value("m_total", {"l": "x"})

    def test_children_are_made_and_removed_by_threads_at_once(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)
        stop = threading.Event()

        def remove():
            while not stop.is_set():
                metric.remove("x")

        thread = threading.Thread(target=remove)
        thread.start()
        try:
            for _ in range(3000):
                metric.labels("x").inc()
        finally:
            stop.set()
            thread.join()
        metric.labels("x").inc()

        assert metric.collect()[0].samples[0].value >= 1.0


class TestReentrancy:
    def test_the_text_of_a_value_may_use_the_metric(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)

        class Nested:
            def __str__(self):
                metric.labels("inner").inc()
                metric.remove("other")
                return "outer"

        metric.labels(Nested()).inc()

        assert [{"l": "inner"}, {"l": "outer"}] == labels_of(metric)

    def test_the_clock_may_use_the_metric(self, registry, monkeypatch):
        metric = Counter("m", "D.", ["l"], registry=registry)

        def now():
            monkeypatch.undo()
            metric.labels("x").inc()
            return 1.0

        monkeypatch.setattr("time.time", now)
        metric.labels("x").inc()

        assert 2.0 == metric.labels("x")._value.get()

    def test_a_finalizer_of_a_child_may_use_the_metric(self, registry):
        metric = Counter("m", "D.", ["l"], registry=registry)
        called = []
        weakref.finalize(metric.labels("x"), lambda: called.append(metric.labels("y")))
        metric.remove("x")
        gc.collect()

        assert [metric.labels("y")] == called

    def test_a_function_may_use_its_own_metric(self, registry):
        gauge = Gauge("g", "D.", ["l"], registry=registry)
        gauge.labels("x").set_function(lambda: gauge.labels("y").inc() or 5)

        tallymark.generate_latest(registry)

        assert 5.0 == registry.get_sample_value("g", {"l": "x"})


class TestSubclasses:
    def test_children_go_through_the_init_of_their_class(self, registry):
        made = []

        class Mine(Counter):
            def __init__(self, *args, **kwargs):
                self.before = "set before super().__init__()"
                super().__init__(*args, **kwargs)
                made.append((args, kwargs))

        metric = Mine("m", "D.", ["l"], namespace="n", unit="u", registry=registry)
        child = metric.labels("x")
        child.inc(2)

        assert Mine is type(child) and child is metric.labels("x")
        assert "set before super().__init__()" == child.before
        assert 2 == len(made)
        assert ("m",) == made[1][0]
        assert made[1][1] == {
            "documentation": "D.",
            "labelnames": ("l",),
            "namespace": "n",
            "subsystem": "",
            "unit": "u",
            "_labelvalues": ("x",),
        }
        assert 2.0 == registry.get_sample_value("n_m_u_total", {"l": "x"})

    @pytest.mark.parametrize(
        ("kind", "name", "value"),
        [
            (Gauge, "multiprocess_mode", "max"),
            (Histogram, "buckets", [1.0, 2.0]),
            (Enum, "states", ["a", "b"]),
        ],
    )
    def test_children_get_what_their_class_has_besides(self, registry, kind, name, value):
        class Mine(kind):
            pass

        metric = Mine("m", "D.", ["l"], registry=registry, **{name: value})

        assert {name: value} == metric._kwargs == metric.labels("x")._kwargs

    def test_an_init_with_arguments_of_its_own_hands_them_to_children(self, registry):
        class Mine(Gauge):
            def __init__(self, name, documentation, scale=1, **kwargs):
                super().__init__(name, documentation, **kwargs)
                self._kwargs["scale"] = self.scale = scale

        metric = Mine("m", "D.", 10, labelnames=["l"], registry=registry)

        assert 10 == metric.labels("x").scale

    def test_an_init_may_use_the_child_it_makes(self, registry):
        class Mine(Gauge):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                if self._is_observable():
                    self.set(7)

        metric = Mine("m", "D.", ["l"], registry=registry)
        metric.labels("x")

        assert 7.0 == registry.get_sample_value("m", {"l": "x"})

    def test_an_init_may_make_children_of_other_metrics(self, registry):
        other = Counter("other", "D.", ["l"], registry=registry)

        class Mine(Counter):
            def __init__(self, *args, **kwargs):
                other.labels("x").inc()
                super().__init__(*args, **kwargs)

        Mine("m", "D.", ["l"], registry=registry).labels("x").inc(3)

        assert 3.0 == registry.get_sample_value("m_total", {"l": "x"})
        assert 2.0 == registry.get_sample_value("other_total", {"l": "x"})

    def test_a_failing_init_leaves_no_child(self, registry):
        class Mine(Counter):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                if self._labelvalues:
                    raise KeyError("no")

        metric = Mine("m", "D.", ["l"], registry=registry)
        with pytest.raises(KeyError):
            metric.labels("x")

        assert {} == metric._metrics

    def test_an_init_that_forgets_its_super_is_told(self, registry):
        class Mine(Counter):
            def __init__(self, *args, _labelvalues=None, **kwargs):
                if not _labelvalues:
                    super().__init__(*args, **kwargs)

        with pytest.raises(AttributeError, match="has not been called"):
            Mine("m", "D.", ["l"], registry=registry).labels("x")

    def test_overridden_samples_are_what_is_shown(self, registry, stopped_clock):
        class Doubled(Counter):
            def _child_samples(self):
                return [s._replace(value=2 * s.value) for s in super()._child_samples()]

        plain = Doubled("p", "D.", registry=registry)
        plain.inc(2)
        labelled = Doubled("m", "D.", ["l"], registry=registry)
        labelled.labels("x").inc(3)

        assert 4.0 == registry.get_sample_value("p_total")
        assert 6.0 == registry.get_sample_value("m_total", {"l": "x"})
        assert b'm_total{l="x"} 6.0\n' in tallymark.generate_latest(registry)

    def test_metric_init_is_called_once_for_what_can_be_updated(self, registry):
        class Mine(Summary):
            def _metric_init(self):
                super()._metric_init()
                self.ready = [*getattr(self, "ready", ()), self._labelvalues]

        assert [()] == Mine("a", "D.", registry=registry).ready
        parent = Mine("b", "D.", ["l"], registry=registry)
        assert not hasattr(parent, "ready")
        assert [("x",)] == parent.labels("x").ready

    def test_a_subclass_without_overrides_is_read_like_its_base(self, registry):
        class Mine(Counter):
            def collect_twice(self):
                return self.collect() * 2

        metric = Mine("m", "D.", registry=registry)
        metric.inc()

        assert 1.0 == metric.collect_twice()[1].samples[0].value

    def test_values_by_hand_make_a_metric_of_their_own(self, registry, stopped_clock):
        metric = Counter("m", "D.", ["l"], registry=registry, _labelvalues=("x",))
        metric.inc(2)

        assert ("x",) == metric._labelvalues
        assert [] == list(registry.collect())
        assert [Sample("m_total", {}, 2.0), Sample("m_created", {}, 1234.5)] == metric.collect()[
            0
        ].samples


def test_strings_made_anew_for_every_call_find_their_own_child():
    fresh = Counter("fresh", "F.", ["path"], registry=None)
    for round_ in range(1, 4):
        for number in range(500):
            fresh.labels(f"/{number}").inc(number)

        values = {sample.labels["path"]: sample.value for sample in fresh.collect()[0].samples[::2]}

        assert {f"/{number}": round_ * number for number in range(500)} == values
