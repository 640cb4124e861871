"""The insides of metrics that the official client happens to show, and that people use.

Two things are here. What people look into: ``metric._value.get()``, ``metric._metrics.keys()`` and
the like, put on the native classes below. And what the official client's metrics do with objects of
a ``ValueClass`` that somebody has replaced, or that a subclass puts in place in ``_metric_init``:
the native classes come here for such a metric. Nothing here runs for a metric that counts natively.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

from . import values
from ._tallymark import Counter, Enum, Gauge, Histogram, Info, MetricWrapperBase, Summary
from .samples import Exemplar, Sample
from .utils import floatToGoString
from .validation import _validate_exemplar

# ---- What people look into.


class LocalValue:
    """
    One number of a metric that counts natively, as this process has counted it.

    For tests and debugging. With a shared store a scrape shows the total over all processes.
    """

    def __init__(self, metric: Any, part: str, bucket: int = 0) -> None:
        self._metric = metric
        self._part = part
        self._bucket = bucket

    def get(self) -> float:
        """Give the number."""
        return float(self._metric._local(self._part, self._bucket))

    def set(self, value: float, timestamp: float | None = None) -> None:
        """
        Set the number of a counter or a gauge; a counter's for all processes.

        Raises:
            AttributeError: It is a part of a histogram or a summary.
        """
        if self._part != "value":
            problem = f"the {self._part} of {self._metric!r} cannot be set by itself"
            raise AttributeError(f"{problem}; reset() of the registry starts it again")
        if isinstance(self._metric, Counter):
            self._metric.reset()
            self._metric.inc(value)
        else:
            self._metric.set(value)

    def inc(self, amount: float) -> None:
        """Add to the number; what it is a part of is seen half changed until the rest follows."""
        if self._part == "value":
            self._metric.inc(amount)
        else:
            self._metric._add_local(self._part, self._bucket, amount)

    def get_exemplar(self) -> Exemplar | None:
        """Give the last exemplar of the number, if there is one."""
        if self._part not in ("value", "bucket"):
            return None
        exemplar: Exemplar | None = _own_samples(self._metric)[self._bucket].exemplar
        return exemplar

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar of a counter or a bucket, in place of the one before."""
        if self._part in ("value", "bucket"):
            self._metric._set_local_exemplar(self._bucket, exemplar)

    # The official client's values keep their number under this name, and programs read it there.
    _value = property(get, set)


class _Part:
    """An attribute that gives a metric's number, or the object that counts in its place."""

    def __init__(self, name: str, look: Callable[[Any], Any]) -> None:
        self._name = name
        self._look = look

    def __get__(self, metric: Any, owner: type) -> Any:
        if metric is None:
            return self
        if self._name in vars(metric):
            return vars(metric)[self._name]
        if not metric._is_observable() or metric._counts_by_objects():
            raise AttributeError(f"{metric!r} has no {self._name!r}")
        return self._look(metric)

    def __set__(self, metric: Any, value: object) -> None:
        metric._count_by_objects()
        vars(metric)[self._name] = value


class _Created(_Part):
    """The attribute that says since when a metric counts."""

    def __init__(self) -> None:
        super().__init__("_created", lambda metric: metric._local("created"))

    def __set__(self, metric: Any, value: object) -> None:
        if not metric._counts_by_objects():
            raise AttributeError(
                f"the time of {metric!r} cannot be set; reset() and clear() renew it"
            )
        vars(metric)["_created"] = value


