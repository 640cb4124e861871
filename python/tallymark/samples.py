"""The lines of an exposition as values: samples, exemplars and the times they carry.

All are tuples, so that a collector can make thousands of them per scrape. Nothing here checks names
or values: a sample says what its collector says. Families, which own samples, are in
``metrics_core``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Timestamp:
    """
    A moment with nanoseconds, which a float of seconds cannot hold.

    Args:
        sec: Whole seconds since 1970.

        nsec: Nanoseconds beyond them, away from zero: at least 0 and less than one second.

    Example:
        >>> moment = Timestamp(1500000000, 1)
        >>> str(moment)
        '1500000000.000000001'
        >>> float(moment)
        1500000000.0
        >>> moment < Timestamp(1500000000, 2)
        True
    """

    def __init__(self, sec: float, nsec: float) -> None:
        if not 0 <= nsec < 1e9:
            raise ValueError(f"Invalid value for nanoseconds in Timestamp: {nsec}")
        self.sec = int(sec)
        self.nsec = int(-nsec if sec < 0 else nsec)

    def __str__(self) -> str:
        return f"{self.sec}.{abs(self.nsec):09d}"

    def __repr__(self) -> str:
        return f"Timestamp({self.sec}, {self.nsec})"

    def __float__(self) -> float:
        return float(self.sec) + float(self.nsec) / 1e9

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timestamp) and (self.sec, self.nsec) == (other.sec, other.nsec)

    def __hash__(self) -> int:
        return hash((self.sec, self.nsec))

    def __gt__(self, other: Timestamp) -> bool:
        return (self.sec, self.nsec) > (other.sec, other.nsec)

    def __lt__(self, other: Timestamp) -> bool:
        return (self.sec, self.nsec) < (other.sec, other.nsec)


class BucketSpan(NamedTuple):
    """
    A run of neighbouring buckets of a native histogram: how far from the last run, and how many.
    """

    offset: int
    length: int


class Exemplar(NamedTuple):
    """
    One observation with the labels that lead to it, such as a trace's id.

    Example:
        >>> Exemplar({"trace_id": "4bf92f"}, 0.25).value
        0.25
    """

    labels: dict[str, str]
    value: float
    timestamp: float | Timestamp | None = None


class NativeHistogram(NamedTuple):
    """The state of a native histogram: spans of buckets, and the counts in them as differences."""

    count_value: float
    sum_value: float
    schema: int
    zero_threshold: float
    zero_count: float
    pos_spans: Sequence[BucketSpan] | None = None
    neg_spans: Sequence[BucketSpan] | None = None
    pos_deltas: Sequence[int] | None = None
    neg_deltas: Sequence[int] | None = None
    nh_exemplars: Sequence[Exemplar] | None = None


class Sample(NamedTuple):
    """
    One line of an exposition: a full name, labels and a value.

    The value is a float or anything that ``float()`` takes, the timestamp seconds since 1970.

    Example:
        >>> Sample("hits_total", {"path": "/"}, 3.0).labels["path"]
        '/'
    """

    name: str
    labels: dict[str, str]
    value: float
    timestamp: float | Timestamp | None = None
    exemplar: Exemplar | None = None
    native_histogram: NativeHistogram | None = None
