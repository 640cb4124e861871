"""Metrics in tests: each test begins at zero and leaves nothing behind.

`isolated_metrics` is for any test framework. For pytest it is a fixture: put
``pytest_plugins = ["tallymark.pytest_plugin"]`` into ``conftest.py``. What metrics count, and
where, is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from . import _tallymark
from .registry import REGISTRY, CollectorRegistry


@contextmanager
def isolated_metrics(registry: CollectorRegistry = REGISTRY) -> Iterator[CollectorRegistry]:
    """
    Have a block see all metrics of a registry at zero, and forget what it does with them.

    Metrics that the block registers and children that it makes are gone at its end; metrics that it
    unregisters are back. Those that were there before, and their children, begin at zero, and do so
    again at the end.

    Args:
        registry: The registry, which the block gets too.

    Example:
        >>> from tallymark import Counter
        >>> registry = CollectorRegistry()
        >>> requests = Counter("requests", "Requests.", ["method"], registry=registry)
        >>> requests.labels("get").inc()
        >>> with isolated_metrics(registry):
        ...     requests.labels("get").inc()
        ...     requests.labels("put").inc()
        ...     registry.get_sample_value("requests_total", {"method": "get"})
        1.0
        >>> [child._labelvalues for child in requests._metrics.values()]
        [('get',)]
    """
    before = registry.collectors()
    children = {id(metric): set(metric._metrics) for metric in before if _is_labelled(metric)}
    registry.reset()
    try:
        yield registry
    finally:
        for collector in registry.collectors():
            if collector not in before:
                registry.unregister(collector)
        for collector in before:
            if collector not in registry.collectors():
                registry.register(collector)
        for metric in before:
            if _is_labelled(metric):
                for labelvalues in set(metric._metrics) - children[id(metric)]:
                    metric.remove(*labelvalues)
        registry.reset()


def _is_labelled(collector: object) -> TypeGuard[_tallymark.MetricWrapperBase]:
    return isinstance(collector, _tallymark.MetricWrapperBase) and collector._is_parent()
