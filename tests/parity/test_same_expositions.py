"""The same program gives the same bytes on both packages, in both formats and with every way of
escaping names.

And the official parsers read ours back as what was collected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

Program = Callable[[Any, Any], object]
PROGRAMS: dict[str, Program] = {}
# The official parser is stricter than the official exposition.
REJECTED_BY_PARSER = {
    "exemplar_on_a_gauge",
    "histogram_below_zero",
    "odd_exemplars",
    "odd_samples",
    "odd_values",
    "values_of_any_type",
}
COUNTERS_WITH_UNIT = (
    "counter_with_full_name",
    "counter_with_unit_total",
    "families_with_labels",
)
# The other two are below: there the official client escapes sample names apart from their family's.
ESCAPINGS = ("underscores", "allow-utf-8")


def program(function: Program) -> Program:
    """Enter a program into the table: it gets a package and a registry, and makes metrics."""
    PROGRAMS[function.__name__] = function
    return function


class Fixed:
    """A collector that gives what it was given."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterable[Any]:
        return self.families


@program
def empty_registry(c: Any, r: Any) -> None:
    pass


@program
def counter(c: Any, r: Any) -> None:
    hits = c.core.Counter("hits", "Hits.", registry=r)
    hits.inc()
    hits.inc(2.5)


@program
def counter_named_total(c: Any, r: Any) -> None:
    c.core.Counter("hits_total", "Hits.", registry=r).inc(3)


@program
def counter_with_full_name(c: Any, r: Any) -> None:
    sent = c.core.Counter(
        "sent", "Sent.", ["host"], namespace="app", subsystem="mail", unit="bytes", registry=r
    )
    sent.labels("a").inc(12345678)
    sent.labels(host="b").inc(0.1)


@program
def counter_with_unit_total(c: Any, r: Any) -> None:
    c.core.Counter("requests", "Requests.", unit="total", registry=r)


@program
def counter_with_exemplars(c: Any, r: Any) -> None:
    hits = c.core.Counter("hits", "Hits.", ["path"], registry=r)
    hits.labels("/").inc(2, {"trace_id": "4bf92f", "span_id": "1"})
    hits.labels("/about").inc()


@program
def odd_exemplars(c: Any, r: Any) -> None:
    c.core.Counter("hits", "Hits.", registry=r).inc(2, {"b": 'a"b\\c\n', "a": "größe"})
    c.core.Counter("all", "All.", registry=r).inc(float("inf"), {})


@program
def counter_that_was_reset(c: Any, r: Any) -> None:
    hits = c.core.Counter("hits", "Hits.", registry=r)
    hits.inc(5)
    hits.reset()


@program
def gauge(c: Any, r: Any) -> None:
    queue = c.core.Gauge("queue", "Queue.", registry=r)
    queue.inc(3)
    queue.dec()


@program
def gauge_values(c: Any, r: Any) -> None:
    value = c.core.Gauge("value", "Value.", ["case"], registry=r)
    numbers = (
        0, -0.0, 1, 0.1, 1e-7, 123456, 1234567, 999999.5, 1e6, 1e15, 1e16, 1e21, 1e22, 1.5e300,
        -1e9, -1e16, 1 / 3, 2.5e-10, float("inf"), float("-inf"), float("nan"), 2**53,
        100000.0, 10000000.0,
    )  # fmt: skip
    for case, number in enumerate(numbers):
        value.labels(case).set(number)


@program
def gauge_functions(c: Any, r: Any) -> None:
    c.core.Gauge("computed", "Computed.", registry=r).set_function(lambda: 7)
    parent = c.core.Gauge("labelled", "Labelled.", ["x"], registry=r)
    parent.labels("a").set_function(lambda: 0.5)
    parent.labels("b").set(2)
    c.core.Gauge("now", "Now.", registry=r).set_to_current_time()


@program
def summary(c: Any, r: Any) -> None:
    latency = c.core.Summary("latency", "Latency.", ["path"], unit="seconds", registry=r)
    latency.labels("/").observe(0.25)
    latency.labels("/").observe(0.5)
    latency.labels("/about")


@program
def histogram(c: Any, r: Any) -> None:
    latency = c.core.Histogram("latency", "Latency.", registry=r)
    for value in (0.004, 0.005, 0.3, 7.5, 100):
        latency.observe(value)


@program
def histogram_with_buckets(c: Any, r: Any) -> None:
    size = c.core.Histogram("size", "Size.", ["kind"], buckets=("1", 10, 1e6, 1e7), registry=r)
    size.labels("a").observe(5)
    size.labels("b")


