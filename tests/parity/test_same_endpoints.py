"""Negotiation, endpoints and small functions answer alike on both packages."""

from __future__ import annotations

import asyncio
import gzip
import inspect
from typing import Any

import pytest

ACCEPT = [
    None,
    "",
    "*/*",
    "text/plain",
    "text/plain; version=0.0.4",
    "text/plain; version=1.0.0",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text",
    "application/openmetrics-text; escaping=allow-utf-8",
    "application/openmetrics-text; version=1.0.0",
    "application/openmetrics-text; version=1.0.0; escaping=nonsense",
    "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    # What Prometheus 2.53 and 3.0 send.
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8"
    ";q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
]
NUMBERS = [
    0, 1, -1, 0.1, 1e6, 999999, 1234567.25, 1e21, 1e22, -1e9, 1e-5, 5e-324, 1.7e308, "2.5", True,
    float("inf"), float("-inf"), float("nan"),
]  # fmt: skip
NAMES = ["", "plain", "a.b", "a_b.c", "1a", "a:b", "__a", "größe", "🦀", "a b", 'q"\\\n', "a\ud800"]


def _registry(c: Any) -> Any:
    registry = c.core.CollectorRegistry()
    c.core.Counter("http.hits", "Hits.", ["my.path"], registry=registry).labels("/").inc()
    c.core.Gauge("queue", "Queue.", unit="jobs", registry=registry).set(2)
    c.core.Summary("latency", "Latency.", registry=registry).observe(0.5)
    return registry


@pytest.mark.parametrize("accept", ACCEPT)
def test_an_accept_header_chooses_the_same_format(accept: Any, same: Any) -> None:
    """Content type and body."""

    def run(c: Any) -> tuple[str, bytes]:
        encode, content_type = c.exposition.choose_encoder(accept)
        return content_type, encode(_registry(c))

    same(run)


@pytest.mark.parametrize("escaping", ["dots", "values"])
@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_an_accept_header_chooses_the_same_escaping(kind: str, escaping: str, same: Any) -> None:
    """The content type says which; how names then look, see ``test_same_expositions``."""
    accept = f"{kind}; version=1.0.0; escaping={escaping}"

    assert escaping in same(lambda c: c.exposition.choose_encoder(accept)[1])


@pytest.mark.parametrize("header", [None, "", "gzip", "br, GZIP", "deflate", "gzip;q=0.5"])
def test_an_accept_encoding_header_allows_gzip_alike(header: Any, same: Any) -> None:
    """But for gzip;q=0, which the official client takes for a yes."""
    same(lambda c: c.exposition.gzip_accepted(header))


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/favicon.ico"])
@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("query", ["", "name[]=queue_jobs", "name[]=latency_sum&name[]=x"])
def test_wsgi_applications_answer_alike(
    method: str, path: str, coding: str, query: str, same: Any
) -> None:
    """Status, and for answers with metrics the headers and the body too."""

    def run(c: Any) -> list[Any]:
        answer: list[Any] = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_ACCEPT_ENCODING": coding,
        }
        body = b"".join(
            c.exposition.make_wsgi_app(_registry(c))(environ, lambda *start: answer.extend(start))
        )
        if method != "GET":
            return answer[:1]
        if dict(answer[1]).get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return [*answer, body]

    same(run)


@pytest.mark.parametrize("headers", [[], [(b"accept-encoding", b"gzip")], [(b"Accept", b"*/*")]])
def test_asgi_applications_answer_alike(headers: Any, same: Any) -> None:
    """Two messages, with the same contents."""

    def run(c: Any) -> list[Any]:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            if message.get("body", b"").startswith(b"\x1f\x8b"):
                message["body"] = gzip.decompress(message["body"])
            sent.append(message)

        scope = {"type": "http", "method": "GET", "headers": headers, "query_string": b""}
        asyncio.run(c.asgi.make_asgi_app(_registry(c))(scope, receive, send))
        return sent

    assert 2 == len(same(run))


@pytest.mark.parametrize(
    "names", [[], ["queue_jobs"], ["http.hits_total"], ["latency_count"], ["x"]]
)
def test_a_restricted_registry_shows_the_same(names: list[str], same: Any) -> None:
    """In both formats."""

    def run(c: Any) -> tuple[bytes, bytes]:
        view = _registry(c).restricted_registry(names)
        return c.exposition.generate_latest(view), c.openmetrics.generate_latest(view)

    same(run)


def test_a_restricted_registry_with_target_info_shows_it_first(same: Any) -> None:
    """And nothing else that was not asked for."""

    def run(c: Any) -> bytes:
        registry = _registry(c)
        registry.set_target_info({"env": "test"})
        return c.exposition.generate_latest(
            registry.restricted_registry(["target_info", "queue_jobs"])
        )

    same(run)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_written_alike(number: Any, same: Any) -> None:
    """Go's way, as far as the official client goes it."""
    same(lambda c: c.utils.floatToGoString(number))


@pytest.mark.parametrize("version", ["1.0.0", "0.0.4", "abc", "1.0.rc1", ""])
def test_a_version_is_split_alike(version: str, same: Any) -> None:
    """Numbers as numbers, the rest as text."""
    same(lambda c: c.utils.parse_version(version))


@pytest.mark.parametrize("escaping", ["underscores", "allow-utf-8", "dots", "values", "nonsense"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_escaped_alike(name: str, escaping: str, same: Any) -> None:
    """As a metric's and as a label's."""
    same(lambda c: c.openmetrics.escape_metric_name(name, escaping))
    same(lambda c: c.openmetrics.escape_label_name(name, escaping))


@pytest.mark.parametrize(
    "module", ["asgi", "exposition", "metrics_core", "openmetrics", "registry", "samples"]
)
def test_public_functions_take_the_same_arguments(
    module: str, official: Any, ours: Any, same: Any
) -> None:
    """Names, order and defaults; annotations aside."""
    public = {
        name
        for name, value in vars(getattr(ours, module)).items()
        if getattr(value, "__module__", "") == getattr(ours, module).__name__
        if inspect.isroutine(value) or inspect.isclass(value)
        if not name.startswith("_") and name in vars(getattr(official, module))
    }

    def run(c: Any) -> dict[str, list[tuple[str, str]]]:
        signatures = {}
        for name in sorted(public):
            parameters = inspect.signature(vars(getattr(c, module))[name]).parameters.values()
            signatures[name] = [(p.name, _default(p.default)) for p in parameters]
        return signatures

    assert same(run)


def _default(default: object) -> str:
    if default is inspect.Parameter.empty:
        return "required"
    return default if isinstance(default, str) else type(default).__name__


@pytest.mark.parametrize("collector", ["process_collector", "platform_collector", "gc_collector"])
def test_a_standard_collector_has_the_same_families(collector: str, same: Any) -> None:
    """Names, help, types and labels; the values are those of the moment."""

    def run(c: Any) -> list[Any]:
        registry = c.core.CollectorRegistry()
        classes = {
            "process": "ProcessCollector",
            "platform": "PlatformCollector",
            "gc": "GCCollector",
        }
        getattr(getattr(c, collector), classes[collector.split("_")[0]])(registry=registry)
        return [
            (f.name, f.documentation, f.type, f.unit, [(s.name, s.labels) for s in f.samples])
            for f in registry.collect()
        ]

    assert same(run)


def test_the_default_registry_claims_the_same_names(same: Any) -> None:
    """So a metric that clashes with one package clashes with the other."""
    same(lambda c: sorted(c.registry.REGISTRY._names_to_collectors))
