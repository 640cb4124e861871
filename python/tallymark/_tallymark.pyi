"""What the native module has. People import its classes from where they belong, such as ``tallymark.metrics``."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal, SupportsFloat, SupportsIndex, final

from typing_extensions import Self, TypeAlias

from .context_managers import ExceptionCounter, InprogressTracker, Timer
from .metrics_core import Metric
from .registry import Collector, CollectorRegistry
from .samples import Sample

__all__ = [
    "Counter",
    "Enum",
    "Gauge",
    "Histogram",
    "Info",
    "LocalValue",
    "MetricWrapperBase",
    "RegistryCore",
    "Server",
    "Summary",
    "choose_coding",
    "choose_format",
    "float_to_go_string",
    "leave",
    "render_collectors",
    "serve",
    "set_use_created",
    "store_url",
    "use_store",
]

_Number: TypeAlias = SupportsFloat | SupportsIndex
_Mode: TypeAlias = Literal[
    "auto",
    "all",
    "liveall",
    "min",
    "livemin",
    "max",
    "livemax",
    "sum",
    "livesum",
    "mostrecent",
    "livemostrecent",
]