@program
def histogram_below_zero(c: Any, r: Any) -> None:
    error = c.core.Histogram("error", "Error.", buckets=(-1, 0, 1, float("inf")), registry=r)
    error.observe(-0.5)


@program
def histogram_with_exemplars(c: Any, r: Any) -> None:
    size = c.core.Histogram("size", "Size.", ["kind"], buckets=(1, 2), registry=r)
    size.labels("a").observe(0.5, {"trace_id": "first"})
    size.labels("a").observe(0.6, exemplar={"trace_id": "second"})
    size.labels("a").observe(50, {"trace_id": "third"})


@program
def info(c: Any, r: Any) -> None:
    c.core.Info("build", "Build.", registry=r).info({"version": "1.2", "branch": 'm"ain\n'})
    c.core.Info("host", "Host.", ["zone"], registry=r).labels("eu").info({"name": "a"})
    c.core.Info("unset", "Unset.", registry=r)


@program
def enum(c: Any, r: Any) -> None:
    c.core.Enum("task", "Task.", states=["new", "running", "done"], registry=r).state("running")
    workers = c.core.Enum("worker", "Worker.", ["id"], states=["idle", "busy"], registry=r)
    workers.labels("1").state("busy")
    workers.labels("2")


@program
def label_values(c: Any, r: Any) -> None:
    hits = c.core.Counter("hits", "Hits.", ["b", "a"], registry=r)
    for value in (
        "",
        "plain",
        'qu"ote',
        "back\\slash",
        "new\nline",
        "größe 🦀",
        None,
        3,
        2.5,
        True,
    ):
        hits.labels(value, "x").inc()


@program
def help_texts(c: Any, r: Any) -> None:
    for index, text in enumerate(
        ("", "back\\slash", "new\nline", 'qu"ote', "größe", "two  blanks")
    ):
        c.core.Gauge(f"gauge_{index}", text, registry=r)


@program
def names_in_utf8(c: Any, r: Any) -> None:
    c.core.Counter("http.hits", "Hits.", ["my.label", "größe"], registry=r).labels("a", "b").inc()
    c.core.Gauge("größe_in_m", "Size.", registry=r).set(1)
    c.core.Gauge("0digit", "Digit.", registry=r).set(1)
    c.core.Gauge('quo"te', "Quote.", ['qu"ote'], registry=r).labels("x").set(1)
    c.core.Histogram("my.size", "Size.", ["l:1"], buckets=(1,), registry=r).labels("x").observe(2)
    c.core.Summary("under_score.dot", "Both.", registry=r).observe(2)
    c.core.Info("my.info", "Info.", registry=r).info({"a.b": "c"})
    c.core.Enum("my.enum", "Enum.", states=["a.b", "c"], registry=r)


@program
def created_switched_off(c: Any, r: Any) -> None:
    c.metrics.disable_created_metrics()
    c.core.Counter("hits", "Hits.", registry=r).inc()
    c.core.Summary("latency", "Latency.", ["a"], registry=r).labels("b").observe(1)
    c.core.Histogram("size", "Size.", buckets=(1,), registry=r).observe(1)


@program
def removed_series(c: Any, r: Any) -> None:
    hits = c.core.Counter("hits", "Hits.", ["a", "b"], registry=r)
    for a in "xyz":
        for b in "12":
            hits.labels(a, b).inc()
    hits.remove("x", "1")
    hits.remove("never", "there")
    hits.remove_by_labels({"b": "2"})
    gone = c.core.Gauge("gone", "Gone.", ["a"], registry=r)
    gone.labels("x").set(1)
    gone.clear()


@program
def unregistered_metric(c: Any, r: Any) -> None:
    first = c.core.Gauge("first", "First.", registry=r)
    c.core.Gauge("second", "Second.", registry=r)
    r.unregister(first)
    c.core.Gauge("first", "Again.", registry=r)


@program
def target_info(c: Any, r: Any) -> None:
    c.core.Gauge("queue", "Queue.", registry=r)
    r.set_target_info({"env": "test", "zone": 'e"u'})


@program
def families_with_a_value(c: Any, r: Any) -> None:
    f = c.core
    r.register(
        Fixed(
            f.UnknownMetricFamily("u", "Unknown.", value=1, unit="seconds"),
            f.UntypedMetricFamily("v", "Untyped.", value=2),
            f.CounterMetricFamily("c_total", "Counter.", value=3, created=12.5),
            f.GaugeMetricFamily("g", "Gauge.", value=4),
            f.SummaryMetricFamily("s", "Summary.", count_value=5, sum_value=6.5),
            f.HistogramMetricFamily(
                "h", "Histogram.", buckets=[("1", 1), ("+Inf", 2)], sum_value=7
            ),
            f.HistogramMetricFamily("h2", "No sum.", buckets=[("1", 1), ("+Inf", 2)]),
            f.HistogramMetricFamily(
                "h3", "Below zero.", buckets=[("-1", 1), ("+Inf", 2)], sum_value=7
            ),
            f.GaugeHistogramMetricFamily(
                "gh", "Gauge histogram.", buckets=[("1", 1), ("+Inf", 2)], gsum_value=8
            ),
            f.InfoMetricFamily("i", "Info.", value={"version": "1"}),
            f.StateSetMetricFamily("st", "States.", value={"b": True, "a": False}),
        )
    )


