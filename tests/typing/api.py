"""
A program in the official client's types, which mypy accepts under ``--strict``.

It is never run; it is checked: ``mypy --strict tests/typing/api.py``. What stands before a ``type:
ignore`` is wrong, and must go on being refused: mypy complains of a comment that it does not need.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any
from wsgiref.simple_server import WSGIServer

import tallymark as prometheus_client
from aiohttp import web
from tallymark import (
    CONTENT_TYPE_LATEST,
    GC_COLLECTOR,
    PLATFORM_COLLECTOR,
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    Metric,
    MetricsHandler,
    PlatformCollector,
    ProcessCollector,
    Summary,
    delete_from_gateway,
    disable_created_metrics,
    enable_created_metrics,
    generate_latest,
    instance_ip_grouping_key,
    make_asgi_app,
    make_wsgi_app,
    parser,
    push_to_gateway,
    pushadd_to_gateway,
    start_http_server,
    start_wsgi_server,
    use_store,
    write_to_textfile,
)
from tallymark.aiohttp import make_aiohttp_handler
from tallymark.bridge.graphite import GraphiteBridge
from tallymark.context_managers import Timer
from tallymark.core import (
    CounterMetricFamily,
    DuplicateTimeseries,
    Exemplar,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Sample,
    StateSetMetricFamily,
    SummaryMetricFamily,
    Timestamp,
    UnknownMetricFamily,
)
from tallymark.decorator import contextmanager, decorate, getargspec
from tallymark.django import PrometheusDjangoView
from tallymark.exposition import (
    CompressionType,
    ServerThread,
    basic_auth_handler,
    choose_encoder,
    default_handler,
    gzip_accepted,
    tls_auth_handler,
)
from tallymark.metrics import MetricWrapperBase
from tallymark.mmap_dict import MmapedDict, mmap_key
from tallymark.multiprocess import MultiProcessCollector, mark_process_dead
from tallymark.openmetrics import exposition as openmetrics
from tallymark.openmetrics import parser as openmetrics_parser
from tallymark.registry import Collector
from tallymark.twisted import MetricsResource
from tallymark.utils import INF, floatToGoString
from tallymark.validation import enable_legacy_validation, get_legacy_validation

# Metrics.
registry: CollectorRegistry = CollectorRegistry(auto_describe=True, target_info={"env": "test"})
counter = Counter("c", "h", ["a"], namespace="n", subsystem="s", unit="u", registry=registry)
child: Counter = counter.labels("x")
child.inc()
counter.labels(a="x").inc(0.5, exemplar={"trace_id": "1"})
counter.labels(1).reset()
counter.remove("x")
counter.remove_by_labels({"a": "x"})
counter.clear()
gauge = Gauge("g", "h", registry=None, multiprocess_mode="livesum")
gauge.inc(2)
gauge.dec()
gauge.set(1.5)
gauge.set_to_current_time()
gauge.set_function(lambda: 3)
gauge.set_function(lambda: 3.5)
summary = Summary("s", "h", labelnames=("a", "b"))
summary.labels("x", b="y").observe(1)
histogram = Histogram("h", "h", buckets=(1, 2.5, INF))
histogram.observe(0.5, {"trace_id": "1"})
default_buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS
info = Info("i", "h")
info.info({"version": "1"})
enum = Enum("e", "h", states=["a", "b"])
enum.state("a")
base: MetricWrapperBase = enum
families: Iterable[Metric] = base.collect()


# Decorators keep the type of what they decorate.
@counter.labels("x").count_exceptions(ValueError)
@gauge.track_inprogress()
@summary.labels("x", "y").time()
def work(a: int, b: str = "") -> float:
    with histogram.time() as timer:
        timer.labels()
    duration: float | None = timer.duration
    with counter.count_exceptions((KeyError, ValueError)), gauge.track_inprogress():
        return float(a) + (duration or 0)


@histogram.time()
async def work_later(a: int) -> str:
    async with summary.time() as timer, counter.count_exceptions(), gauge.track_inprogress():
        kind: Timer = timer
        return str(kind) + str(a)


result: float = work(1, b="x")


async def main() -> str:
    return await work_later(1)


work("x")  # type: ignore[arg-type]


# Custom collectors, with and without the base class.
class Disk(Collector):
    def collect(self) -> Iterator[Metric]:
        unknown = UnknownMetricFamily("u", "h", value=1)
        gauges = GaugeMetricFamily("g", "h", labels=["a"], unit="bytes")
        gauges.add_metric(["x"], 1, timestamp=Timestamp(1, 2))
        counters = CounterMetricFamily("c", "h", labels=["a"], created=None)
        counters.add_metric(["x"], 1, created=2.0, exemplar=Exemplar({"a": "b"}, 1))
        summaries = SummaryMetricFamily("s", "h", count_value=1, sum_value=2.0)
        histograms = HistogramMetricFamily("h", "h", buckets=[("1", 1), ("+Inf", 2)], sum_value=3)
        gauge_histograms = GaugeHistogramMetricFamily("gh", "h", buckets=[("+Inf", 2.0)])
        infos = InfoMetricFamily("i", "h", value={"version": "1"})
        states = StateSetMetricFamily("st", "h", value={"a": True})
        yield from (unknown, gauges, counters, summaries, histograms, gauge_histograms)
        yield from (infos, states)


class Bare:
    def collect(self) -> list[Metric]:
        family = Metric("m", "h", "gauge", unit="bytes")
        family.add_sample("m_bytes", {"a": "b"}, 1, timestamp=1.5)
        sample: Sample = family.samples[0]
        assert sample.value == sample[2]
        return [family]


registry.register(Disk())
registry.register(Bare())
registry.register(object())  # type: ignore[arg-type]
registry.unregister(counter)
view = registry.restricted_registry(["c_total"])
value: float | None = registry.get_sample_value("c_total", {"a": "x"})
registry.set_target_info(None)
labels: dict[str, str] | None = registry.get_target_info()
try:
    Gauge("g", "h", registry=registry)
except DuplicateTimeseries as error:
    duplicates: set[str] = error.duplicates

# Ways out.
text: bytes = generate_latest()
text = generate_latest(view, escaping=openmetrics.ALLOWUTF8)
text = openmetrics.generate_latest(registry, openmetrics.DOTS, "1.0.0")
encode: Callable[[Collector], bytes]
content_type: str = CONTENT_TYPE_LATEST
encode, content_type = choose_encoder(None)
accepted: bool = gzip_accepted("gzip")
write_to_textfile("/tmp/job.prom", registry)
wsgi = make_wsgi_app(registry, disable_compression=True)
asgi = make_asgi_app(Bare())
handler: type = MetricsHandler.factory(registry)
server, thread = start_http_server(8000, "127.0.0.1", registry)
server.shutdown()
server.server_close()
thread.join(1.0)
alive: bool = thread.is_alive()
address: Any = server.server_address
if isinstance(server, WSGIServer):
    port: int = server.server_port
if not isinstance(thread, ServerThread):
    real: threading.Thread = thread
start_wsgi_server(8000, certfile="c", keyfile="k", tls_min_version=ssl.TLSVersion.TLSv1_3)

# Pushes.
compression: CompressionType = "gzip"
push_to_gateway("gateway", "job", registry, {"shard": 1}, compression=compression)
push_to_gateway("gateway", "job", registry, compression="zip")  # type: ignore[arg-type]
pushadd_to_gateway("gateway", "job", None, instance_ip_grouping_key(), timeout=None)
delete_from_gateway("gateway", "job", handler=partial(basic_auth_handler, username="u"))


def tenant(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    headers.append(("X-Scope-OrgID", "tenant"))
    return default_handler(url, method, timeout, headers, data)


push_to_gateway("https://gateway", "job", registry, handler=tenant)
push_to_gateway("https://gateway", "job", registry, handler=partial(tls_auth_handler, certfile="c"))
bridge = GraphiteBridge(("graphite", 2003), registry, tags=True)
bridge.push("prefix")
bridge.start(interval=10)

# Frameworks.
application = web.Application()
application.router.add_get("/metrics", make_aiohttp_handler(registry, disable_compression=True))
PrometheusDjangoView.registry = registry
resource = MetricsResource(registry)

# Files of the official client.
entries = MmapedDict("counter_1.db", read_mode=True)
found: tuple[float, float] = entries.read_value(mmap_key("m", "m_total", ["a"], ["b"], "h"))
everything: Iterable[tuple[str, float, float]] = entries.read_all_values()


# Decorators.
@contextmanager
def watch() -> Iterator[None]:
    yield


arguments: list[str] = getargspec(main).args
same_type: Callable[[int, str], float] = decorate(work, lambda f, *a, **k: f(*a, **k))
with watch():
    watch()(work)("x")  # type: ignore[arg-type]

# And back.
read: Iterator[Metric] = parser.text_string_to_metric_families(text.decode())
read = openmetrics_parser.text_fd_to_metric_families(["up 1", "# EOF"])
pairs: dict[str, str] = parser.parse_labels('path="/"', openmetrics=True)
parser.text_string_to_metric_families(text)  # type: ignore[arg-type]

# The rest.
enable_created_metrics()
disable_created_metrics()
enable_legacy_validation()
legacy: bool = get_legacy_validation()
number: str = floatToGoString(1)
MultiProcessCollector(registry, path="/run/app")
mark_process_dead(7)
use_store("memory:")
collectors: tuple[Collector, ...] = (PROCESS_COLLECTOR, PLATFORM_COLLECTOR)
gc_collector: GCCollector = GC_COLLECTOR
ProcessCollector(namespace="n", pid=lambda: 7, registry=None)
PlatformCollector(registry=REGISTRY)
again: prometheus_client.Counter = prometheus_client.Counter("c", "h")
