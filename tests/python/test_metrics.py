"""What each metric type does: values, samples, and what it refuses."""

from __future__ import annotations

import inspect
import math
import threading
import time
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

import pytest
import tallymark
from tallymark import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from tallymark.metrics import MetricWrapperBase
from tallymark.registry import DuplicateTimeseries

KINDS = {
    "counter": Counter,
    "gauge": Gauge,
    "summary": Summary,
    "histogram": Histogram,
    "info": Info,
    "stateset": lambda *args, **kwargs: Enum(*args, states=["on", "off"], **kwargs),
}


def samples(metric: MetricWrapperBase) -> list[tuple[str, dict[str, str], float]]:
    return [tuple(sample[:3]) for sample in metric.collect()[0].samples]


class TestCounter:
    def test_increments_add_up(self, registry, stopped_clock):
        counter = Counter("hits_total", "Hits.", registry=registry)
        counter.inc()
        counter.inc(2)
        counter.inc(amount=0.5)

        assert [("hits_total", {}, 3.5), ("hits_created", {}, 1234.5)] == samples(counter)

    @pytest.mark.parametrize("amount", [2, 2.0, True + True, Decimal(2), Fraction(2)])
    def test_an_amount_is_any_number(self, amount):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(amount)

        assert 2.0 == counter._value.get()

    def test_an_amount_may_be_an_object_that_is_a_float(self):
        class Half:
            def __float__(self):
                return 0.5

        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(Half())

        assert 0.5 == counter._value.get()

    @pytest.mark.parametrize("amount", ["1", None, [], object(), 1j])
    def test_what_is_no_number_is_a_type_error_and_changes_nothing(self, amount):
        counter = Counter("hits", "Hits.", registry=None)
        with pytest.raises(TypeError):
            counter.inc(amount)

        assert 0.0 == counter._value.get()

    @pytest.mark.parametrize("amount", [-1, -0.1, -math.inf])
    def test_a_negative_amount_is_refused_and_changes_nothing(self, amount):
        counter = Counter("hits", "Hits.", registry=None)
        with pytest.raises(ValueError, match="only be incremented by non-negative amounts"):
            counter.inc(amount)

        assert 0.0 == counter._value.get()

    def test_nan_passes(self):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(math.nan)

        assert math.isnan(counter._value.get())

    def test_whole_increments_stay_exact_beyond_the_integers_of_a_float(self):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(2**53)
        for _ in range(4):
            counter.inc()

        assert 2.0**53 + 4 == counter._value.get()

    def test_reset_starts_again_at_zero_with_a_new_created(self, stopped_clock):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(3)
        stopped_clock(2000.0)
        counter.reset()

        assert [("hits_total", {}, 0.0), ("hits_created", {}, 2000.0)] == samples(counter)
        counter.inc()
        assert 1.0 == counter._value.get()

    def test_an_exemplar_has_the_amount_and_the_time(self, stopped_clock):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(2, {"trace_id": "a"})
        counter.inc(3, exemplar={"trace_id": "b"})

        exemplar = counter.collect()[0].samples[0].exemplar

        assert ({"trace_id": "b"}, 3.0, 1234.5) == exemplar

    @pytest.mark.parametrize("exemplar", [None, {}])
    def test_an_empty_exemplar_is_none(self, exemplar):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(1, exemplar)

        assert counter.collect()[0].samples[0].exemplar is None
        assert 1.0 == counter._value.get()

    @pytest.mark.parametrize(
        ("exemplar", "error"),
        [
            ({"a": "x" * 128}, ValueError),
            ({"__a": "x"}, ValueError),
            ({"a": 1}, TypeError),
            ({1: "a"}, TypeError),
            (["a"], TypeError),
        ],
    )
    def test_a_bad_exemplar_is_refused_before_the_value_changes(self, exemplar, error):
        counter = Counter("hits", "Hits.", registry=None)
        with pytest.raises(error):
            counter.inc(1, exemplar)

        assert 0.0 == counter._value.get()

    def test_an_exemplar_is_measured_in_characters(self):
        counter = Counter("hits", "Hits.", registry=None)
        counter.inc(1, {"a": "é" * 127})

        assert counter.collect()[0].samples[0].exemplar.labels == {"a": "é" * 127}

    def test_exceptions_are_counted(self):
        counter = Counter("failures", "F.", registry=None)
        with pytest.raises(KeyError), counter.count_exceptions(KeyError):
            raise KeyError
        with pytest.raises(ZeroDivisionError), counter.count_exceptions(KeyError):
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), counter.count_exceptions():
            raise ZeroDivisionError

        assert 2.0 == counter._value.get()


