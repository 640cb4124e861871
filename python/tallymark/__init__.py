"""Prometheus metrics that add up across processes.

The names and the behaviour of the official client, ``prometheus_client``: ``import tallymark as
prometheus_client`` works. What it has not: `use_store` puts the numbers where every process of the
host adds to the same ones.

Example:
    >>> from tallymark import CollectorRegistry, Counter, generate_latest
    >>> registry = CollectorRegistry()
    >>> requests = Counter("requests", "Requests served.", ["method"], registry=registry)
    >>> requests.labels("get").inc()
    >>> registry.get_sample_value("requests_total", {"method": "get"})
    1.0
"""

# Registers what the end of the process does.
from . import _ending as _ending

# Programs use these as attributes of the package, without importing them.
from . import decorator as decorator
from . import mmap_dict as mmap_dict
from ._stand_in import install_as_prometheus_client
from ._tallymark import flush, use_store
from .exposition import (
    CONTENT_TYPE_LATEST,
    CONTENT_TYPE_PLAIN_0_0_4,
    CONTENT_TYPE_PLAIN_1_0_0,
    MetricsHandler,
    delete_from_gateway,
    generate_latest,
    instance_ip_grouping_key,
    make_asgi_app,
    make_wsgi_app,
    push_to_gateway,
    pushadd_to_gateway,
    start_http_server,
    start_wsgi_server,
    write_to_textfile,
)
from .gc_collector import GC_COLLECTOR, GCCollector
from .metrics import (
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
    enable_created_metrics,
)
from .metrics_core import Metric
from .platform_collector import PLATFORM_COLLECTOR, PlatformCollector
from .process_collector import PROCESS_COLLECTOR, ProcessCollector
from .registry import REGISTRY, CollectorRegistry, get_or_create

__all__ = (
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "GC_COLLECTOR",
    "PLATFORM_COLLECTOR",
    "PROCESS_COLLECTOR",
    "REGISTRY",
    "CollectorRegistry",
    "Counter",
    "Enum",
    "GCCollector",
    "Gauge",
    "Histogram",
    "Info",
    "Metric",
    "MetricsHandler",
    "PlatformCollector",
    "ProcessCollector",
    "Summary",
    "delete_from_gateway",
    "disable_created_metrics",
    "enable_created_metrics",
    "flush",
    "generate_latest",
    "get_or_create",
    "install_as_prometheus_client",
    "instance_ip_grouping_key",
    "make_asgi_app",
    "make_wsgi_app",
    "push_to_gateway",
    "pushadd_to_gateway",
    "start_http_server",
    "start_wsgi_server",
    "use_store",
    "write_to_textfile",
)
