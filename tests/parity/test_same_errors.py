"""What one package refuses the other refuses, with an error of the same type and the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

Case = Callable[[Any, Any], object]
CASES: dict[str, Case] = {
    # Names.
    "empty name": lambda c, r: c.core.Counter("", "h", registry=r),
    "unit of an info": lambda c, r: c.core.Info("i", "h", unit="seconds", registry=r),
    "unit of an enum": lambda c, r: c.core.Enum("e", "h", unit="s", states=["a"], registry=r),
    "surrogate in a name": lambda c, r: c.core.Gauge("a\ud800", "h", registry=r),
    # Labels.
    "parent inc": lambda c, r: c.core.Counter("n", "h", ["a"], registry=r).inc(),
    "parent set": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).set(1),
    "parent observe": lambda c, r: c.core.Summary("n", "h", ["a"], registry=r).observe(1),
    "parent bucket": lambda c, r: c.core.Histogram("n", "h", ["a"], registry=r).observe(1),
    "parent state": lambda c, r: c.core.Enum("n", "h", ["a"], states=["b"], registry=r).state("b"),
    "parent time": lambda c, r: _enter(c.core.Summary("n", "h", ["a"], registry=r).time()),
    "parent inprogress": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).track_inprogress(),
    "no labels": lambda c, r: c.core.Counter("n", "h", registry=r).labels("x"),
    "labels twice": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).labels("x").labels("y"),
    "both styles": lambda c, r: c.core.Gauge("n", "h", ["a", "b"], registry=r).labels("x", b="y"),
    "wrong name": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).labels(b="x"),
    "missing name": lambda c, r: c.core.Gauge("n", "h", ["a", "b"], registry=r).labels(a="x"),
    "too few values": lambda c, r: c.core.Gauge("n", "h", ["a", "b"], registry=r).labels("x"),
    "no values": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).labels(),
    "remove too few": lambda c, r: c.core.Gauge("n", "h", ["a", "b"], registry=r).remove("x"),
    "remove without labels": lambda c, r: c.core.Gauge("n", "h", registry=r).remove("x"),
    "remove_by_labels list": lambda c, r: c.core.Gauge(
        "n", "h", ["a"], registry=r
    ).remove_by_labels(["a"]),
    "remove_by_labels name": lambda c, r: c.core.Gauge(
        "n", "h", ["a"], registry=r
    ).remove_by_labels({"b": "x"}),
    "remove_by_labels without": lambda c, r: c.core.Gauge("n", "h", registry=r).remove_by_labels(
        {"a": "x"}
    ),
    "remove_by_labels nothing": lambda c, r: c.core.Gauge(
        "n", "h", ["a"], registry=r
    ).remove_by_labels({}),
    "clear without labels": lambda c, r: c.core.Gauge("n", "h", registry=r).clear(),
    # Values.
    "inc below zero": lambda c, r: c.core.Counter("n", "h", registry=r).inc(-1),
    "set text": lambda c, r: c.core.Gauge("n", "h", registry=r).set("x"),
    "mode": lambda c, r: c.core.Gauge("n", "h", multiprocess_mode="x", registry=r),
    "inc mostrecent": lambda c, r: c.core.Gauge(
        "n", "h", multiprocess_mode="mostrecent", registry=r
    ).inc(),
    "unsorted buckets": lambda c, r: c.core.Histogram("n", "h", buckets=(2, 1), registry=r),
    "no buckets": lambda c, r: c.core.Histogram("n", "h", buckets=(), registry=r),
    "one bucket": lambda c, r: c.core.Histogram("n", "h", buckets=("+Inf",), registry=r),
    "no states": lambda c, r: c.core.Enum("n", "h", registry=r),
    "label like the enum": lambda c, r: c.core.Enum("n", "h", ["n"], states=["a"], registry=r),
    "info with None": lambda c, r: c.core.Info("n", "h", registry=r).info({"a": None}),
    # Families of collectors.
    "empty family name": lambda c, r: c.core.Metric("", "h", "gauge"),
    "family type": lambda c, r: c.core.Metric("n", "h", "x"),
    "value and labels": lambda c, r: c.core.GaugeMetricFamily("n", "h", value=1, labels=["a"]),
    "counter and labels": lambda c, r: c.core.CounterMetricFamily("n", "h", value=1, labels=["a"]),
    "unknown and labels": lambda c, r: c.core.UnknownMetricFamily("n", "h", value=1, labels=["a"]),
    "info and labels": lambda c, r: c.core.InfoMetricFamily("n", "h", value={}, labels=["a"]),
    "states and labels": lambda c, r: c.core.StateSetMetricFamily("n", "h", value={}, labels=["a"]),
    "count without sum": lambda c, r: c.core.SummaryMetricFamily("n", "h", count_value=1),
    "sum without count": lambda c, r: c.core.SummaryMetricFamily("n", "h", sum_value=1),
    "summary and labels": lambda c, r: c.core.SummaryMetricFamily(
        "n", "h", count_value=1, sum_value=1, labels=["a"]
    ),
    "sum without buckets": lambda c, r: c.core.HistogramMetricFamily("n", "h", sum_value=1),
    "buckets and labels": lambda c, r: c.core.HistogramMetricFamily(
        "n", "h", buckets=[("+Inf", 1)], labels=["a"]
    ),
    "buckets a dict": lambda c, r: c.core.HistogramMetricFamily("n", "h", buckets={}, sum_value=1),
    "gauge buckets and labels": lambda c, r: c.core.GaugeHistogramMetricFamily(
        "n", "h", buckets=[("+Inf", 1)], labels=["a"]
    ),
    "gauge buckets a dict": lambda c, r: c.core.GaugeHistogramMetricFamily("n", "h", buckets={}),
    "nanoseconds": lambda c, r: c.core.Timestamp(1, 1000000000),
    # Registries.
    "duplicate": lambda c, r: [c.core.Gauge("n", "h", registry=r) for _ in range(2)],
    "unregister": lambda c, r: _type(r.unregister, object()),
    "target_info claimed": lambda c, r: [
        r.register(Fixed(c.core.InfoMetricFamily("target", "h", value={"a": "b"}))),
        r.set_target_info({"a": "b"}),
    ],
    "target_info claimed first": lambda c, r: [
        r.set_target_info({"a": "b"}),
        r.register(Fixed(c.core.InfoMetricFamily("target", "h", value={"a": "b"}))),
    ],
}
# Cases whose text we have mended: the type is the same.
TYPES: dict[str, Case] = {
    "reserved le": lambda c, r: c.core.Histogram("n", "h", ["le"], registry=r),
    "reserved quantile": lambda c, r: c.core.Summary("n", "h", ["quantile"], registry=r),
    "reserved prefix": lambda c, r: c.core.Gauge("n", "h", ["__a"], registry=r),
    "unprintable value": lambda c, r: c.core.Gauge("n", "h", ["a"], registry=r).labels(
        Unprintable()
    ),
    "inc text": lambda c, r: c.core.Counter("n", "h", registry=r).inc("x"),
    "inc nothing": lambda c, r: c.core.Counter("n", "h", registry=r).inc(None),
    "observe text": lambda c, r: c.core.Summary("n", "h", registry=r).observe("x"),
    "observe nothing": lambda c, r: c.core.Histogram("n", "h", registry=r).observe(None),
    "long exemplar": lambda c, r: c.core.Counter("n", "h", registry=r).inc(1, {"a": "b" * 128}),
    "exemplar name": lambda c, r: c.core.Counter("n", "h", registry=r).inc(1, {"__a": "b"}),
    "unknown state": lambda c, r: c.core.Enum("n", "h", states=["a"], registry=r).state("b"),
    "duplicates": lambda c, r: [c.core.Histogram("n", "h", registry=r) for _ in range(2)],
    "parent reset": lambda c, r: c.core.Counter("n", "h", ["a"], registry=r).reset(),
    "info with a label": lambda c, r: (
        c.core.Info("n", "h", ["a"], registry=r).labels("x").info({"a": "y"})
    ),
    "text as a bound": lambda c, r: c.core.Histogram("n", "h", buckets=("x",), registry=r),
}
# What a collector may hand over by mistake, and only writing finds out.
VALUES: dict[str, object] = {
    "none": None,
    "list": [],
    "dict": {},
    "empty text": "",
    "text": "x",
    "object": object(),
}


class Fixed:
    """A collector that gives what it was given."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterable[Any]:
        return self.families

    describe = collect