class TestGauge:
    def test_goes_up_and_down(self):
        gauge = Gauge("queue", "Q.", registry=None)
        gauge.inc()
        gauge.inc(2.5)
        gauge.dec()
        gauge.dec(0.5)

        assert [("queue", {}, 2.0)] == samples(gauge)

    @pytest.mark.parametrize(
        ("value", "expected"), [(3, 3.0), ("4.5", 4.5), (Decimal("0.5"), 0.5), ("-inf", -math.inf)]
    )
    def test_is_set_to_what_float_takes(self, value, expected):
        gauge = Gauge("queue", "Q.", registry=None)
        gauge.set(value)

        assert expected == gauge._value.get()

    @pytest.mark.parametrize(("value", "error"), [("x", ValueError), (None, TypeError)])
    def test_is_not_set_to_what_float_refuses(self, value, error):
        gauge = Gauge("queue", "Q.", registry=None)
        gauge.set(1)
        with pytest.raises(error):
            gauge.set(value)

        assert 1.0 == gauge._value.get()

    def test_the_time_is_asked_when_it_is_set_to_it(self, stopped_clock):
        gauge = Gauge("last", "L.", registry=None)
        stopped_clock(99.0)
        gauge.set_to_current_time()

        assert 99.0 == gauge._value.get()

    def test_what_is_in_progress_is_counted(self):
        gauge = Gauge("running", "R.", registry=None)
        with gauge.track_inprogress():
            inside = gauge._value.get()

        assert (1.0, 0.0) == (inside, gauge._value.get())

    def test_a_timer_sets_it(self):
        gauge = Gauge("seconds", "S.", registry=None)
        with gauge.time():
            time.sleep(0.001)

        assert gauge._value.get() >= 0.001

    def test_a_function_gives_its_value_at_every_collection(self):
        gauge = Gauge("size", "S.", registry=None)
        things = []
        gauge.set_function(lambda: len(things))
        assert [("size", {}, 0.0)] == samples(gauge)

        things.append(1)

        assert [("size", {}, 1.0)] == samples(gauge)

    def test_updates_by_hand_do_nothing_beside_a_function(self, registry):
        gauge = Gauge("size", "S.", registry=registry)
        gauge.set_function(lambda: 7)
        gauge.set(1)
        gauge.inc(10)
        gauge.dec(100)
        gauge.set_to_current_time()

        assert 0.0 == gauge._value.get()
        assert 7.0 == registry.get_sample_value("size")

    def test_what_a_function_raises_the_scrape_raises(self, registry):
        gauge = Gauge("size", "S.", registry=registry)
        gauge.set_function(lambda: 1 / 0)
        for scrape in (gauge.collect, lambda: tallymark.generate_latest(registry)):
            with pytest.raises(ZeroDivisionError):
                scrape()

    def test_a_later_function_takes_the_place_of_the_first(self):
        gauge = Gauge("size", "S.", registry=None)
        gauge.set_function(lambda: 1 / 0)
        gauge.set_function(lambda: 2)

        assert [("size", {}, 2.0)] == samples(gauge)

    def test_the_function_of_a_removed_child_is_not_called(self, registry):
        gauge = Gauge("size", "S.", ["a"], registry=registry)
        gauge.labels("x").set_function(lambda: 1 / 0)
        gauge.labels("y").set_function(lambda: 2)
        gauge.remove("x")

        assert [("size", {"a": "y"}, 2.0)] == samples(gauge)

    @pytest.mark.parametrize("mode", ["mostrecent", "livemostrecent"])
    def test_a_most_recent_gauge_can_only_be_set(self, mode):
        gauge = Gauge("last", "L.", registry=None, multiprocess_mode=mode)
        gauge.set(2)
        for method in ("inc", "dec"):
            with pytest.raises(RuntimeError, match=f"{method} must not be used"):
                getattr(gauge, method)()

        assert 2.0 == gauge._value.get()

    def test_a_most_recent_parent_says_so_before_it_asks_for_labels(self):
        gauge = Gauge("last", "L.", ["a"], registry=None, multiprocess_mode="mostrecent")
        with pytest.raises(RuntimeError):
            gauge.inc()

    @pytest.mark.parametrize(
        "mode",
        "auto all liveall min livemin max livemax sum livesum mostrecent livemostrecent".split(),
    )
    def test_every_mode_is_accepted_and_has_no_pid_in_memory(self, mode):
        gauge = Gauge("g", "G.", registry=None, multiprocess_mode=mode)
        gauge.set(3)

        assert mode == gauge._multiprocess_mode
        assert [("g", {}, 3.0)] == samples(gauge)

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(ValueError, match=r"^Invalid multiprocess mode: x$"):
            Gauge("g", "G.", registry=None, multiprocess_mode="x")


