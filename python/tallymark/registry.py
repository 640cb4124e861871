"""Which collectors a scrape asks, and which names they have claimed.

A registry keeps two dicts, as the official client does, because people read and clear them; a
native twin that renders expositions without Python follows every change of the first. Names are
claimed when a collector is registered, values are read when somebody scrapes, with no lock held.
How families look on the wire, and where numbers live, is not known here.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import (
    Any,
    NamedTuple,
    ParamSpec,
    Protocol,
    TypeVar,
    cast,
    runtime_checkable,
)

from . import _tallymark
from .metrics_core import Metric

_Arguments = ParamSpec("_Arguments")
_AnyMetric = TypeVar("_AnyMetric", bound="_tallymark.MetricWrapperBase")

# What a family claims beside its name: the names of its samples.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}


@runtime_checkable
class Collector(Protocol):
    """
    Anything that a registry can ask for families: a hashable object with `collect()`.

    A collector may also have ``describe()``, which gives the same families without their samples. A
    registry with *auto_describe* collects once at registration if there is none; a ``describe()``
    that gives nothing claims no names.

    Example:
        >>> from tallymark.core import CollectorRegistry, GaugeMetricFamily
        >>> class Disk:
        ...     def collect(self):
        ...         yield GaugeMetricFamily("disk_free_bytes", "Free.", value=512)
        >>> registry = CollectorRegistry()
        >>> registry.register(Disk())
        >>> registry.get_sample_value("disk_free_bytes")
        512
    """

    def collect(self) -> Iterable[Metric]:
        """
        Give the families with the values they have now; called at every scrape, by several threads
        at once.
        """


class DuplicateTimeseries(ValueError):
    """
    Raised when a collector claims a name that another one has.

    Attributes:
        duplicates: The names.
    """

    # What was not registered, and where: for `get_or_create`.
    _refused: Any = None
    _registry: Any = None

    def __init__(self, duplicates: set[str]) -> None:
        # As a set is written, but always in the same order.
        names = ", ".join(repr(name) for name in sorted(duplicates))
        super().__init__(f"Duplicated timeseries in CollectorRegistry: {{{names}}}")
        self.duplicates = duplicates


class CollectorRegistry:
    """
    A set of collectors that are scraped together.

    Safe from any thread; a collector, a finalizer or a signal handler may use the registry that is
    just asking it.

    Args:
        auto_describe: Whether to collect from what has no ``describe()`` when it is registered, so
            that clashes are found then.

        target_info: The labels of a ``target_info`` metric, which says what this process is.

        support_collectors_without_names: Whether restricted registries ask collectors that claimed
            no names, too.

    Example:
        >>> from tallymark import Counter, generate_latest
        >>> registry = CollectorRegistry(target_info={"env": "test"})
        >>> Counter("hits", "Hits.", registry=registry).inc()
        >>> registry.get_sample_value("hits_total")
        1.0
        >>> generate_latest(registry.restricted_registry(["target_info"])).decode().splitlines()[-1]
        'target_info{env="test"} 1.0'
    """

    def __init__(
        self,
        auto_describe: bool = False,
        target_info: dict[str, str] | None = None,
        support_collectors_without_names: bool = False,
    ) -> None:
        self._lock = _Lock()
        self._core = _tallymark.RegistryCore()
        self._names_to_collectors: dict[str, Collector] = {}
        self._names = _CollectorNames(self._core)
        self._auto_describe = auto_describe
        self._support_collectors_without_names = support_collectors_without_names
        self._target_info: dict[str, str] | None = None
        self.set_target_info(target_info)
        _registries.add(self)

    @property
    def _collector_to_names(self) -> dict[Collector, list[str]]:
        return self._names

    @_collector_to_names.setter
    def _collector_to_names(self, names: Mapping[Collector, list[str]]) -> None:
        with self._lock:
            self._names.clear()
            self._names.update(names)

    def register(self, collector: Collector) -> None:
        """
        Add a collector.

        Args:
            collector: See `Collector`.

        Raises:
            DuplicateTimeseries: Another collector has claimed a name of this one, which then is not
                added.
        """
        # Asked before the lock is taken: the collector may well register something itself.
        names = self._get_names(collector)
        with self._lock:
            duplicates = set(self._names_to_collectors).intersection(names)
            if duplicates:
                error = DuplicateTimeseries(duplicates)
                error._refused, error._registry = collector, self
                raise error
            for name in names:
                self._names_to_collectors[name] = collector
            self._names[collector] = names

    def unregister(self, collector: Collector) -> None:
        """
        Take a collector away and free its names.

        Raises:
            KeyError: The collector is not registered.
        """
        with self._lock:
            for name in self._names[collector]:
                # People clear the dict of names to start afresh: it may be gone, or another's.
                if self._names_to_collectors.get(name) == collector:
                    del self._names_to_collectors[name]
            del self._names[collector]

    def collectors(self) -> list[Collector]:
        """
        Give the collectors, in the order of registration.

        Example:
            >>> from tallymark import Counter
            >>> registry = CollectorRegistry()
            >>> hits = Counter("hits", "Hits.", registry=registry)
            >>> registry.collectors() == [hits]
            True
        """
        with self._lock:
            return list(self._names)

    def clear(self) -> None:
        """
        Take every collector away and free all names; ``target_info`` stays.

        For notebooks and tests that define their metrics anew. Metrics that somebody holds go on
        counting, but nobody sees it.

        Example:
            >>> from tallymark import Counter
            >>> registry = CollectorRegistry()
            >>> for round in range(2):
            ...     registry.clear()
            ...     hits = Counter("hits", "Hits.", registry=registry)
        """
        with self._lock:
            for collector in list(self._names):
                self.unregister(collector)

    def reset(self) -> None:
        """
        Start every metric again at zero, in every process that shares the store.

        For tests. Children stay, so that those in hand go on counting. What custom collectors give
        is their own business.

        Example:
            >>> from tallymark import Counter
            >>> registry = CollectorRegistry()
            >>> hits = Counter("hits", "Hits.", registry=registry)
            >>> hits.inc()
            >>> registry.reset()
            >>> registry.get_sample_value("hits_total")
            0.0
        """
        for collector in self.collectors():
            if isinstance(collector, _tallymark.MetricWrapperBase):
                collector._start_again()

    def _get_names(self, collector: Any) -> list[str]:
        describe = getattr(collector, "describe", None)
        if not describe and self._auto_describe:
            # Our own know their names without reading their values.
            describe = getattr(collector, "_describe", None) or collector.collect
        names: list[str] = []
        for family in describe() if describe else ():
            names.append(family.name)
            names.extend(family.name + suffix for suffix in _SUFFIXES.get(family.type, ()))
        return names

    def collect(self) -> Iterator[Metric]:
        """
        Give every family: ``target_info`` first, then the collectors' in the order of registration.

        With a shared store the values are those of all processes, read at one moment.
        """
        scrape = self._scrape()
        yield from scrape.core.collect()

    def restricted_registry(self, names: Iterable[str]) -> RestrictedRegistry:
        """
        Give a view that shows only the samples of these names.

        Args:
            names: Full names of samples, such as ``hits_total``. Metrics that come later count too.
        """
        return RestrictedRegistry(names, self)

    def set_target_info(self, labels: dict[str, str] | None) -> None:
        """
        Set the labels of ``target_info``, or take it away.

        Args:
            labels: The labels; None or none of them takes the metric away.

        Raises:
            ValueError: A collector has claimed the name ``target_info``.
        """
        with self._lock:
            if labels and not self._target_info and "target_info" in self._names_to_collectors:
                raise ValueError("CollectorRegistry already contains a target_info metric")
            before = self._core.collectors()
            if self._target_info:
                self._core.remove(before.pop(0))
                self._names_to_collectors.pop("target_info", None)
            self._target_info = labels
            if not labels:
                return
            target = _TargetInfo(labels)
            self._names_to_collectors["target_info"] = target
            self._core.add(target)
            for collector in before:
                # Behind it: its family is the first.
                self._core.remove(collector)
                self._core.add(collector)

    def get_target_info(self) -> dict[str, str] | None:
        """Give the labels of ``target_info``, None if there is no such metric."""
        return self._target_info

    def get_sample_value(self, name: str, labels: dict[str, str] | None = None) -> float | None:
        """
        Give the value of one sample.

        Everything is collected to find it: this is for tests.

        Args:
            name: The full name, such as ``hits_total``.

            labels: All its labels.

        Returns:
            The value, None if there is no such sample.
        """
        for family in self.collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == (labels or {}):
                    return sample.value
        return None

    def _scrape(self) -> _Scrape:
        return _Scrape(self._core, None)


class RestrictedRegistry:
    """
    The samples of some names, out of a registry as it is when somebody scrapes.

    Only the collectors that claimed one of the names are asked, in the order in which they were
    registered.

    Example:
        >>> from tallymark import Summary
        >>> registry = CollectorRegistry()
        >>> view = registry.restricted_registry(["latency_count"])
        >>> Summary("latency", "Latency.", registry=registry).observe(0.5)
        >>> [sample.name for family in view.collect() for sample in family.samples]
        ['latency_count']
    """

    def __init__(self, names: Iterable[str], registry: CollectorRegistry) -> None:
        self._name_set = set(names)
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """
        Give the families that have samples of these names, without their other samples and their
        unit.
        """
        scrape = self._scrape()
        for family in scrape.core.collect():
            restricted = family._restricted_metric(self._name_set)
            if restricted:
                yield restricted

    def _scrape(self) -> _Scrape:
        registry = self._registry
        with registry._lock:
            claimed = registry._names_to_collectors
            owners = {id(claimed[name]) for name in self._name_set if name in claimed}
            nameless = set()
            if registry._support_collectors_without_names:
                nameless = {
                    id(collector) for collector, names in registry._names.items() if not names
                }
            core = _tallymark.RegistryCore()
            for collector in registry._core.collectors():
                if id(collector) in owners or id(collector) in nameless:
                    core.add(collector)
            registry._names.show_in(core)
        return _Scrape(core, sorted(self._name_set))


class _Scrape(NamedTuple):
    """What one scrape reads: native collectors, and the names of samples to show."""

    core: _tallymark.RegistryCore
    names: list[str] | None


def _scrape_of(registry: Collector) -> _Scrape | None:
    """
    Give what a registry of ours shows, to be read without Python.

    Returns:
        None if its `collect()` has to be called: it is no registry of ours, or somebody has
        replaced the method.
    """
    if isinstance(registry, (CollectorRegistry, RestrictedRegistry)):
        ours = (CollectorRegistry.collect, RestrictedRegistry.collect)
        if type(registry).collect in ours and "collect" not in vars(registry):
            return registry._scrape()
    return None


def get_or_create(
    metric: Callable[_Arguments, _AnyMetric], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _AnyMetric:
    """
    Make a metric, or give the one of its name that its registry has already.

    For code that runs more than once in a process: notebooks, reloaded modules, tests. The help
    text may differ; the first one stays.

    Args:
        metric: The class.

        *args: What the class takes.

        **kwargs: The same by name.

    Raises:
        ValueError: The registry has a metric of this name that is not the same: of another class,
            or with other label names, buckets, states or mode.

    Example:
        >>> from tallymark import Counter
        >>> registry = CollectorRegistry()
        >>> first = get_or_create(Counter, "sent", "Files sent.", ["kind"], registry=registry)
        >>> first is get_or_create(Counter, "sent", "Files sent.", ["kind"], registry=registry)
        True
    """
    try:
        return metric(*args, **kwargs)
    except DuplicateTimeseries as error:
        wanted, registry = error._refused, error._registry
        for name in sorted(error.duplicates):
            known = registry._names_to_collectors.get(name)
            if type(known) is not type(wanted) or known._name != wanted._name:
                continue
            for what in ("_labelnames", "_kwargs"):
                if getattr(known, what) != getattr(wanted, what):
                    raise ValueError(
                        f"{wanted!r} is registered already with {getattr(known, what)},"
                        f" not with {getattr(wanted, what)}; unregister it first"
                    ) from error
            return cast(_AnyMetric, known)
        raise


class _WholeStore:
    """A collector that stands for all families of a directory's store, whoever declared them."""

    _directory: _tallymark.SharedDirectory