class Unprintable:
    """A label value that has no text."""

    def __str__(self) -> str:
        return 3  # type: ignore[return-value]


def _enter(timer: Any) -> None:
    with timer:
        pass


def _type(function: Callable[..., object], *arguments: object) -> str:
    try:
        function(*arguments)
    except Exception as error:
        return type(error).__name__
    return "nothing raised"


@pytest.mark.parametrize("name", CASES)
def test_an_error_has_the_same_type_and_text(name: str, same: Any) -> None:
    """Handlers that look at either go on working, and so do those for what is no error."""
    case = CASES[name]

    def run(c: Any) -> str:
        result = case(c, c.core.CollectorRegistry())
        return result if isinstance(result, str) else "nothing raised"

    same(run)


@pytest.mark.parametrize("name", TYPES)
def test_an_error_has_the_same_type(name: str, same: Any) -> None:
    """Where the official text is odd or depends on the interpreter, the type is what matters."""
    case = TYPES[name]

    raised = same(lambda c: _type(case, c, c.core.CollectorRegistry()))

    assert "nothing raised" != raised


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in VALUES
        for kind in ("exposition", "openmetrics")
        # There the official client writes a line without a value, which no parser reads.
        if (name, kind) != ("none", "openmetrics")
    ],
)
def test_a_value_that_is_no_number_names_its_family(name: str, kind: str, same: Any) -> None:
    """Whatever `float()` raises, the family is the last of the exception's arguments."""

    def run(c: Any) -> list[str]:
        registry = c.core.CollectorRegistry()
        family = c.core.Metric("n", "h", "gauge")
        family.add_sample("n", {}, VALUES[name])
        registry.register(Fixed(family))
        try:
            getattr(c, kind).generate_latest(registry)
        except Exception as error:
            return [type(error).__name__, repr(error.args[-1] is family)]
        return ["written"]

    same(run)


