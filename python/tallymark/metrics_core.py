"""Metric families as values: what a collector gives to a scrape.

``Metric`` is a family and its samples; the classes below it know which samples their type has, so
that a custom collector need not. They hold numbers that were read elsewhere and belong to one
scrape: for numbers that are counted here, see ``metrics``. Nothing here knows how a family is
written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .samples import Exemplar, NativeHistogram, Sample, Timestamp
from .validation import _validate_metric_name

METRIC_TYPES = (
    "counter",
    "gauge",
    "summary",
    "histogram",
    "gaugehistogram",
    "unknown",
    "info",
    "stateset",
)
"""The types a family can have; ``untyped`` is read as ``unknown``."""

_Time = Timestamp | float | None
_Bucket = tuple[str, float] | tuple[str, float, Exemplar | None]


class Metric:
    """
    A family: name, help, type, unit and samples.

    Collectors rather use the classes named after a type, such as `GaugeMetricFamily`.

    Args:
        name: Without the suffixes of its samples; the unit is appended unless the name ends in it.

        documentation: The help text.

        typ: One of `METRIC_TYPES`, or ``untyped``.

        unit: Such as ``seconds``.

    Example:
        >>> family = Metric("wait", "Time in the queue.", "gauge", unit="seconds")
        >>> family.add_sample("wait_seconds", {"queue": "mail"}, 1.5)
        >>> family.name, family.samples[0].value
        ('wait_seconds', 1.5)
    """

    def __init__(self, name: str, documentation: str, typ: str, unit: str = "") -> None:
        if unit and not name.endswith("_" + unit):
            name += "_" + unit
        _validate_metric_name(name)
        if typ == "untyped":
            typ = "unknown"
        if typ not in METRIC_TYPES:
            raise ValueError("Invalid metric type: " + typ)
        self.name: str = name
        self.documentation: str = documentation
        self.unit: str = unit
        self.type: str = typ
        self.samples: list[Sample] = []

    def add_sample(
        self,
        name: str,
        labels: dict[str, str],
        value: float,
        timestamp: _Time = None,
        exemplar: Exemplar | None = None,
        native_histogram: NativeHistogram | None = None,
    ) -> None:
        """
        Append a sample under its full name.

        Nothing is checked: a name that does not belong to the family is written as it is.
        """
        sample = Sample(name, labels, value, timestamp, exemplar, native_histogram)
        self.samples.append(sample)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metric) and self._parts() == other._parts()

    def __repr__(self) -> str:
        return "Metric({}, {}, {}, {}, {})".format(*self._parts())

    def _parts(self) -> tuple[str, str, str, str, list[Sample]]:
        return self.name, self.documentation, self.type, self.unit, self.samples

    def _restricted_metric(self, names: Iterable[str]) -> Metric | None:
        """
        Give the family with the samples of these names only, without its unit; None if there are
        none.
        """
        samples = [sample for sample in self.samples if sample[0] in names]
        if not samples:
            return None
        restricted = Metric(self.name, self.documentation, self.type)
        restricted.samples = samples
        return restricted


class _LabelledFamily(Metric):
    """
    What the families below share: either one value given at once, or label names and a value for
    each set.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        typ: str,
        labels: Iterable[str] | None,
        value: object,
        unit: str = "",
        value_is_called: str = "value",
    ) -> None:
        super().__init__(name, documentation, typ, unit)
        if labels is not None and value is not None:
            raise ValueError(f"Can only specify at most one of {value_is_called} and labels.")
        self._labelnames: tuple[str, ...] = () if labels is None else tuple(labels)

    def _add(
        self,
        suffix: str,
        labels: dict[str, str],
        value: float,
        timestamp: _Time,
        exemplar: Exemplar | None = None,
    ) -> None:
        self.samples.append(Sample(self.name + suffix, labels, value, timestamp, exemplar))

    def _labels(self, values: Iterable[str]) -> dict[str, str]:
        return dict(zip(self._labelnames, values, strict=False))