class TestSummary:
    def test_counts_and_sums(self, stopped_clock):
        summary = Summary("size", "S.", registry=None)
        summary.observe(10)
        summary.observe(-2.5)

        expected = [("size_count", {}, 2.0), ("size_sum", {}, 7.5), ("size_created", {}, 1234.5)]
        assert expected == samples(summary)
        assert (2.0, 7.5) == (summary._count.get(), summary._sum.get())

    def test_a_timer_observes(self):
        summary = Summary("seconds", "S.", registry=None)
        with summary.time():
            pass

        assert 1.0 == summary._count.get()

    def test_what_is_no_number_counts_nothing(self):
        summary = Summary("size", "S.", registry=None)
        with pytest.raises(TypeError):
            summary.observe("1")

        assert 0.0 == summary._count.get()


class TestHistogram:
    def test_counts_in_buckets(self, stopped_clock):
        histogram = Histogram("latency", "L.", buckets=[1, 2.5], registry=None)
        for amount in (0.5, 1, 2, 7):
            histogram.observe(amount)

        assert [
            ("latency_bucket", {"le": "1.0"}, 2.0),
            ("latency_bucket", {"le": "2.5"}, 3.0),
            ("latency_bucket", {"le": "+Inf"}, 4.0),
            ("latency_count", {}, 4.0),
            ("latency_sum", {}, 10.5),
            ("latency_created", {}, 1234.5),
        ] == samples(histogram)
        assert [2.0, 1.0, 1.0] == [bucket.get() for bucket in histogram._buckets]
        assert 10.5 == histogram._sum.get()

    def test_nan_is_in_no_bucket_and_makes_the_sum_nan(self):
        histogram = Histogram("latency", "L.", buckets=[1], registry=None)
        histogram.observe(math.nan)

        assert [0.0, 0.0] == [bucket.get() for bucket in histogram._buckets]
        assert math.isnan(histogram._sum.get())

    def test_a_negative_bound_leaves_out_the_sum(self, stopped_clock):
        histogram = Histogram("delta", "D.", buckets=[-1, 1], registry=None)

        names = [name for name, _, _ in samples(histogram)]

        assert ["delta_bucket"] * 3 + ["delta_count", "delta_created"] == names

    def test_the_default_buckets(self):
        expected = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

        assert (*expected, math.inf) == Histogram.DEFAULT_BUCKETS
        assert [*expected, math.inf] == Histogram("h", "H.", registry=None)._upper_bounds

    @pytest.mark.parametrize(
        ("buckets", "bounds"),
        [
            ([0, 1, 2], [0, 1, 2, math.inf]),
            ((1, math.inf), [1, math.inf]),
            (["1", "2.5"], [1, 2.5, math.inf]),
            (iter([1, 2]), [1, 2, math.inf]),
            ([1, 1], [1, 1, math.inf]),
        ],
    )
    def test_buckets_are_bounds_that_end_in_infinity(self, buckets, bounds):
        assert bounds == Histogram("h", "H.", buckets=buckets, registry=None)._upper_bounds

    @pytest.mark.parametrize(
        ("buckets", "text"),
        [
            ([2, 1], "not in sorted order"),
            ([1, math.nan], "not in sorted order"),
            ([], "at least two buckets"),
            ([math.inf], "at least two buckets"),
        ],
    )
    def test_bad_buckets_are_refused(self, registry, buckets, text):
        with pytest.raises(ValueError, match=text):
            Histogram("h", "H.", buckets=buckets, registry=registry)

        assert [] == list(registry.collect())

    def test_each_bucket_keeps_its_latest_exemplar(self, stopped_clock):
        histogram = Histogram("latency", "L.", buckets=[1, 2], registry=None)
        histogram.observe(0.5, {"t": "a"})
        histogram.observe(0.25, {"t": "b"})
        histogram.observe(5, exemplar={"t": "c"})

        exemplars = [sample.exemplar for sample in histogram.collect()[0].samples[:3]]

        assert [({"t": "b"}, 0.25, 1234.5), None, ({"t": "c"}, 5.0, 1234.5)] == exemplars

    def test_a_bad_exemplar_is_refused_before_anything_changes(self):
        histogram = Histogram("latency", "L.", buckets=[1], registry=None)
        with pytest.raises(ValueError, match="128"):
            histogram.observe(1, {"t": "x" * 128})

        assert (0.0, 0.0) == (histogram._buckets[0].get(), histogram._sum.get())

    def test_an_exemplar_of_nan_is_of_no_bucket(self):
        histogram = Histogram("latency", "L.", buckets=[1], registry=None)
        histogram.observe(math.nan, {"t": "a"})

        assert [None, None] == [s.exemplar for s in histogram.collect()[0].samples[:2]]


