"""What the native module has; import its classes from where they belong, such as ``metrics``."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any, ClassVar, Literal, SupportsFloat, SupportsIndex, TypeAlias, final

from typing_extensions import Self, disjoint_base

from .context_managers import ExceptionCounter, InprogressTracker, Timer
from .metrics_core import Metric
from .registry import Collector, CollectorRegistry
from .samples import Exemplar, Sample

__all__ = [
    "Counter",
    "Enum",
    "Families",
    "Gauge",
    "Histogram",
    "Info",
    "MetricWrapperBase",
    "RegistryCore",
    "Server",
    "SharedDirectory",
    "Summary",
    "choose_coding",
    "choose_format",
    "end_identity",
    "float_to_go_string",
    "flush",
    "forget_identities",
    "leave",
    "parse_labels",
    "parse_openmetrics_sample",
    "parse_text_sample",
    "render_collectors",
    "serve",
    "set_use_created",
    "store_url",
    "use_store",
]

_Number: TypeAlias = SupportsFloat | SupportsIndex
_Kind: TypeAlias = Literal["text", "openmetrics", "openmetrics-2.0"]
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

@disjoint_base
class MetricWrapperBase:
    """Common to all metrics: a name, a help text, label names and their children."""

    _type: ClassVar[str | None]
    _reserved_labelnames: ClassVar[Sequence[str]]
    @property
    def _name(self) -> str: ...
    @property
    def _documentation(self) -> str: ...
    @property
    def _unit(self) -> str: ...
    @property
    def _original_name(self) -> str: ...
    @property
    def _namespace(self) -> str: ...
    @property
    def _subsystem(self) -> str: ...
    @property
    def _labelnames(self) -> tuple[str, ...]: ...
    @property
    def _labelvalues(self) -> tuple[str, ...]: ...
    @property
    def _kwargs(self) -> dict[str, Any]: ...
    _metrics: Any
    _lock: Any
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
    ) -> None: ...
    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self: ...
    def remove(self, *labelvalues: object) -> None: ...
    def remove_by_labels(self, labels: dict[str, str]) -> None: ...
    def clear(self) -> None: ...
    def describe(self) -> list[Metric]: ...
    def collect(self) -> list[Metric]: ...
    def _children(self) -> list[Self]: ...
    def _child(self, labelvalues: Sequence[str]) -> Self | None: ...
    def _get_metric(self) -> Metric: ...
    def _local(self, part: str, bucket: int = 0) -> float: ...
    def _add_local(self, part: str, bucket: int, amount: float) -> None: ...
    def _backdate(self, created: float) -> None: ...
    def _set_local_exemplar(self, bucket: int, exemplar: Exemplar) -> None: ...
    def _start_again(self) -> None: ...
    def _count_by_objects(self) -> None: ...
    def _counts_by_objects(self) -> bool: ...
    def _is_observable(self) -> bool: ...
    def _is_parent(self) -> bool: ...
    def _raise_if_not_observable(self) -> None: ...
    def _metric_init(self) -> None: ...
    def _samples(self) -> Iterable[Sample]: ...
    def _multi_samples(self) -> Iterable[Sample]: ...
    def _child_samples(self) -> Iterable[Sample]: ...

@disjoint_base
class Counter(MetricWrapperBase):
    """A total that only grows: requests answered, bytes sent."""

    _value: Any
    _created: Any
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
    ) -> None: ...
    def inc(self, amount: _Number = 1, exemplar: dict[str, str] | None = None) -> None: ...
    def reset(self) -> None: ...
    def count_exceptions(
        self, exception: type[BaseException] | tuple[type[BaseException], ...] = ...
    ) -> ExceptionCounter: ...

@disjoint_base
class Gauge(MetricWrapperBase):
    """A value that goes up and down: a queue's length, requests in progress."""

    _value: Any
    @property
    def _multiprocess_mode(self) -> _Mode: ...
    @property
    def _is_most_recent(self) -> bool: ...
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
        multiprocess_mode: _Mode | None = None,
    ) -> None: ...
    def inc(self, amount: _Number = 1) -> None: ...
    def dec(self, amount: _Number = 1) -> None: ...
    def set(self, value: _Number | str) -> None: ...
    def set_to_current_time(self) -> None: ...
    def set_function(self, f: Callable[[], _Number]) -> None: ...
    def track_inprogress(self) -> InprogressTracker: ...
    def time(self) -> Timer: ...

