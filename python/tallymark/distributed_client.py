"""What prometheus-distributed-client has counted, added to the metrics of this program.

That package keeps numbers under texts, in Redis or SQLite, and nothing about them: neither types
nor label names nor buckets. So the metrics of the program say how its fields are to be read, and
what none of them explains is told and left alone. Before anything is added, what is about to be is
noted beside the source: an import that is cut off may miss something, none ever counts twice. The
source itself is only read. What that package does besides is not known here, and neither is where
our own metrics count.
"""

from __future__ import annotations

import itertools
import json
import logging
import math
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import _tallymark
from ._distributed_source import Place, opened
from .registry import REGISTRY, CollectorRegistry
from .utils import floatToGoString

_log = logging.getLogger("tallymark")

# The suffixes of the fields that a metric of each type has.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "gauge": ("",),
    "summary": ("_count", "_sum", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
}

# Above it not every whole number is a float.
_MOST = 2**53


class Imported(NamedTuple):
    """
    What an import has done.

    Attributes:
        series: How many series were added to, for each family that the source has; none if there
            was nothing new.

        remarks: What else happened to a family: sentences, which were logged as warnings, too.

        unexplained: What the source has besides and no metric explains: the names of its hashes, or
            its metric keys. Other programs may be using the same database.
    """

    series: dict[str, int]
    remarks: list[str]
    unexplained: list[str]


class NotImported(ValueError):
    """
    Raised when something could not be imported, after everything else was.

    Attributes:
        refused: Why, for each family of which nothing was added.

        imported: What was done.
    """

    def __init__(self, refused: dict[str, str], imported: Imported) -> None:
        problems = "".join(f"\n  {family}: {problem}" for family, problem in refused.items())
        super().__init__(f"not imported, and nothing of it was added:{problems}")
        self.refused = refused
        self.imported = imported


def import_values(
    source: Any, prefix: str = "prometheus", registry: CollectorRegistry = REGISTRY
) -> Imported:
    """
    Add to the metrics of a registry what prometheus-distributed-client has counted of them.

    A family is added wholly or not at all. Doing it again adds what was counted since: what was
    imported is noted beside the source, in the hash ``<its hash>:tallymark`` or in the table
    ``tallymark_imported``. Call it when the processes that count there have ended; an observation
    that is just being made there may be taken for one that was cut off.

    Counters, summaries and histograms go on from where they were, since when they were. A gauge is
    set, unless somebody has set it here; in mode ``sum`` it is added, and in ``all`` and the modes
    that begin with ``live`` it is not imported, as its value is no live process's.

    Args:
        source: Where it counted. Redis: a URL, which needs the package ``redis``, or a client of
            that package. SQLite: the path of the database, or a connection to it.

        prefix: Its ``redis_prefix``; means nothing for SQLite.

        registry: The metrics. They say what the source's fields mean.

    Raises:
        NotImported: Some families do not look as their metrics say, or an earlier import of them
            was cut off; the others were imported.
        ValueError: The store is ``memory:``, which ends with this process; or the database has no
            such table.
        FileNotFoundError: There is no database at the path.
        OSError: The store cannot be reached. If it could at the beginning, what was imported waits
            on this host as everything that is counted does.
        ImportError: The source is a URL, and the package ``redis`` is not installed.
        TypeError: The source is nothing of that kind.

    Example:
        >>> import_values("/var/lib/shop/metrics.db")  # before use_store("file:…")
        Traceback (most recent call last):
        ValueError: the store is memory:, and what is imported into it would end with this process
    """
    if _tallymark.store_url() == "memory:":
        raise ValueError(
            "the store is memory:, and what is imported into it would end with this process;"
            " call use_store first, or set TALLYMARK_STORE"
        )
    # If it cannot be reached, before anything is done.
    _tallymark.flush()
    try:
        with opened(source, prefix) as place:
            return _import(place, registry)
    finally:
        _tallymark.flush()


def _import(place: Place, registry: CollectorRegistry) -> Imported:
    metrics: dict[str, Any] = {
        collector._name: collector
        for collector in registry.collectors()
        if isinstance(collector, _tallymark.MetricWrapperBase) and collector._type in _SUFFIXES
    }
    imported = Imported({}, [], place.others(metrics))
    refused = {}
    for family, metric in metrics.items():
        try:
            _import_family(place, metric, imported)
        except ValueError as problem:
            refused[family] = f"{place.name(family)}: {problem}"
    for remark in imported.remarks:
        _log.warning("%s", remark)
    if refused:
        raise NotImported(refused, imported)
    return imported