class UnknownMetricFamily(_LabelledFamily):
    """
    A family whose type nobody knows.

    Args:
        name: The name of the family and its samples.

        documentation: The help text.

        value: The value, if the family has no labels.

        labels: The label names otherwise; then `add_metric` gives the values.

        unit: Such as ``seconds``.

    Example:
        >>> UnknownMetricFamily("answer", "From elsewhere.", value=42).samples[0].value
        42
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "unknown", labels, value, unit)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Iterable[str], value: float, timestamp: _Time = None) -> None:
        """
        Add the value of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            value: The value.

            timestamp: When it was read, if not now.
        """
        self._add("", self._labels(labels), value, timestamp)


UntypedMetricFamily = UnknownMetricFamily
"""The name of `UnknownMetricFamily` before OpenMetrics."""


class CounterMetricFamily(_LabelledFamily):
    """
    A family of totals that only grow.

    Args:
        name: The name; ``_total``, which its samples end in, is taken off.

        documentation: The help text.

        value: The total, if the family has no labels.

        labels: The label names otherwise; then `add_metric` gives the totals.

        created: Since when *value* counts, in seconds since 1970.

        unit: Such as ``bytes``.

        exemplar: An exemplar for *value*.

    Example:
        >>> family = CounterMetricFamily("sent", "Sent.", labels=["host"], unit="bytes")
        >>> family.add_metric(["a"], 512)
        >>> family.samples[0].name, family.samples[0].labels
        ('sent_bytes_total', {'host': 'a'})
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        created: float | None = None,
        unit: str = "",
        exemplar: Exemplar | None = None,
    ) -> None:
        if name.endswith("_total"):
            name = name[: -len("_total")]
        super().__init__(name, documentation, "counter", labels, value, unit)
        if value is not None:
            self.add_metric([], value, created, exemplar=exemplar)

    def add_metric(
        self,
        labels: Iterable[str],
        value: float,
        created: float | None = None,
        timestamp: _Time = None,
        exemplar: Exemplar | None = None,
    ) -> None:
        """
        Add the total of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            value: The total.

            created: Since when it counts, in seconds since 1970.

            timestamp: When it was read, if not now.

            exemplar: An exemplar.
        """
        names = self._labels(labels)
        self._add("_total", names, value, timestamp, exemplar)
        if created is not None:
            self._add("_created", dict(names), created, timestamp)


class GaugeMetricFamily(_LabelledFamily):
    """
    A family of values that go up and down.

    Args:
        name: The name of the family and its samples.

        documentation: The help text.

        value: The value, if the family has no labels.

        labels: The label names otherwise; then `add_metric` gives the values.

        unit: Such as ``celsius``.

    Example:
        >>> family = GaugeMetricFamily("temperature", "By room.", labels=["room"], unit="celsius")
        >>> family.add_metric(["kitchen"], 21.5)
        >>> family.samples[0].name
        'temperature_celsius'
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "gauge", labels, value, unit)
        if value is not None:
            self.add_metric([], value)

    def add_metric(self, labels: Iterable[str], value: float, timestamp: _Time = None) -> None:
        """
        Add the value of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            value: The value.

            timestamp: When it was read, if not now.
        """
        self._add("", self._labels(labels), value, timestamp)


class SummaryMetricFamily(_LabelledFamily):
    """
    A family of counts and sums of observations, without quantiles.

    Args:
        name: The name without ``_count`` and ``_sum``.

        documentation: The help text.

        count_value: The number of observations, if the family has no labels.

        sum_value: Their sum; given if and only if the count is.

        labels: The label names otherwise; then `add_metric` gives the values.

        unit: Such as ``seconds``.

    Example:
        >>> family = SummaryMetricFamily("latency", "Latency.", count_value=2, sum_value=0.5)
        >>> [sample.name for sample in family.samples]
        ['latency_count', 'latency_sum']
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        count_value: float | None = None,
        sum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        if (sum_value is None) != (count_value is None):
            raise ValueError("count_value and sum_value must be provided together.")
        super().__init__(name, documentation, "summary", labels, count_value, unit)
        if count_value is not None and sum_value is not None:
            self.add_metric([], count_value, sum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        count_value: float,
        sum_value: float,
        timestamp: _Time = None,
    ) -> None:
        """
        Add the observations of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            count_value: How many there were.

            sum_value: Their sum.

            timestamp: When they were read, if not now.
        """
        names = self._labels(labels)
        self._add("_count", names, count_value, timestamp)
        self._add("_sum", dict(names), sum_value, timestamp)