@program
def families_with_labels(c: Any, r: Any) -> None:
    f, exemplar = c.core, c.core.Exemplar({"t": "1"}, 0.5, 3.25)
    families: list[Any] = [
        f.UnknownMetricFamily("u", "Unknown.", labels=["a"]),
        f.CounterMetricFamily("c", "Counter.", labels=iter(["a"]), unit="bytes"),
        f.GaugeMetricFamily("g", "Gauge.", labels=("a",)),
        f.SummaryMetricFamily("s", "Summary.", labels=["a"]),
        f.HistogramMetricFamily("h", "Histogram.", labels=["a"]),
        f.GaugeHistogramMetricFamily("gh", "Gauge histogram.", labels=["a"]),
        f.InfoMetricFamily("i", "Info.", labels=["a"]),
        f.StateSetMetricFamily("st", "States.", labels=["a"]),
    ]
    u, counters, g, s, h, gh, i, st = families
    u.add_metric(["x"], 1, timestamp=12.25)
    counters.add_metric(["x"], 2, created=1.5, exemplar=exemplar)
    counters.add_metric(["y"], 3, timestamp=7)
    g.add_metric(["x"], 4, timestamp=f.Timestamp(12, 345678901))
    s.add_metric(["x"], 5, 6)
    h.add_metric(["x"], [("0.5", 1), ("+Inf", 2, exemplar)], 9, timestamp=1.0)
    gh.add_metric(["x"], [("0.5", 1), ("+Inf", 2)], 9)
    i.add_metric(["x"], {"version": "1"})
    st.add_metric(["x"], {"b": True, "a": False})
    r.register(Fixed(*families, f.GaugeMetricFamily("none", "No samples.", labels=["a"])))


@program
def odd_samples(c: Any, r: Any) -> None:
    family = c.core.Metric("odd", "Odd.", "summary")
    family.add_sample("odd", {"quantile": "0.5", "B": "1", "a": "2"}, 1)
    family.add_sample("other_name", {}, 2)
    family.add_sample("odd_created", {"a": "1"}, 3)
    family.add_sample("odd_gsum", {"a": "1"}, 4)
    family.add_sample("odd_sum", {"a": "1"}, 5)
    r.register(Fixed(family))


@program
def values_of_any_type(c: Any, r: Any) -> None:
    family = c.core.GaugeMetricFamily("g", "Gauge.", labels=["a"])
    values = (1, True, Decimal("1.5"), Fraction(1, 4), 2**60, "2.5", " 7 ")
    for index, value in enumerate(values):
        family.add_metric([str(index)], value)
    r.register(Fixed(family))


@program
def exemplar_on_a_gauge(c: Any, r: Any) -> None:
    family = c.core.Metric("g", "Gauge.", "gauge")
    family.add_sample("g", {}, 1, exemplar=c.core.Exemplar({"a": "b"}, 1))
    r.register(Fixed(family))


@program
def odd_values(c: Any, r: Any) -> None:
    c.core.Summary("nan", "NaN.", registry=r).observe(float("nan"))
    c.core.Summary("negative", "Below zero.", registry=r).observe(-1)
    c.core.Histogram("no_bucket", "NaN.", buckets=(1,), registry=r).observe(float("nan"))
    c.core.Histogram("inf", "Inf.", buckets=(1,), registry=r).observe(float("inf"))
    c.core.Counter("hits", "Hits.", registry=r).inc(float("inf"))


def collected(registry: Any) -> list[Any]:
    """Give what a registry collects as plain tuples."""
    return [
        (
            family.name,
            family.documentation,
            family.type,
            family.unit,
            [
                (s.name, s.labels, repr(float(s.value)), _time(s.timestamp), s.exemplar)
                for s in family.samples
            ],
        )
        for family in registry.collect()
    ]


def _time(timestamp: Any) -> Any:
    return timestamp if timestamp is None else str(timestamp)


