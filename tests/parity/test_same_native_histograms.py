"""Native histograms and exact times: the same bytes, in the formats that have them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

VERSIONS = ["1.0.0", "1.9.9", "2.0", "2.0.0", "2.0.1", "10.0.0"]
ESCAPINGS = ["underscores", "allow-utf-8"]


class Fixed:
    """A collector that gives what it was given."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterable[Any]:
        return self.families


def histograms(c: Any) -> Fixed:
    """Give histograms with everything, with nothing, and beside buckets."""
    span = c.samples.BucketSpan
    exemplar = c.samples.Exemplar({"trace": "t"}, 0.5, c.samples.Timestamp(12, 5))
    full = c.samples.NativeHistogram(
        *(24, 100.5, 3, 2.938735877055719e-39, 4),
        pos_spans=[span(0, 2), span(-3, 2)],
        neg_spans=((1, 1),),
        pos_deltas=(2, 1, -3, 3),
        neg_deltas=[7],
        nh_exemplars=[exemplar, c.samples.Exemplar({}, 2)],
    )
    empty = c.samples.NativeHistogram(0, 0, -4, 0, 0.0)
    floats = c.samples.NativeHistogram(1e16, float("nan"), 0, 1e-5, 2.5, None, [], [1], None)
    family = c.core.Metric("size", "Sizes.", "histogram")
    family.add_sample("size", {"a": "b"}, None, 12, exemplar, full)
    family.add_sample("size", {}, None, None, None, empty)
    family.add_sample("size", None, None, native_histogram=floats)
    family.add_sample("size_bucket", {"le": "+Inf"}, 3.0, None, exemplar)
    dotted = c.core.Metric("a.b", "Dotted.", "histogram")
    dotted.add_sample("a.b", {"c.d": "e"}, None, native_histogram=empty)
    dotted.add_sample("a.b", {}, None, native_histogram=empty)
    return Fixed(family, dotted)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("escaping", ESCAPINGS)
def test_openmetrics_has_them_from_2_0_on(version: str, escaping: str, same: Any) -> None:
    """Before that the rest of the family is written."""

    def run(c: Any) -> str:
        text: bytes = c.openmetrics.generate_latest(histograms(c), escaping, version)
        return text.decode()

    text = same(run)

    assert ("zero_count" in text) == (version not in ("1.0.0", "1.9.9", "2.0"))
    assert "size_bucket" in text


def test_an_exemplar_of_a_family_that_can_have_none_is_refused(same: Any) -> None:
    """As one beside a value is."""

    def run(c: Any) -> str:
        family = c.core.Metric("size", "Sizes.", "gauge")
        exemplar = c.samples.Exemplar({}, 1)
        histogram = c.samples.NativeHistogram(1, 1, 0, 0, 0, nh_exemplars=[exemplar])
        family.add_sample("size", {}, None, native_histogram=histogram)
        with pytest.raises(ValueError) as error:
            c.openmetrics.generate_latest(Fixed(family), version="2.0.0")
        return str(error.value.args[0])

    same(run)


def test_the_text_format_leaves_them_out(ours: Any) -> None:
    """The official client's raises a TypeError, and nothing is scraped."""
    text = ours.exposition.generate_latest(histograms(ours)).decode()

    assert "# TYPE size histogram\nsize_bucket" in text
    assert "count:" not in text


def test_who_asks_for_2_0_gets_them(same: Any) -> None:
    """By the header, with the content type that says so."""

    def run(c: Any) -> list[object]:
        accept = "application/openmetrics-text; version=2.0.0; escaping=allow-utf-8"
        encode, content_type = c.exposition.choose_encoder(accept)
        return [content_type, encode(histograms(c)).decode()]

    assert "version=2.0.0" in same(run)[0]


def test_a_version_that_nobody_knows_is_not_claimed(ours: Any) -> None:
    """The official client answers with whatever number it was asked for."""
    registry = ours.package.CollectorRegistry()
    registry.register(histograms(ours))
    for version, answered in [("1.7.0", "1.0.0"), ("9.9.9", "2.0.0")]:
        accept = f"application/openmetrics-text; version={version}"
        encode, content_type = ours.exposition.choose_encoder(accept)
        _, headers, body = ours.exposition._bake_output(registry, accept, None, {}, False)

        assert f"version={answered};" in content_type
        assert [("Content-Type", content_type)] == headers
        assert encode(registry) == body


@pytest.mark.parametrize("kind", ["seconds", "whole", "exact", "large"])
def test_an_exemplar_keeps_its_time_as_it_came(kind: str, same: Any) -> None:
    """A float of seconds would lose the nanoseconds, and a point is not added."""

    def run(c: Any) -> str:
        time = {
            "seconds": 1700000000.25,
            "whole": 1700000000,
            "exact": c.samples.Timestamp(1700000000, 123456789),
            "large": 10**25,
        }[kind]
        family = c.core.CounterMetricFamily("hits", "Hits.", labels=["a"])
        family.add_metric(
            ["b"], 1, timestamp=time, exemplar=c.samples.Exemplar({"t": "u"}, 1, time)
        )
        text: bytes = c.openmetrics.generate_latest(Fixed(family))
        return text.decode()

    text = same(run)

    if kind == "exact":
        assert 2 == text.count(" 1700000000.123456789")


def test_what_is_written_is_read_back(same: Any) -> None:
    """Each package reads its own text, and both get the same; counts must be whole for that."""

    def run(c: Any) -> list[str]:
        span = c.samples.BucketSpan(0, 2)
        family = c.core.Metric("size", "Sizes.", "histogram")
        histogram = c.samples.NativeHistogram(3, 1.5, 0, 0.0, 1, [span], None, [1, -1])
        family.add_sample("size", {"a": "b"}, None, native_histogram=histogram)
        text = c.openmetrics.generate_latest(Fixed(family), version="2.0.0").decode()
        return list(map(repr, c.openmetrics_parser.text_string_to_metric_families(text)))

    [family] = same(run)

    assert "pos_deltas=(1, -1), neg_deltas=None" in family
