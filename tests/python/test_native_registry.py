"""What the native twin of a registry renders, and what it asks of custom collectors."""

from __future__ import annotations

import pytest
import tallymark
from tallymark import Counter, Gauge, Histogram
from tallymark._tallymark import (
    RegistryCore,
    choose_coding,
    choose_format,
    float_to_go_string,
    render_collectors,
)
from tallymark.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from tallymark.samples import Exemplar, NativeHistogram, Sample, Timestamp


class Custom:
    """A collector that gives what it was made with."""

    def __init__(self, *families):
        self.families = families
        self.asked = 0

    def collect(self):
        self.asked += 1
        yield from self.families


def family(*samples: Sample, kind: str = "gauge") -> Metric:
    metric = Metric("f", "F.", kind)
    metric.samples = list(samples)
    return metric


def text(*families) -> str:
    return render_collectors(families, "underscores", "text").decode()


def openmetrics(*families) -> str:
    return render_collectors(families, "underscores", "openmetrics").decode()


@pytest.fixture
def core():
    return RegistryCore()


@pytest.fixture
def mixed(core, stopped_clock):
    """A native counter, a custom gauge, a native gauge."""
    counter = Counter("hits", "Hits.", ["path"], registry=None)
    counter.labels("/").inc(2)
    custom = Custom(GaugeMetricFamily("free", "Free.", value=1))
    gauge = Gauge("queue", "Queue.", registry=None)
    for collector in (counter, custom, gauge):
        core.add(collector)
    return core


class TestCollectors:
    def test_are_kept_in_order_and_removed_by_identity(self, core):
        first, second = Custom(), Counter("c", "C.", registry=None)
        core.add(first)
        core.add(second)
        assert [first, second] == core.collectors()

        core.remove(first)

        assert [second] == core.collectors()
        with pytest.raises(KeyError):
            core.remove(first)

    def test_are_rendered_in_order(self, mixed):
        assert (
            mixed.render_text().decode()
            == """\
# HELP hits_total Hits.
# TYPE hits_total counter
hits_total{path="/"} 2.0
# HELP hits_created Hits.
# TYPE hits_created gauge
hits_created{path="/"} 1234.5
# HELP free Free.
# TYPE free gauge
free 1.0
# HELP queue Queue.
# TYPE queue gauge
queue 0.0
"""
        )
        assert (
            mixed.render_openmetrics().decode()
            == """\
# HELP hits Hits.
# TYPE hits counter
hits_total{path="/"} 2.0
hits_created{path="/"} 1234.5
# HELP free Free.
# TYPE free gauge
free 1.0
# HELP queue Queue.
# TYPE queue gauge
queue 0.0
# EOF
"""
        )

    def test_are_collected_in_order(self, mixed):
        families = mixed.collect()

        assert ["hits", "free", "queue"] == [metric.name for metric in families]
        assert all(type(metric) in (Metric, GaugeMetricFamily) for metric in families)

    def test_only_samples_of_the_names_asked_for_are_shown(self, mixed):
        body = mixed.render_text(names={"hits_created", "free"})

        assert [b'hits_created{path="/"} 1234.5', b"free 1.0"] == [
            line for line in body.splitlines() if not line.startswith(b"#")
        ]

    def test_a_function_runs_at_every_rendering(self, core):
        gauge = Gauge("g", "G.", registry=None)
        core.add(gauge)
        values = iter([1, 2])
        gauge.set_function(lambda: next(values))

        assert core.render_text().endswith(b"g 1.0\n")
        assert core.render_text().endswith(b"g 2.0\n")

    def test_a_collector_may_use_the_registry_that_asks_it(self, core):
        class Nested:
            def collect(self):
                core.remove(self)
                core.render_text()
                return []

        core.add(Nested())

        assert b"" == core.render_text()

    def test_what_a_collector_raises_is_raised(self, core):
        class Broken:
            def collect(self):
                raise LookupError("down")

        core.add(Broken())
        for scrape in (core.collect, core.render_text, core.render_openmetrics, core.render):
            with pytest.raises(LookupError, match="down"):
                scrape()


class TestRender:
    def test_content_type_and_coding_are_negotiated(self, mixed):
        content_type, coding, body = mixed.render("application/openmetrics-text", "gzip")

        assert "application/openmetrics-text; version=1.0.0; charset=utf-8" == content_type
        assert "gzip" == coding
        import gzip

        assert gzip.decompress(body) == mixed.render_openmetrics()

    def test_compression_can_be_off(self, mixed):
        content_type, coding, body = mixed.render(None, "gzip", compress=False)

        assert ("text/plain; version=0.0.4; charset=utf-8", None) == (content_type, coding)
        assert body == mixed.render_text()

    @pytest.mark.parametrize(
        ("accept", "expected"),
        [
            (None, ("text", "underscores", "text/plain; version=0.0.4; charset=utf-8")),
            (
                "text/plain;version=1.0.0;escaping=dots",
                ("text", "dots", "text/plain; version=1.0.0; charset=utf-8; escaping=dots"),
            ),
            (
                "application/openmetrics-text;version=1.0.0",
                (
                    "openmetrics",
                    "underscores",
                    "application/openmetrics-text; version=1.0.0; charset=utf-8;"
                    " escaping=underscores",
                ),
            ),
        ],
    )
    def test_a_format_is_chosen(self, accept, expected):
        assert expected == choose_format(accept)

    @pytest.mark.parametrize(
        ("header", "coding"), [(None, None), ("gzip", "gzip"), ("zstd", "zstd"), ("gzip;q=0", None)]
    )
    def test_a_coding_is_chosen(self, header, coding):
        assert coding == choose_coding(header)

    def test_numbers_are_written_as_the_official_client_does(self):
        numbers = [1, 0.1, 1e6, float("inf"), float("-inf"), float("nan"), "2.5"]

        expected = ["1.0", "0.1", "1e+06", "+Inf", "-Inf", "NaN", "2.5"]
        assert expected == [float_to_go_string(number) for number in numbers]

    def test_an_unknown_kind_is_refused(self):
        with pytest.raises(ValueError, match=r"there are text, openmetrics, openmetrics-2\.0"):
            render_collectors([], "underscores", "xml")