def _import_family(place: Place, metric: Any, imported: Imported) -> None:
    family = metric._name
    fields = place.fields(family)
    if not fields:
        return
    if type(metric)._metric_init is not _tallymark.MetricWrapperBase._metric_init:
        raise ValueError(f"{metric!r} does not count in the store of this process")
    damage: dict[tuple[str, ...], str] = {}
    now = _read(metric, fields, damage)
    last = place.last(family)
    if last is None:
        before = {}
    elif last.finished:
        before = _read(metric, last.fields, {})
    else:
        raise ValueError(
            f"import {last.number}, begun by {last.about}, has not come to its end. If it is not"
            " running, it was cut off, and what it had not added yet is missing; to go on without"
            f" that: {place.advice(family, last.number)}"
        )
    remarks: list[str] = []
    if isinstance(metric, _tallymark.Gauge):
        changes = _gauges(metric, now, before, remarks)
    else:
        changes = _increments(metric, now, before)
        remarks += [problem for values, problem in damage.items() if values in changes]
    if now != before:
        number = last.number + 1 if last else 1
        _claim(place, family, number, fields)
        for values, change in changes.items():
            _add(metric.labels(*values) if values else metric, change)
        place.finish(family, number)
    imported.series[family] = len(changes)
    imported.remarks.extend(f"{place.name(family)}: {remark}" for remark in remarks)


def _claim(place: Place, family: str, number: int, fields: Mapping[str, float]) -> None:
    now = time.strftime("%FT%TZ", time.gmtime())
    about = f"process {os.getpid()} of {os.uname().nodename} at {now}"
    note = json.dumps({"about": about, "id": uuid.uuid4().hex, "fields": fields}, sort_keys=True)
    if not place.claim(family, number, note):
        raise ValueError("another import has just begun; see what it says, and try again")


# ---- What the fields mean.


class _Series(NamedTuple):
    """
    One series of the source.

    The numbers are a counter's or a gauge's value; a summary's count; or how many observations lie
    at or below each declared bound. The sum is that of observations.
    """

    created: float | None
    numbers: tuple[float, ...]
    sum: float


_ByValues = dict[tuple[str, ...], _Series]


def _read(
    metric: Any, fields: Mapping[str, float], damage: dict[tuple[str, ...], str]
) -> _ByValues:
    """
    Give the series of a family by label values, as its metric says that they are to be read.

    Args:
        metric: The metric.

        fields: The numbers.

        damage: Gets a sentence about each series whose numbers did not agree.
    """
    parts: dict[tuple[str, ...], dict[str | float, float]] = {}
    for field, number in fields.items():
        values, part = _parse(metric, field)
        known = parts.setdefault(values, {})
        if part in known:
            raise ValueError(f"the field {field!r} is there twice, written differently")
        known[part] = number
    return {values: _one(metric, values, known, damage) for values, known in parts.items()}


def _parse(metric: Any, field: str) -> tuple[tuple[str, ...], str | float]:
    """Give the label values that a field is about, and its suffix, or a bucket's bound."""
    suffix, _, text = field.partition(":")
    try:
        labels = json.loads(text)
        bound = float(labels.pop("le")) if suffix == "_bucket" else None
        "".join(labels.values()).encode()
    except (ValueError, AttributeError, TypeError, KeyError) as problem:
        raise ValueError(f"cannot read the field {field!r}") from problem
    if suffix not in _SUFFIXES[metric._type]:
        raise ValueError(f"the field {field!r} is none of a {metric._type}'s")
    if set(labels) != set(metric._labelnames):
        names = ", ".join(metric._labelnames) or "none"
        raise ValueError(f"the field {field!r} has other label names than are declared ({names})")
    return tuple(labels[name] for name in metric._labelnames), suffix if bound is None else bound


def _texts(bounds: Iterable[float]) -> str:
    return ", ".join(map(floatToGoString, bounds))


def _one(
    metric: Any,
    values: tuple[str, ...],
    parts: Mapping[str | float, float],
    damage: dict[tuple[str, ...], str],
) -> _Series:
    created = parts.get("_created")
    if metric._type == "gauge":
        return _Series(None, (parts[""],), 0.0)
    if metric._type == "counter":
        total = parts.get("_total", 0.0)
        if not total >= 0:
            raise ValueError(
                f"{_title(metric, values)} is {total}, and a counter is never negative"
            )
        return _Series(created, (total,), 0.0)
    for part, number in parts.items():
        is_count = part == "_count" or isinstance(part, float)
        if is_count and not (0 <= number <= _MOST and number.is_integer()):
            raise ValueError(f"{_title(metric, values)} has counted {number}, which is no count")
    total = parts.get("_sum", 0.0)
    if metric._type == "summary":
        return _Series(created, (parts.get("_count", 0.0),), total)
    below = _buckets(metric, values, parts, damage)
    return _Series(created, tuple(below[bound] for bound in metric._upper_bounds), total)