@pytest.mark.parametrize("kind", ["exposition", "openmetrics"])
def test_a_label_value_that_is_no_text_names_its_family(kind: str, same: Any) -> None:
    """As for values, with the error that the official client happens to raise."""

    def run(c: Any) -> list[str]:
        registry = c.core.CollectorRegistry()
        family = c.core.GaugeMetricFamily("n", "h", labels=["a"])
        family.add_metric([None], 1)
        registry.register(Fixed(family))
        try:
            getattr(c, kind).generate_latest(registry)
        except Exception as error:
            return [type(error).__name__, repr(error.args[-1] is family)]
        return ["written"]

    assert ["AttributeError", "True"] == same(run)


def test_a_refused_enum_leaves_nothing_behind(same: Any) -> None:
    """The name is free for the next try."""

    def run(c: Any) -> str:
        registry = c.core.CollectorRegistry()
        with pytest.raises(ValueError):
            c.core.Enum("n", "h", registry=registry)
        return repr(c.core.Enum("n", "h", states=["a"], registry=registry)).rpartition(".")[2]

    same(run)


def test_legacy_validation_refuses_the_same_names(same: Any) -> None:
    """The old switch works, and off again everything is a name."""

    def run(c: Any) -> list[str]:
        c.validation.enable_legacy_validation()
        try:
            return [
                _type(c.core.Gauge, "a.b", "h", registry=None),
                _type(c.core.Gauge, "1a", "h", registry=None),
                _type(c.core.Gauge, "a", "h", ["b.c"], registry=None),
                _type(c.core.Gauge, "a:b", "h", ["c"], registry=None),
                _type(c.core.Metric, "a.b", "h", "gauge"),
            ]
        finally:
            c.validation.disable_legacy_validation()

    same(run)
