"""OpenMetrics: what the format has and text has not, and names that not every reader knows."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tallymark import CollectorRegistry, Counter, Gauge, Histogram
from tallymark.core import Exemplar, GaugeMetricFamily, Metric, NativeHistogram
from tallymark.openmetrics.exposition import (
    ALLOWUTF8,
    DOTS,
    UNDERSCORES,
    VALUES,
    escape_label_name,
    escape_metric_name,
    generate_latest,
)


class Fixed:
    """A collector of one family."""

    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> list[Metric]:
        return [self.family]


def test_units_and_the_end_are_written(registry: CollectorRegistry) -> None:
    """The end tells a whole exposition from a broken connection."""
    Gauge("queue", "Jobs.", unit="jobs", registry=registry)

    assert (
        b"# HELP queue_jobs Jobs.\n# TYPE queue_jobs gauge\n# UNIT queue_jobs jobs\n"
        b"queue_jobs 0.0\n# EOF\n"
    ) == generate_latest(registry)


def test_exemplars_are_written_with_their_time(
    registry: CollectorRegistry, stopped_clock: object
) -> None:
    """Of counters and buckets, and read back by the official parser."""
    Counter("hits", "h", registry=registry).inc(2, {"trace_id": "a"})
    Histogram("size", "h", buckets=(1,), registry=registry).observe(0.5, {"trace_id": "b"})
    text = generate_latest(registry).decode()

    assert 'hits_total 2.0 # {trace_id="a"} 2.0 1234.5\n' in text
    assert 'size_bucket{le="1.0"} 1.0 # {trace_id="b"} 0.5 1234.5\n' in text

    families = list(text_string_to_metric_families(text))

    assert ["a", "b"] == [
        sample.exemplar.labels["trace_id"]
        for family in families
        for sample in family.samples
        if sample.exemplar
    ]


def test_an_exemplar_where_none_may_be_names_the_family(registry: CollectorRegistry) -> None:
    """The text format would leave it out; here it is a mistake."""
    family = GaugeMetricFamily("g", "h")
    family.add_sample("g", {}, 1, exemplar=Exemplar({"a": "b"}, 1))
    registry.register(Fixed(family))

    with pytest.raises(ValueError) as caught:
        generate_latest(registry)

    assert family is caught.value.args[-1]


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("1.0.0", b""),
        ("2.0.0", b"h {count:1,sum:2,schema:3,zero_threshold:4,zero_count:5}\n"),
    ],
)
def test_native_histograms_are_written_from_2_0_on(
    version: str, line: bytes, registry: CollectorRegistry
) -> None:
    """OpenMetrics 1.0 has none."""
    family = Metric("h", "h", "histogram")
    state = NativeHistogram(1, 2, 3, 4, 5)
    family.add_sample("h", {}, 0, native_histogram=state)
    registry.register(Fixed(family))

    text = generate_latest(registry, version=version)

    assert b"# HELP h h\n# TYPE h histogram\n" + line + b"# EOF\n" == text


@pytest.mark.parametrize(
    ("escaping", "metric", "label"),
    [
        (UNDERSCORES, "a_b:c_d", "a_b_c_d"),
        (DOTS, "a_dot_b:c__d", "a_dot_b__c__d"),
        (VALUES, "U__a_2e_b:c__d", "U__a_2e_b_3a_c__d"),
        (ALLOWUTF8, '"a.b:c_d"', '"a.b:c_d"'),
    ],
)
def test_a_name_is_written_as_its_reader_can_read_it(
    escaping: str, metric: str, label: str
) -> None:
    """A colon is part of metric names only."""
    assert metric == escape_metric_name("a.b:c_d", escaping)
    assert label == escape_label_name("a.b:c_d", escaping)


@pytest.mark.parametrize("name", ["a.b", "größe", "0a", "_", "__x", "a b", "U__a", "🦀"])
@pytest.mark.parametrize("escaping", [UNDERSCORES, DOTS, VALUES, ALLOWUTF8])
def test_functions_and_expositions_write_names_alike(
    name: str, escaping: str, registry: CollectorRegistry
) -> None:
    """There are two implementations, one in each language."""
    Gauge(name, "h", registry=registry)
    help_line = generate_latest(registry, escaping).decode().splitlines()[0]

    assert f"# HELP {escape_metric_name(name, escaping)} h" == help_line
