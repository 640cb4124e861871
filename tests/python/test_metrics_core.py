"""Families are values: they compare, print and hold exactly what was put into them."""

from __future__ import annotations

import pytest
from tallymark import core, generate_latest, metrics_core, registry, samples
from tallymark.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    Sample,
    Timestamp,
    UnknownMetricFamily,
    UntypedMetricFamily,
)


def test_families_are_equal_if_all_their_parts_are() -> None:
    """Name, help, type, unit and samples."""
    family = Metric("m", "h", "gauge", "bytes")
    family.add_sample("m_bytes", {"a": "b"}, 1)
    same = Metric("m_bytes", "h", "gauge", "bytes")
    same.samples = [Sample("m_bytes", {"a": "b"}, 1)]

    assert same == family
    assert Metric("m", "h", "gauge", "bytes") != family
    assert "m" != family
    assert "Metric(m_bytes, h, gauge, bytes, [])" == repr(Metric("m", "h", "gauge", "bytes"))


def test_families_are_not_hashable() -> None:
    """They change."""
    with pytest.raises(TypeError):
        hash(Metric("m", "h", "gauge"))


def test_untyped_is_another_word_for_unknown() -> None:
    """Both in the class and in the type."""
    assert "unknown" == Metric("m", "h", "untyped").type
    assert UnknownMetricFamily is UntypedMetricFamily


def test_a_counter_loses_its_suffix_before_it_gets_its_unit() -> None:
    """So that the samples have both, in the right order."""
    family = CounterMetricFamily("sent_total", "h", unit="bytes", value=1)

    assert ("sent_bytes", "sent_bytes_total") == (family.name, family.samples[0].name)


def test_label_names_may_come_from_an_iterator() -> None:
    """They are kept as a tuple."""
    family = GaugeMetricFamily("g", "h", labels=iter(["a", "b"]))
    family.add_metric(iter(["x", "y"]), 1)

    assert ("a", "b") == family._labelnames
    assert {"a": "x", "b": "y"} == family.samples[0].labels


def test_samples_do_not_share_their_labels() -> None:
    """Whoever changes those of one would change the others'."""
    family = HistogramMetricFamily("h", "h", labels=["a"])
    family.add_metric(["x"], [("1", 1), ("+Inf", 2)], 3)
    counter = CounterMetricFamily("c", "h", value=1, created=2)

    for samples_of in (family.samples, counter.samples):
        assert len(samples_of) == len({id(sample.labels) for sample in samples_of})


def test_a_bucket_may_have_an_exemplar() -> None:
    """As the third of its elements."""
    exemplar = Exemplar({"t": "1"}, 0.5)
    family = HistogramMetricFamily("h", "h", buckets=[("1", 1, exemplar), ("+Inf", 2)])

    assert [exemplar, None] == [sample.exemplar for sample in family.samples]


def test_a_gauge_histogram_without_a_sum_cannot_be_written() -> None:
    """A sum that is missing should be seen; the official client's tests ask for this very error."""
    family = GaugeHistogramMetricFamily("g", "h", buckets=[("+Inf", 2)])

    class Fixed:
        def collect(self) -> list[Metric]:
            return [family]

    assert ["g_bucket", "g_gcount", "g_gsum"] == [sample.name for sample in family.samples]
    with pytest.raises(TypeError) as caught:
        generate_latest(Fixed())
    assert family is caught.value.args[-1]


def test_timestamps_compare_and_print() -> None:
    """To the nanosecond, also before 1970."""
    assert Timestamp(1, 1) == Timestamp(1, 1) != Timestamp(1, 2)
    assert Timestamp(1, 1) < Timestamp(1, 2) < Timestamp(2, 0) > Timestamp(1, 999)
    assert "1.000000001" == str(Timestamp(1, 1))
    assert "-1.500000000" == str(Timestamp(-1, 500000000))
    assert -1.5 == float(Timestamp(-1, 500000000))
    assert "Timestamp(1, 1)" == repr(Timestamp(1, 1))
    assert 1 == len({Timestamp(1, 1), Timestamp(1, 1)})


@pytest.mark.parametrize("nanoseconds", [-1, 1e9, float("nan")])
def test_nanoseconds_are_less_than_a_second(nanoseconds: float) -> None:
    """A typing error would move a sample by years."""
    with pytest.raises(ValueError, match="Invalid value for nanoseconds"):
        Timestamp(1, nanoseconds)


def test_a_sample_is_a_tuple_with_defaults() -> None:
    """Code takes it apart and sorts it."""
    name, labels, value, timestamp, exemplar, native_histogram = Sample("n", {}, 1)

    assert ("n", {}, 1, None, None, None) == (
        name,
        labels,
        value,
        timestamp,
        exemplar,
        native_histogram,
    )


@pytest.mark.parametrize("name", core.__all__)
def test_core_gives_the_very_objects(name: str) -> None:
    """Programs check with isinstance, whichever module they import from."""
    homes = [
        vars(module)[name] for module in (metrics_core, samples, registry) if name in vars(module)
    ]

    assert all(getattr(core, name) is home for home in homes)