@pytest.mark.parametrize("escaping", ESCAPINGS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_both_packages_write_the_same_text(name: str, escaping: str, same: Any) -> None:
    """Text format, byte for byte."""

    def run(c: Any) -> bytes:
        registry = c.core.CollectorRegistry()
        PROGRAMS[name](c, registry)
        return c.exposition.generate_latest(registry, escaping)

    same(run)


@pytest.mark.parametrize("escaping", ESCAPINGS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_both_packages_write_the_same_openmetrics(name: str, escaping: str, same: Any) -> None:
    """OpenMetrics, byte for byte."""

    def run(c: Any) -> bytes:
        registry = c.core.CollectorRegistry()
        PROGRAMS[name](c, registry)
        return c.openmetrics.generate_latest(registry, escaping)

    same(run)


@pytest.mark.parametrize("escaping", ["underscores", "allow-utf-8"])
def test_a_colon_is_part_of_a_metric_name_in_text(escaping: str, same: Any) -> None:
    """Of recording rules that are exposed again. OpenMetrics: see below."""

    def run(c: Any) -> bytes:
        registry = c.core.CollectorRegistry()
        c.core.Gauge("job:hits:rate5m", "Rule.", ["a"], registry=registry).labels("b").set(1)
        return c.exposition.generate_latest(registry, escaping)

    same(run)


def test_a_colon_is_part_of_a_metric_name_in_openmetrics(ours: Any) -> None:
    """The official client loses it in the sample, so that sample and family part."""
    registry = ours.core.CollectorRegistry()
    ours.core.Gauge("job:hits:rate5m", "Rule.", registry=registry).set(1)

    assert b"\njob:hits:rate5m 1.0\n" in ours.openmetrics.generate_latest(registry)


@pytest.mark.parametrize(
    ("name", "escaping"),
    [
        (name, escaping)
        for name in sorted(set(PROGRAMS) - REJECTED_BY_PARSER)
        for escaping in ("dots", "values")
        # ``sent__bytes_`` with ``_total``: the unit is not the end of such a name.
        if (name, escaping) not in [(unit, "dots") for unit in COUNTERS_WITH_UNIT]
    ],
)
def test_escaped_names_keep_family_and_samples_together(
    name: str, escaping: str, ours: Any
) -> None:
    """
    The official parser finds every sample in its family, whichever way names are escaped.

    The official client escapes the suffix with the rest: ``latency__bucket`` in a family
    ``latency``, which its own parser refuses.
    """
    registry = ours.core.CollectorRegistry()
    PROGRAMS[name](ours, registry)
    escaped, plain = (
        list(parse_openmetrics(ours.openmetrics.generate_latest(registry, way).decode()))
        for way in (escaping, "allow-utf-8")
    )

    assert [_suffixes(family) for family in plain] == [_suffixes(family) for family in escaped]


def _suffixes(family: Any) -> list[str]:
    assert all(sample.name.startswith(family.name) for sample in family.samples)
    return [sample.name[len(family.name) :] for sample in family.samples]


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_packages_collect_the_same(name: str, same: Any) -> None:
    """The families and samples that `collect()` gives are equal, in the same order."""

    def run(c: Any) -> list[Any]:
        registry = c.core.CollectorRegistry()
        PROGRAMS[name](c, registry)
        return collected(registry)

    same(run)


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - REJECTED_BY_PARSER))
def test_the_official_parser_reads_our_openmetrics_as_what_was_collected(
    name: str, ours: Any
) -> None:
    """Nothing is lost or changed between our collectors and somebody else's parser."""
    registry = ours.core.CollectorRegistry()
    PROGRAMS[name](ours, registry)
    text = ours.openmetrics.generate_latest(registry, "allow-utf-8").decode()

    assert [_parts(f) for f in registry.collect()] == [_parts(f) for f in parse_openmetrics(text)]


@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - REJECTED_BY_PARSER))
def test_the_official_parser_reads_the_samples_of_our_text(name: str, ours: Any) -> None:
    """The text format renames families, but its samples keep names, labels and values."""
    registry = ours.core.CollectorRegistry()
    PROGRAMS[name](ours, registry)
    text = ours.exposition.generate_latest(registry, "allow-utf-8").decode()

    assert _samples(registry.collect()) == _samples(parse_text(text))


def _parts(family: Any) -> Any:
    samples = [
        (
            s.name,
            s.labels,
            repr(float(s.value)),
            _moment(s.timestamp),
            s.exemplar and s.exemplar[:2],
        )
        for s in family.samples
    ]
    return family.name, family.documentation, family.type, family.unit, samples


def _moment(timestamp: Any) -> Any:
    return timestamp if timestamp is None else float(timestamp)


def _samples(families: Iterable[Any]) -> list[Any]:
    return sorted(
        (s.name, sorted(s.labels.items()), repr(float(s.value)))
        for family in families
        for s in family.samples
    )
