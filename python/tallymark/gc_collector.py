"""What the garbage collector has done, by generation.

Read from the interpreter's own counters when somebody scrapes; collecting makes no garbage of its
own that would show in them. Interpreters without such counters get no collector.
"""

from __future__ import annotations

import gc
import platform
from collections.abc import Iterable

from .metrics_core import CounterMetricFamily, Metric
from .registry import REGISTRY, Collector, CollectorRegistry


class GCCollector(Collector):
    """The families ``python_gc_objects_collected``, ``python_gc_objects_uncollectable`` and
    ``python_gc_collections``.

    Args:
        registry: Where to register, None for nowhere. Nothing is registered on interpreters other
            than CPython.

    Example:
        >>> [family.name for family in GCCollector(registry=None).collect()][0]
        'python_gc_objects_collected'
    """

    def __init__(self, registry: CollectorRegistry | None = REGISTRY) -> None:
        counted = hasattr(gc, "get_stats") and platform.python_implementation() == "CPython"
        if registry and counted:
            registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Read the counters."""
        families = {
            name: CounterMetricFamily("python_gc_" + family, documentation, labels=["generation"])
            for name, family, documentation in (
                ("collected", "objects_collected", "Objects collected during gc"),
                ("uncollectable", "objects_uncollectable", "Uncollectable objects found during GC"),
                ("collections", "collections", "Number of times this generation was collected"),
            )
        }
        for generation, counters in enumerate(gc.get_stats()):
            for name, family in families.items():
                family.add_metric([str(generation)], counters[name])
        return families.values()


GC_COLLECTOR = GCCollector()
"""The collector in `REGISTRY`."""