class HistogramMetricFamily(_LabelledFamily):
    """
    A family of observations counted by size.

    Args:
        name: The name without ``_bucket``, ``_count`` and ``_sum``.

        documentation: The help text.

        buckets: The buckets, if the family has no labels: see `add_metric`.

        sum_value: The sum of the observations; only together with *buckets*.

        labels: The label names otherwise; then `add_metric` gives the buckets.

        unit: Such as ``seconds``.

    Example:
        >>> buckets = [("1", 2), ("+Inf", 3)]
        >>> family = HistogramMetricFamily("size", "Size.", buckets=buckets, sum_value=9)
        >>> [(sample.name, sample.value) for sample in family.samples]
        [('size_bucket', 2), ('size_bucket', 3), ('size_count', 3), ('size_sum', 9)]
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[_Bucket] | None = None,
        sum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        if sum_value is not None and buckets is None:
            raise ValueError("sum value cannot be provided without buckets.")
        super().__init__(name, documentation, "histogram", labels, buckets, unit, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, sum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        buckets: Sequence[_Bucket],
        sum_value: float | None,
        timestamp: _Time = None,
    ) -> None:
        """
        Add the observations of one set of labels.

        Where the lowest bound is negative the sum could fall, which Prometheus takes for a restart:
        then neither the sum nor the count is shown.

        Args:
            labels: The label values, in the order of the names.

            buckets: Pairs of a bound as text and the number of observations up to it, ascending,
                the last one ``+Inf``; a third element is an exemplar.

            sum_value: The sum of the observations, or None if it is not known.

            timestamp: When they were read, if not now.
        """
        names = self._labels(labels)
        for bucket in buckets:
            exemplar = bucket[2] if len(bucket) == 3 else None
            self._add("_bucket", {**names, "le": bucket[0]}, bucket[1], timestamp, exemplar)
        if float(buckets[0][0]) >= 0 and sum_value is not None:
            self._add("_count", names, buckets[-1][1], timestamp)
            self._add("_sum", dict(names), sum_value, timestamp)


class GaugeHistogramMetricFamily(_LabelledFamily):
    """
    A family of things that are there now, counted by size: requests that wait, by age.

    Args:
        name: The name without ``_bucket``, ``_gcount`` and ``_gsum``.

        documentation: The help text.

        buckets: The buckets, if the family has no labels: see `add_metric`.

        gsum_value: The sum of the sizes.

        labels: The label names otherwise; then `add_metric` gives the buckets.

        unit: Such as ``seconds``.

    Example:
        >>> buckets = [("1", 2), ("+Inf", 3)]
        >>> family = GaugeHistogramMetricFamily("age", "Age.", buckets=buckets, gsum_value=9)
        >>> [sample.name for sample in family.samples]
        ['age_bucket', 'age_bucket', 'age_gcount', 'age_gsum']
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[tuple[str, float]] | None = None,
        gsum_value: float | None = None,
        labels: Iterable[str] | None = None,
        unit: str = "",
    ) -> None:
        super().__init__(name, documentation, "gaugehistogram", labels, buckets, unit, "buckets")
        if buckets is not None:
            self.add_metric([], buckets, gsum_value)

    def add_metric(
        self,
        labels: Iterable[str],
        buckets: Sequence[tuple[str, float]],
        gsum_value: float | None,
        timestamp: _Time = None,
    ) -> None:
        """
        Add the sizes of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            buckets: Pairs of a bound as text and the number of things up to it, ascending, the last
                one ``+Inf``.

            gsum_value: The sum of the sizes. None is taken here and raises TypeError when the
                family is written, as with the official client.

            timestamp: When they were read, if not now.
        """
        names = self._labels(labels)
        for bound, value in buckets:
            self._add("_bucket", {**names, "le": bound}, value, timestamp)
        self._add("_gcount", names, buckets[-1][1], timestamp)
        self._add("_gsum", dict(names), gsum_value, timestamp)  # type: ignore[arg-type]


class InfoMetricFamily(_LabelledFamily):
    """
    A family of texts that describe something.

    Args:
        name: The name without ``_info``.

        documentation: The help text.

        value: The texts by name, if the family has no labels.

        labels: The label names otherwise; then `add_metric` gives the texts.

    Example:
        >>> InfoMetricFamily("build", "Build.", value={"version": "1.2"}).samples[0].labels
        {'version': '1.2'}
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "info", labels, value)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Iterable[str], value: Mapping[str, str], timestamp: _Time = None
    ) -> None:
        """
        Add the texts of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            value: The texts by name; one that is also a label name takes its place.

            timestamp: When they were read, if not now.
        """
        self._add("_info", {**self._labels(labels), **value}, 1, timestamp)


class StateSetMetricFamily(_LabelledFamily):
    """
    A family of states that are on or off.

    Args:
        name: The name of the family, its samples and the label that says which state a sample is
            about.

        documentation: The help text.

        value: The states, if the family has no labels.

        labels: The label names otherwise; then `add_metric` gives the states.

    Example:
        >>> family = StateSetMetricFamily("mode", "Mode.", value={"run": True, "idle": False})
        >>> [(sample.labels["mode"], sample.value) for sample in family.samples]
        [('idle', 0), ('run', 1)]
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        value: Mapping[str, bool] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        super().__init__(name, documentation, "stateset", labels, value)
        if value is not None:
            self.add_metric([], value)

    def add_metric(
        self, labels: Iterable[str], value: Mapping[str, bool], timestamp: _Time = None
    ) -> None:
        """
        Add the states of one set of labels.

        Args:
            labels: The label values, in the order of the names.

            value: Which states are on; samples are sorted by state.

            timestamp: When they were read, if not now.
        """
        names = self._labels(labels)
        for state, on in sorted(value.items()):
            self._add("", {**names, self.name: state}, 1 if on else 0, timestamp)
