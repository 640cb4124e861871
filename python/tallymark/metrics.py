"""The metric classes, and the switch for ``_created`` samples.

The classes are native: an increment never runs a line of Python. They read ``_use_created`` from
this module at every scrape, so that assigning it works as the two functions do. What a metric is
worth, and where it counts, is not known here.
"""

from __future__ import annotations

import os

from . import _internals, _tallymark, values
from ._tallymark import Counter, Enum, Gauge, Histogram, Info, MetricWrapperBase, Summary
from .context_managers import ExceptionCounter, InprogressTracker, Timer
from .metrics_core import Metric
from .registry import REGISTRY, Collector, CollectorRegistry
from .samples import Exemplar, Sample
from .utils import INF, floatToGoString
from .validation import _validate_exemplar, _validate_labelnames, _validate_metric_name

# Beside the classes, what subclasses of them are used to find here.
__all__ = (
    "INF",
    "REGISTRY",
    "Collector",
    "CollectorRegistry",
    "Counter",
    "Enum",
    "ExceptionCounter",
    "Exemplar",
    "Gauge",
    "Histogram",
    "Info",
    "InprogressTracker",
    "Metric",
    "MetricWrapperBase",
    "Sample",
    "Summary",
    "Timer",
    "_validate_exemplar",
    "_validate_labelnames",
    "_validate_metric_name",
    "disable_created_metrics",
    "enable_created_metrics",
    "floatToGoString",
    "values",
)

_internals.attach()


def _get_use_created() -> bool:
    disabled = os.environ.get("PROMETHEUS_DISABLE_CREATED_SERIES", "")
    return disabled.lower() not in ("true", "1", "t")


_use_created = _get_use_created()


def disable_created_metrics() -> None:
    """
    Leave out the ``_created`` samples of counters, summaries and histograms.

    Takes effect at the next scrape, for metrics that exist already too. The moments are kept.

    Example:
        >>> from tallymark import CollectorRegistry, Counter, generate_latest
        >>> registry = CollectorRegistry()
        >>> hits = Counter("hits", "Hits.", registry=registry)
        >>> disable_created_metrics()
        >>> print(generate_latest(registry).decode(), end="")
        # HELP hits_total Hits.
        # TYPE hits_total counter
        hits_total 0.0
        >>> enable_created_metrics()
    """
    global _use_created
    _use_created = False
    _tallymark.set_use_created(False)


def enable_created_metrics() -> None:
    """
    Show the ``_created`` samples again, which is the default.

    Example:
        >>> from tallymark import Summary
        >>> enable_created_metrics()
        >>> summary = Summary("latency", "Latency.", registry=None)
        >>> [sample.name for sample in summary.collect()[0].samples]
        ['latency_count', 'latency_sum', 'latency_created']
    """
    global _use_created
    _use_created = True
    _tallymark.set_use_created(True)