class TestInfo:
    def test_shows_the_latest_facts_in_their_order(self):
        info = Info("build", "B.", registry=None)
        info.info({"old": "1"})
        info.info({"b": "2", "a": "1"})

        assert [("build_info", {"b": "2", "a": "1"}, 1.0)] == samples(info)
        assert ["b", "a"] == list(info.collect()[0].samples[0].labels)

    def test_what_is_done_to_the_dict_later_changes_nothing(self):
        info = Info("build", "B.", registry=None)
        facts = {"a": "1"}
        info.info(facts)
        facts["b"] = "2"

        assert [("build_info", {"a": "1"}, 1.0)] == samples(info)

    @pytest.mark.parametrize(
        ("facts", "error"),
        [({"l": "x"}, ValueError), ({"a": None}, ValueError), ({"a": 1}, TypeError)],
    )
    def test_bad_facts_are_refused_and_change_nothing(self, facts, error):
        info = Info("build", "B.", ["l"], registry=None)
        info.labels("v").info({"a": "1"})
        with pytest.raises(error):
            info.labels("v").info(facts)

        assert [("build_info", {"l": "v", "a": "1"}, 1.0)] == samples(info)


class TestEnum:
    def test_the_first_state_holds_until_another_is_set(self):
        enum = Enum("task", "T.", states=["on", "off"], registry=None)
        assert [("task", {"task": "on"}, 1.0), ("task", {"task": "off"}, 0.0)] == samples(enum)

        enum.state("off")

        assert [("task", {"task": "on"}, 0.0), ("task", {"task": "off"}, 1.0)] == samples(enum)

    def test_an_unknown_state_is_refused(self):
        enum = Enum("task", "T.", states=["on", "off"], registry=None)
        with pytest.raises(ValueError, match="gone"):
            enum.state("gone")

        assert 1.0 == enum.collect()[0].samples[0].value

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"states": []}, {"states": ["a"], "labelnames": ["task"]}],
    )
    def test_no_states_or_a_label_of_the_same_name_are_refused(self, registry, arguments):
        with pytest.raises(ValueError):
            Enum("task", "T.", registry=registry, **arguments)

        assert [] == list(registry.collect())
        Enum("task", "T.", states=["a"], registry=registry)