@disjoint_base
class Summary(MetricWrapperBase):
    """Observations, counted and summed: sizes, durations whose mean is enough."""

    _count: Any
    _sum: Any
    _created: Any
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
    ) -> None: ...
    def observe(self, amount: _Number) -> None: ...
    def time(self) -> Timer: ...

@disjoint_base
class Histogram(MetricWrapperBase):
    """Observations, counted in buckets: latencies, sizes. Prometheus makes quantiles of them."""

    DEFAULT_BUCKETS: ClassVar[tuple[float, ...]]
    @property
    def _upper_bounds(self) -> list[float]: ...
    _buckets: Any
    _sum: Any
    _created: Any
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
        buckets: Iterable[_Number | str] = ...,
    ) -> None: ...
    def observe(self, amount: _Number, exemplar: dict[str, str] | None = None) -> None: ...
    def time(self) -> Timer: ...

@disjoint_base
class Info(MetricWrapperBase):
    """Facts about the thing measured, as labels: a version, a build host."""

    @property
    def _value(self) -> dict[str, str]: ...
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
    ) -> None: ...
    def info(self, val: dict[str, str]) -> None: ...

@disjoint_base
class Enum(MetricWrapperBase):
    """Which of a set of states holds; the first one at the start."""

    @property
    def _value(self) -> int: ...
    @property
    def _states(self) -> list[str]: ...
    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Iterable[str] = (),
        namespace: str = "",
        subsystem: str = "",
        unit: str = "",
        registry: CollectorRegistry | None = ...,
        _labelvalues: Sequence[str] | None = None,
        states: Iterable[str] | None = None,
    ) -> None: ...
    def state(self, state: str) -> None: ...

@final
class Families:
    """An iterator over the families of an exposition."""

    def __new__(
        cls,
        source: str | Iterable[str],
        kind: Literal["text", "openmetrics"],
        parse_sample: Callable[[str], Sample] | None = None,
    ) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Metric: ...

@final
class RegistryCore:
    """The collectors of a registry in their order, and how they are rendered."""

    def __new__(cls) -> Self: ...
    def add(self, collector: Collector) -> None: ...
    def remove(self, collector: Collector) -> None: ...
    def collectors(self) -> list[Collector]: ...
    def show(self, others: bool = False, directory: SharedDirectory | None = None) -> None: ...
    def collect(self) -> list[Metric]: ...
    def render(
        self,
        accept: str | None = None,
        accept_encoding: str | None = None,
        names: Iterable[str] | None = None,
        compress: bool = True,
    ) -> tuple[str, str | None, bytes]: ...
    def render_text(
        self,
        escaping: str = "underscores",
        names: Iterable[str] | None = None,
    ) -> bytes: ...
    def render_openmetrics(
        self,
        escaping: str = "underscores",
        names: Iterable[str] | None = None,
        kind: Literal["openmetrics", "openmetrics-2.0"] = "openmetrics",
    ) -> bytes: ...

@final
class SharedDirectory:
    """A directory that processes share, and its store once there is one."""

    def __new__(cls, path: str | PathLike[str], named_first: bool) -> Self: ...

@final
class Server:
    """An HTTP server for metrics, on a thread of its own; made by `serve`."""

    @property
    def server_address(self) -> tuple[str, int]: ...
    @property
    def server_port(self) -> int: ...
    def shutdown(self) -> None: ...
    def server_close(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...

def serve(
    port: int,
    addr: str,
    core: RegistryCore,
    reuse_port: bool = True,
) -> Server: ...
def render_collectors(families: Iterable[Metric], escaping: str, kind: _Kind) -> bytes: ...
def choose_format(accept: str | None) -> tuple[_Kind, str, str]: ...
def choose_coding(accept_encoding: str | None) -> Literal["gzip", "zstd"] | None: ...
def float_to_go_string(number: _Number) -> str: ...
def set_use_created(flag: bool) -> None: ...
def use_store(url: str) -> None: ...
def store_url() -> str: ...
def leave() -> None: ...
def flush(timeout: float = 5.0) -> None: ...
def end_identity(identity: str) -> None: ...
def forget_identities() -> None: ...
def parse_labels(labels_string: str, openmetrics: bool = False) -> dict[str, str]: ...
def parse_text_sample(text: str) -> Sample: ...
def parse_openmetrics_sample(text: str) -> Sample: ...