class TestConversion:
    @pytest.mark.parametrize(
        "value", [1, 1.0, True, "1", type("F", (), {"__float__": lambda s: 1.0})()]
    )
    def test_a_value_is_what_float_takes(self, value):
        assert text(family(Sample("f", {}, value))).endswith("\nf 1.0\n")

    @pytest.mark.parametrize(
        ("sample", "error"),
        [
            (Sample("f", {}, None), TypeError),
            (Sample("f", {}, []), TypeError),
            (Sample("f", {}, ""), ValueError),
            (Sample("f", {}, "x"), ValueError),
            (Sample("f", {"a": None}, 1), AttributeError),
            (Sample("f", {1: "a"}, 1), TypeError),
            (Sample("f", {}, 1, "soon"), ValueError),
            (Sample("f", {}, 1, float("nan")), ValueError),
            ("f 1.0", AttributeError),
        ],
    )
    def test_what_cannot_be_written_raises_with_its_family(self, sample, error):
        metric = family(sample)
        with pytest.raises(error) as caught:
            text(metric)

        assert metric is caught.value.args[-1]

    def test_an_exemplar_where_none_can_be_raises_with_its_family(self):
        metric = family(Sample("f", {}, 1, None, Exemplar({"a": "b"}, 1)))
        with pytest.raises(ValueError, match="has exemplars") as caught:
            openmetrics(metric)

        assert metric is caught.value.args[-1]
        assert text(metric).endswith("f 1.0\n")

    def test_documentation_must_be_text(self):
        metric = Metric("f", "F.", "gauge")
        metric.documentation = None
        with pytest.raises(AttributeError):
            text(metric)

    @pytest.mark.parametrize(
        ("timestamp", "in_text", "in_openmetrics"),
        [
            (123, " 123000", " 123"),
            (123.4567, " 123456", " 123.4567"),
            (Timestamp(123, 456000000), " 123456", " 123.456000000"),
            (None, "", ""),
        ],
    )
    def test_times_are_kept(self, timestamp, in_text, in_openmetrics):
        metric = family(Sample("f", {}, 1, timestamp))

        assert text(metric).endswith(f"\nf 1.0{in_text}\n")
        assert openmetrics(metric).endswith(f"\nf 1.0{in_openmetrics}\n# EOF\n")

    def test_exemplars_are_kept(self):
        metric = CounterMetricFamily(
            "f", "F.", value=1, exemplar=Exemplar({"a": 'x"'}, 0.5, Timestamp(12, 500000000))
        )

        assert 'f_total 1.0 # {a="x\\""} 0.5 12.500000000\n' in openmetrics(metric)

    def test_native_histograms_are_left_out(self):
        histogram = NativeHistogram(1, 2.0, 0, 0.1, 0)
        metric = family(Sample("f", {}, None, None, None, histogram), kind="histogram")

        assert "# HELP f F.\n# TYPE f histogram\n" == text(metric)

    def test_labels_are_any_mapping_and_none_is_no_labels(self):
        class Mapping:
            def items(self):
                return [("b", "2"), ("a", "1")]

        assert 'f{a="1",b="2"} 1.0' in text(family(Sample("f", Mapping(), 1)))
        assert "\nf 1.0" in text(family(Sample("f", None, 1)))

    def test_samples_may_be_objects_with_the_attributes(self):
        class Line:
            name, labels, value, timestamp, exemplar = "f", {}, 2, None, None

        assert "\nf 2.0" in text(family(Line()))

    def test_histograms_of_collectors_are_written_as_they_come(self):
        metric = HistogramMetricFamily("f", "F.", buckets=[("1.0", 2), ("+Inf", 3)], sum_value=4)

        assert text(metric).splitlines()[2:] == [
            'f_bucket{le="1.0"} 2.0',
            'f_bucket{le="+Inf"} 3.0',
            "f_count 3.0",
            "f_sum 4.0",
        ]

    def test_a_native_family_and_the_same_as_objects_are_written_alike(self, core):
        histogram = Histogram("h", "H.", ["z", "a"], registry=None)
        histogram.labels("1", 'x"\n').observe(3, {"t": "1"})
        core.add(histogram)
        for escaping in ("underscores", "allow-utf-8", "dots", "values"):
            families = core.collect()

            assert core.render_text(escaping) == render_collectors(families, escaping, "text")
            assert core.render_openmetrics(escaping) == render_collectors(
                families, escaping, "openmetrics"
            )

    def test_a_scrape_makes_no_garbage(self, mixed):
        import gc

        mixed.render_text()
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                mixed.render_text()
                mixed.collect()

            assert 0 == gc.collect()
        finally:
            gc.enable()

    def test_created_samples_go_when_the_flag_says_so(self, mixed, monkeypatch):
        monkeypatch.setattr(tallymark.metrics, "_use_created", False)

        assert b"created" not in mixed.render_text()