class TestDefinition:
    @pytest.mark.parametrize(
        ("kind", "arguments", "name"),
        [
            (Counter, {"name": "a_total"}, "a"),
            (Counter, {"name": "a", "namespace": "n", "subsystem": "s", "unit": "u"}, "n_s_a_u"),
            (Counter, {"name": "requests", "unit": "total"}, "requests_total"),
            (Counter, {"name": "a_u_total", "unit": "u"}, "a_u"),
            (Gauge, {"name": "a_total"}, "a_total"),
            (Gauge, {"name": "a_u", "unit": "u"}, "a_u"),
            (Gauge, {"name": "a.b"}, "a.b"),
        ],
    )
    def test_the_name_is_put_together(self, kind, arguments, name):
        assert name == kind(documentation="D.", registry=None, **arguments)._name

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_type_says_what_it_is(self, kind, registry):
        metric = KINDS[kind]("m", "D.", ["l"], registry=registry)

        assert f"{kind}:m" == str(metric)
        assert f"tallymark.metrics.{type(metric).__name__}(m)" == repr(metric)
        assert isinstance(metric, MetricWrapperBase)
        assert kind == type(metric)._type
        described = metric.describe()[0]
        assert ("m", "D.", kind, "", []) == (
            described.name,
            described.documentation,
            described.type,
            described.unit,
            described.samples,
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_name_is_refused(self, kind):
        with pytest.raises(ValueError, match="Metric name should not be empty"):
            KINDS[kind]("", "D.", registry=None)

    @pytest.mark.parametrize(
        ("kind", "labelnames"),
        [(Counter, ["__a"]), (Histogram, ["le"]), (Summary, ["quantile"]), (Gauge, ["a", "__b"])],
    )
    def test_reserved_label_names_are_refused(self, kind, labelnames):
        with pytest.raises(ValueError, match="Reserved label"):
            kind("m", "D.", labelnames, registry=None)

    @pytest.mark.parametrize("kind", [Info, lambda *a, **k: Enum(*a, states=["a"], **k)])
    def test_a_unit_is_refused_where_there_is_none(self, kind):
        with pytest.raises(ValueError, match="cannot have a unit"):
            kind("m", "D.", unit="u", registry=None)

    def test_legacy_validation_is_looked_up_when_a_metric_is_made(self):
        tallymark.validation.enable_legacy_validation()
        try:
            with pytest.raises(ValueError, match=r"invalid metric name a\.b"):
                Counter("a.b", "D.", registry=None)
            with pytest.raises(ValueError, match=r"a\.b"):
                Counter("a", "D.", ["a.b"], registry=None)
        finally:
            tallymark.validation.disable_legacy_validation()
        Counter("a.b", "D.", ["a.b"], registry=None)

    @pytest.mark.parametrize(
        "labelnames", [["a", "b"], ("a", "b"), iter("ab"), "ab", {"a": 1, "b": 2}]
    )
    def test_label_names_are_any_iterable(self, labelnames):
        metric = Counter("m", "D.", labelnames, registry=None)

        assert ("a", "b") == metric._labelnames

    def test_label_names_must_be_strings(self):
        with pytest.raises(TypeError):
            Counter("m", "D.", [1], registry=None)

    def test_a_duplicate_is_refused_and_leaves_the_first_alone(self, registry):
        first = Counter("m", "D.", registry=registry)
        first.inc()
        with pytest.raises(DuplicateTimeseries):
            Counter("m", "D.", registry=registry)
        with pytest.raises(DuplicateTimeseries):
            Gauge("m_total", "D.", registry=registry)

        assert [first] == registry._core.collectors()
        assert 1.0 == registry.get_sample_value("m_total")

    def test_the_default_registry_is_looked_up_when_a_metric_is_made(self, registry, monkeypatch):
        monkeypatch.setattr("tallymark.registry.REGISTRY", registry)
        metric = Counter("m", "D.")

        assert [metric] == registry._core.collectors()

    def test_what_registers_may_be_anything_with_the_method(self):
        class Registry:
            registered = ()

            def register(self, collector):
                self.registered = (*self.registered, collector)

        registry = Registry()
        metric = Counter("m", "D.", registry=registry)

        assert (metric,) == registry.registered

    def test_init_runs_once(self):
        metric = Counter("m", "D.", registry=None)
        with pytest.raises(TypeError, match="called before"):
            metric.__init__("m", "D.", registry=None)

    def test_a_metric_without_init_says_what_is_missing(self):
        with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
            Counter.__new__(Counter).inc()

    def test_the_base_class_makes_no_metrics(self):
        with pytest.raises(TypeError, match="make a Counter"):
            MetricWrapperBase("m", "D.")

    @pytest.mark.parametrize("kind", [Counter, Gauge, Summary, Histogram, Info, Enum])
    def test_the_signature_can_be_inspected_and_everything_has_a_docstring(self, kind):
        parameters = list(inspect.signature(kind).parameters)

        expected = "name documentation labelnames namespace subsystem unit registry _labelvalues"
        assert expected.split() == parameters[:8]
        public = [name for name in dir(kind) if not name.startswith("_") and name.islower()]
        assert [] == [name for name in public if not getattr(kind, name).__doc__]

    def test_attributes_can_be_set_and_weak_references_taken(self):
        import weakref

        metric = Counter("m", "D.", registry=None)
        metric.extra = 1

        assert (1, metric) == (metric.extra, weakref.ref(metric)())


class TestTime:
    @pytest.mark.parametrize("kind", [Counter, Summary, Histogram])
    def test_created_is_asked_of_time_time_when_the_series_is_made(self, kind, stopped_clock):
        metric = kind("m", "D.", ["l"], registry=None)
        stopped_clock(50)
        child = metric.labels("x")
        stopped_clock(60)

        assert 50.0 == child._created
        assert ("m_created", {"l": "x"}, 50.0) == samples(metric)[-1]

    def test_an_update_does_not_ask_for_the_time(self, monkeypatch):
        counter = Counter("c", "D.", registry=None)
        gauge = Gauge("g", "D.", registry=None)
        histogram = Histogram("h", "D.", registry=None)
        monkeypatch.setattr(time, "time", lambda: 1 / 0)
        counter.inc()
        gauge.set(1)
        histogram.observe(1)

        assert 1.0 == counter._value.get()

    def test_created_samples_go_when_the_flag_says_so(self, monkeypatch):
        metric = Counter("c", "D.", registry=None)
        monkeypatch.setattr("tallymark.metrics._use_created", False)

        assert [("c_total", {}, 0.0)] == samples(metric)


class TestThreads:
    def test_eight_threads_lose_no_increment(self):
        counter = Counter("c", "D.", ["l"], registry=None)
        histogram = Histogram("h", "D.", buckets=[1], registry=None)
        start = threading.Barrier(8)

        def count():
            start.wait()
            for _ in range(100_000):
                counter.labels("x").inc()
                histogram.observe(0.5)

        threads = [threading.Thread(target=count) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

        assert 800_000.0 == counter.labels("x")._value.get()
        assert (800_000.0, 400_000.0) == (histogram._buckets[0].get(), histogram._sum.get())

    def test_scrapes_beside_updates_never_see_half_an_observation(self):
        registry = CollectorRegistry()
        histogram = Histogram("h", "D.", buckets=[1], registry=registry)
        stop = threading.Event()

        def observe():
            while not stop.is_set():
                histogram.observe(0.5)

        thread = threading.Thread(target=observe)
        thread.start()
        try:
            for _ in range(300):
                values = {s.name: s.value for s in histogram.collect()[0].samples}
                assert values["h_count"] * 0.5 == values["h_sum"]
        finally:
            stop.set()
            thread.join()


def test_the_time_is_set_by_the_set_of_a_subclass(registry: CollectorRegistry) -> None:
    """Which may count what is set."""

    class Rounded(Gauge):
        def set(self, value: float) -> None:
            super().set(round(value, -3))

    Rounded("g", "G.", registry=registry).set_to_current_time()

    assert 0 == (registry.get_sample_value("g") or 1) % 1000


def test_facts_may_be_any_mapping(registry: CollectorRegistry) -> None:
    """As `dict` takes them."""
    info = Info("i", "I.", registry=registry)
    info.info(MappingProxyType({"version": "1"}))  # type: ignore[arg-type]

    assert 1 == registry.get_sample_value("i_info", {"version": "1"})
    with pytest.raises(TypeError, match="must be"):
        info.info({"port": 8080})  # type: ignore[dict-item]