class _TargetInfo:
    """The collector of a registry's own metric."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        family = Metric("target", "Target metadata", "info")
        family.add_sample("target_info", self._labels, 1)
        return (family,)


class _CollectorNames(dict[Collector, list[str]]):
    """Collectors with the names they claimed: a dict whose native twin follows every change."""

    def __init__(self, core: _tallymark.RegistryCore) -> None:
        super().__init__()
        self._core = core
        self._others = False

    def show_others(self) -> None:
        """Show families that only other processes declare, too."""
        self._others = True
        self.show_in(self._core)

    def show_in(self, core: _tallymark.RegistryCore) -> None:
        """Tell a native registry what to show of a shared store beside the collectors."""
        stores = [it._directory for it in self if isinstance(it, _WholeStore)]
        core.show(self._others, stores[0] if stores else None)

    def __setitem__(self, collector: Collector, names: list[str]) -> None:
        is_new = collector not in self
        super().__setitem__(collector, names)
        if isinstance(collector, _WholeStore):
            self.show_in(self._core)
        elif is_new:
            self._core.add(collector)

    def __delitem__(self, collector: Collector) -> None:
        super().__delitem__(collector)
        if isinstance(collector, _WholeStore):
            self.show_in(self._core)
        else:
            # Found as a dict finds it: the one in there may be another that is equal.
            self._core.remove(collector)

    # A dict's other ways to change, through the two above: its own would go past them.

    def clear(self) -> None:
        for collector in list(self):
            del self[collector]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for collector, names in dict(*args, **kwargs).items():
            self[collector] = names

    def setdefault(self, collector: Collector, names: Any = None) -> Any:
        if collector not in self:
            self[collector] = names
        return self[collector]

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def pop(self, collector: Collector, *default: Any) -> Any:
        if collector not in self:
            return super().pop(collector, *default)
        names = self[collector]
        del self[collector]
        return names

    def popitem(self) -> Any:
        if not self:
            return super().popitem()
        collector = next(reversed(self))
        return collector, self.pop(collector)

    def __copy__(self) -> dict[Collector, list[str]]:
        return dict(self)


class _Lock:
    """
    A lock that its holder may take again, and that says whether it is held.

    The holder may well be interrupted: by the garbage collector, whose finalizers unregister
    metrics, or by a signal.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0

    def acquire(self) -> bool:
        self._lock.acquire()
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()

    def locked(self) -> bool:
        return self._depth > 0


_registries: weakref.WeakSet[CollectorRegistry] = weakref.WeakSet()


def _renew_locks() -> None:
    # In a child, for ever: whoever held one when the process forked does not exist there.
    for registry in list(_registries):
        registry._lock = _Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


REGISTRY = CollectorRegistry(auto_describe=True)
"""
The registry that metrics join unless they are told otherwise.

With a shared store it also shows the families that only other processes declare.
"""

REGISTRY._names.show_others()