def _buckets(
    metric: Any,
    values: tuple[str, ...],
    parts: Mapping[str | float, float],
    damage: dict[tuple[str, ...], str],
) -> dict[float, float]:
    """Give how many observations of a histogram lie at or below each bound."""
    known = {part for part in parts if isinstance(part, float)}
    missing = [bound for bound in metric._upper_bounds if bound not in known]
    # Without the last bucket not even the first observation came to its end.
    if missing and math.inf in known:
        raise ValueError(
            f"{_title(metric, values)} has not counted in the buckets {_texts(missing)} that are"
            f" declared; declare none but some of {_texts(sorted(known))}"
        )
    bounds = sorted(known.union(missing))
    found = [parts.get(bound, 0.0) for bound in bounds]
    count = parts.get("_count", 0.0)
    raised = _raised(found, count)
    if raised != found or raised[-1] != count:
        damage[values] = (
            f"{_title(metric, values)} was cut off in an observation: its buckets {_texts(found)}"
            f" and its count {_texts([count])} are taken as {_texts(raised)}"
        )
    return dict(zip(bounds, raised, strict=True))


def _raised(found: Iterable[float], count: float = 0.0) -> list[float]:
    """
    Give how many observations lie at or below each bound, none less than the one before it.

    There an observation is added to bucket after bucket, from the lowest to +Inf, and counted last.
    Of one that was cut off the upper buckets know nothing. They are raised and no lower one is
    taken down, which Prometheus would take for a restart.
    """
    raised = list(itertools.accumulate(found, max))
    raised[-1] = max(raised[-1], count)
    return raised


def _title(metric: Any, values: tuple[str, ...]) -> str:
    labels = ",".join(f"{k}={v!r}" for k, v in zip(metric._labelnames, values, strict=True))
    return f"{metric._name}{{{labels}}}" if labels else str(metric._name)


# ---- What of it is new.


def _increments(metric: Any, now: _ByValues, before: _ByValues) -> _ByValues:
    """Give what was counted since, of the series of which anything was."""
    changes = {}
    for values, one in now.items():
        known = before.get(values)
        if known is None or known.created != one.created:
            # Expired or removed and begun again: it has nothing to do with what was there before.
            changes[values] = one
        elif known != one:
            changes[values] = _since(_title(metric, values), one, known)
    return changes


def _since(title: str, now: _Series, before: _Series) -> _Series:
    numbers = tuple(map(_minus, now.numbers, before.numbers))
    if min(numbers) < 0:
        raise ValueError(
            f"{title} was {_texts(before.numbers)} at the last import and is {_texts(now.numbers)}"
            " now, and does not say that it has begun again"
        )
    return _Series(now.created, tuple(_raised(numbers)), _minus(now.sum, before.sum))


def _minus(now: float, before: float) -> float:
    # Infinity less itself is no number.
    return 0.0 if now == before else now - before


def _gauges(metric: Any, now: _ByValues, before: _ByValues, remarks: list[str]) -> _ByValues:
    """Give what is to be set, or added in mode ``sum``."""
    mode = metric._multiprocess_mode
    if mode == "all" or mode.startswith("live"):
        remarks.append(f"in mode {mode} a gauge shows its processes, and none has this value")
        return {}
    changed = {values: one for values, one in now.items() if one != before.get(values)}
    if mode == "sum":
        nothing = _Series(None, (0.0,), 0.0)
        return {
            values: _Series(None, tuple(map(_minus, one.numbers, earlier.numbers)), 0.0)
            for values, one in changed.items()
            for earlier in [before.get(values, nothing)]
        }
    if mode in ("auto", "mostrecent"):
        for values, shown in _shown(metric):
            if shown and values in changed:
                del changed[values]
                remarks.append(f"{_title(metric, values)} is {shown} here already, and stays so")
    return changed


def _shown(metric: Any) -> Iterator[tuple[tuple[str, ...], float]]:
    for family in metric.collect():
        for sample in family.samples:
            yield tuple(sample.labels[name] for name in metric._labelnames), sample.value


def _add(metric: Any, change: _Series) -> None:
    """Add to a metric without label names, or to a child."""
    # By the native classes: a subclass may do something besides.
    if isinstance(metric, _tallymark.Gauge):
        if metric._multiprocess_mode == "sum":
            _tallymark.Gauge.inc(metric, change.numbers[0])
        else:
            _tallymark.Gauge.set(metric, change.numbers[0])
        return
    if change.created is not None:
        metric._backdate(change.created)
    if isinstance(metric, _tallymark.Counter):
        _tallymark.Counter.inc(metric, change.numbers[0])
        return
    part = "count" if isinstance(metric, _tallymark.Summary) else "bucket"
    for index, (below, number) in enumerate(itertools.pairwise((0.0, *change.numbers))):
        metric._add_local(part, index, number - below)
    metric._add_local("sum", 0, change.sum)