class Children(MutableMapping[tuple[str, ...], Any]):
    """The children of a metric by their label values, as they are at any time."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def __getitem__(self, labelvalues: Sequence[str]) -> Any:
        # What is no tuple of texts is no key, as in a dict that has only such.
        is_key = isinstance(labelvalues, tuple) and all(isinstance(it, str) for it in labelvalues)
        child = self._metric._child(labelvalues) if is_key else None
        if child is None:
            raise KeyError(labelvalues)
        return child

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter([child._labelvalues for child in self._metric._children()])

    def __len__(self) -> int:
        return len(self._metric._children())

    def __setitem__(self, labelvalues: Sequence[str], child: Any) -> None:
        if self.get(tuple(labelvalues)) is not child:
            raise ValueError(f"{child!r}: labels() makes the children of {self._metric!r}")

    def __delitem__(self, labelvalues: Sequence[str]) -> None:
        # For the KeyError, which `remove` does not raise.
        self[labelvalues]
        self._metric.remove(*labelvalues)

    def clear(self) -> None:
        """Remove every child."""
        self._metric.clear()

    def copy(self) -> dict[tuple[str, ...], Any]:
        """Give a dict of the children that there are now."""
        return {child._labelvalues: child for child in self._metric._children()}

    def __repr__(self) -> str:
        return repr(self.copy())


def _children(metric: Any) -> Children:
    if not metric._is_parent():
        raise AttributeError(f"{metric!r} has no '_metrics': it has no label names, or is a child")
    return Children(metric)


def _set_children(metric: Any, children: MutableMapping[Any, Any]) -> None:
    for labelvalues in _children(metric).copy():
        if labelvalues not in children:
            metric.remove(*labelvalues)


def _buckets(metric: Any) -> list[LocalValue]:
    return [LocalValue(metric, "bucket", index) for index in range(len(metric._upper_bounds))]


def _facts(info: Any) -> dict[str, str]:
    return _own_samples(info)[0].labels


def _state(enum: Any) -> int:
    return [sample.value for sample in _own_samples(enum)].index(1)


def _own_samples(metric: Any) -> Sequence[Sample]:
    """Give the native samples: a subclass that makes its own of them may be the one who asks."""
    if not metric._is_observable():
        raise AttributeError(f"{metric!r} has label names, and so no value of its own")
    return tuple(MetricWrapperBase._child_samples(metric))


def _part(name: str) -> _Part:
    return _Part(f"_{name}", lambda metric: LocalValue(metric, name))


_MODES = frozenset(
    live + mode for live in ("", "live") for mode in ("all", "min", "max", "sum", "mostrecent")
)


def attach() -> None:
    """Put on the native classes what people look into."""
    parts: dict[Any, dict[str, object]] = {
        MetricWrapperBase: {"_metrics": property(_children, _set_children)},
        Counter: {"_value": _part("value"), "_created": _Created()},
        Gauge: {
            "_value": _part("value"),
            "_MULTIPROC_MODES": _MODES,
            "_MOST_RECENT_MODES": frozenset(mode for mode in _MODES if "recent" in mode),
        },
        Summary: {"_count": _part("count"), "_sum": _part("sum"), "_created": _Created()},
        Histogram: {
            "_buckets": _Part("_buckets", _buckets),
            "_sum": _part("sum"),
            "_created": _Created(),
        },
        Info: {
            "_value": property(_facts),
            "_labelname_set": property(lambda info: set(info._labelnames)),
        },
        Enum: {"_value": property(_state)},
    }
    for metric, attributes in parts.items():
        for name, attribute in attributes.items():
            setattr(metric, name, attribute)
    _renew_lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_renew_lock)


def _renew_lock() -> None:
    # For code that takes it around a look at `_metrics`; native metrics have none of Python's.
    MetricWrapperBase._lock = threading.RLock()


# ---- What objects of a replaced ``ValueClass`` do.


def init(metric: Any) -> None:
    """Make the objects that count for a metric."""

    def make(suffix: str, *more: str, **kwargs: str) -> values.Value:
        names = (*metric._labelnames, "le") if more else metric._labelnames
        return values.ValueClass(  # type: ignore[call-arg]
            metric._type,
            metric._name,
            metric._name + suffix,
            names,
            (*metric._labelvalues, *more),
            metric._documentation,
            **kwargs,
        )

    if isinstance(metric, Gauge):
        metric._value = make("", multiprocess_mode=metric._multiprocess_mode)
        return
    if isinstance(metric, Counter):
        metric._value = make("_total")
    elif isinstance(metric, Summary):
        metric._count = make("_count")
        metric._sum = make("_sum")
    else:
        metric._sum = make("_sum")
        metric._buckets = [make("_bucket", floatToGoString(it)) for it in metric._upper_bounds]
    metric._created = time.time()


def inc(metric: Any, amount: float, exemplar: dict[str, str] | None) -> None:
    """Add to a counter or a gauge."""
    if isinstance(metric, Counter) and amount < 0:
        raise ValueError("Counters can only be incremented by non-negative amounts.")
    kept = _exemplar(exemplar, amount)
    metric._value.inc(amount)
    if kept:
        metric._value.set_exemplar(kept)


def reset(metric: Any, now: float, _: None) -> None:
    """Start a counter again at zero."""
    metric._value.set(0)
    metric._created = now


def start_again(metric: Any, now: float) -> None:
    """Start a metric and its children again at zero, as far as objects count."""
    for one in metric._children() if metric._is_parent() else [metric]:
        if one._counts_by_objects():
            parts = [vars(one).get(name) for name in ("_value", "_count", "_sum")]
            for value in (*parts, *vars(one).get("_buckets", ())):
                if value is not None:
                    value.set(0)
            if "_created" in vars(one):
                one._created = now


def set_value(metric: Any, value: float, _: None) -> None:
    """Set a gauge."""
    if metric._is_most_recent:
        metric._value.set(value, timestamp=time.time())
    else:
        metric._value.set(value)


def set_function(metric: Any, function: Callable[[], float], _: None) -> None:
    """Let a function give a gauge its value."""
    vars(metric)["_function"] = function


def observe(metric: Any, amount: float, exemplar: dict[str, str] | None) -> None:
    """Count an observation of a summary or a histogram."""
    kept = _exemplar(exemplar, amount)
    if isinstance(metric, Summary):
        metric._count.inc(1)
        metric._sum.inc(amount)
        return
    metric._sum.inc(amount)
    for bound, bucket in zip(metric._upper_bounds, metric._buckets, strict=False):
        if amount <= bound:
            bucket.inc(1)
            if kept:
                bucket.set_exemplar(kept)
            return


def _exemplar(labels: dict[str, str] | None, amount: float) -> Exemplar | None:
    if not labels:
        return None
    _validate_exemplar(labels)
    return Exemplar(labels, amount, time.time())


def samples(metric: Any) -> list[Sample]:
    """Give the samples of a metric, with their suffixes for names and without its labels."""
    if isinstance(metric, Gauge):
        function = vars(metric).get("_function")
        return [Sample("", {}, float(function()) if function else metric._value.get())]
    given = []
    if isinstance(metric, Counter):
        given.append(_sample("_total", metric._value))
    elif isinstance(metric, Summary):
        given += [_sample("_count", metric._count), _sample("_sum", metric._sum)]
    else:
        count = 0.0
        for bound, bucket in zip(metric._upper_bounds, metric._buckets, strict=False):
            count += bucket.get()
            le = {"le": floatToGoString(bound)}
            given.append(Sample("_bucket", le, count, None, bucket.get_exemplar()))
        given.append(Sample("_count", {}, count))
        if metric._upper_bounds[0] >= 0:
            given.append(_sample("_sum", metric._sum))
    # Not imported above: this module comes first.
    from . import metrics

    if metrics._use_created and "_created" in vars(metric):
        given.append(Sample("_created", {}, metric._created))
    return given


def _sample(suffix: str, value: Any) -> Sample:
    return Sample(suffix, {}, value.get(), None, value.get_exemplar())
