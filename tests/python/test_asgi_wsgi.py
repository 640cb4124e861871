"""Endpoints inside other servers answer as the native one does, and no header more."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable
from typing import Any
from unittest.mock import patch
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from tallymark import CollectorRegistry, Gauge, exposition, make_asgi_app, make_wsgi_app
from tallymark.core import GaugeMetricFamily, Metric

TEXT = b"# HELP g h\n# TYPE g gauge\ng 1.0\n"


@pytest.fixture(autouse=True)
def _metric(registry: CollectorRegistry) -> None:
    """There is something to show."""
    Gauge("g", "h", registry=registry).set(1)


def wsgi(app: Any, **environ: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Give the status, the headers and the body of an answer."""
    answer: list[Any] = []
    setup_testing_defaults(environ)
    body = app(environ, lambda *start: answer.extend(start))
    return answer[0], answer[1], b"".join(body)


def asgi(app: Any, *received: str, **scope: Any) -> list[dict[str, Any]]:
    """Give the messages that are sent."""
    sent: list[dict[str, Any]] = []
    messages = iter(received or ("http.request",))

    async def receive() -> dict[str, Any]:
        return {"type": next(messages)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "GET", "headers": [], **scope}, receive, send))
    return sent


def test_wsgi_answers_with_exactly_one_header(registry: CollectorRegistry) -> None:
    """Servers add theirs."""
    assert (
        "200 OK",
        [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")],
        TEXT,
    ) == wsgi(make_wsgi_app(registry))


def test_wsgi_answers_with_two_headers_if_compressed(registry: CollectorRegistry) -> None:
    """And with one if that is switched off, or refused."""
    status, headers, body = wsgi(make_wsgi_app(registry), HTTP_ACCEPT_ENCODING="gzip")

    assert ("200 OK", TEXT) == (status, gzip.decompress(body))
    assert ["Content-Type", "Content-Encoding"] == [name for name, _ in headers]

    plain = make_wsgi_app(registry, disable_compression=True)

    assert TEXT == wsgi(plain, HTTP_ACCEPT_ENCODING="gzip")[2]
    assert TEXT == wsgi(make_wsgi_app(registry), HTTP_ACCEPT_ENCODING="gzip;q=0")[2]


def test_wsgi_keeps_the_protocol(registry: CollectorRegistry) -> None:
    """As the standard library's validator sees it."""
    environ: dict[str, Any] = {"QUERY_STRING": "name[]=g"}
    setup_testing_defaults(environ)
    answer = validator(make_wsgi_app(registry))(environ, lambda *start: lambda data: None)
    try:
        assert [TEXT] == list(answer)
    finally:
        answer.close()  # type: ignore[attr-defined]


def test_wsgi_answers_head_with_the_headers_of_get(registry: CollectorRegistry) -> None:
    """And no body."""
    status, headers, body = wsgi(make_wsgi_app(registry), REQUEST_METHOD="HEAD")

    assert ("200 OK", ["Content-Type"], b"") == (status, [name for name, _ in headers], body)


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_wsgi_tells_which_methods_there_are(method: str, registry: CollectorRegistry) -> None:
    """With 405, or when it is asked by OPTIONS."""
    status, headers, body = wsgi(make_wsgi_app(registry), REQUEST_METHOD=method)

    assert ("405 Method Not Allowed", [("Allow", "OPTIONS,GET,HEAD")]) == (status, headers)
    assert method.encode() in body
    assert ("200 OK", headers, b"") == wsgi(make_wsgi_app(registry), REQUEST_METHOD="OPTIONS")


def test_wsgi_scrapes_nothing_for_an_icon(registry: CollectorRegistry) -> None:
    """And looks `_bake_output` up at every request, where people patch it."""
    app = make_wsgi_app(registry)
    with patch.object(exposition, "_bake_output", side_effect=exposition._bake_output) as bake:
        assert ("200 OK", [], b"") == wsgi(app, PATH_INFO="/favicon.ico")
        assert 0 == bake.call_count
        assert TEXT == wsgi(app, PATH_INFO="/any/path")[2]
        assert TEXT == asgi(make_asgi_app(registry))[1]["body"]
        assert 2 == bake.call_count


@pytest.mark.parametrize(
    ("query", "expected"),
    [("name[]=g", True), ("name%5B%5D=g", True), ("name[]=x", False), ("name[]=x&name[]=g", True)],
)
def test_names_restrict_the_answer(query: str, expected: bool, registry: CollectorRegistry) -> None:
    """In both protocols."""
    Gauge("other", "h", registry=registry)
    text = TEXT if expected else b""

    assert text == wsgi(make_wsgi_app(registry), QUERY_STRING=query)[2]
    assert text == asgi(make_asgi_app(registry), query_string=query.encode())[1]["body"]


def test_asgi_answers_with_exactly_one_header(registry: CollectorRegistry) -> None:
    """In two messages."""
    assert [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")],
        },
        {"type": "http.response.body", "body": TEXT},
    ] == asgi(make_asgi_app(registry))


def test_asgi_joins_headers_that_come_in_several_lines(registry: CollectorRegistry) -> None:
    """They are one list, whatever the case of their name."""
    headers = [
        (b"accept-encoding", b"br"),
        (b"Accept-Encoding", b"gzip"),
        (b"accept", b"text/html"),
        (b"ACCEPT", b"application/openmetrics-text;version=1.0.0"),
    ]
    start, body = asgi(make_asgi_app(registry), headers=headers)

    assert TEXT + b"# EOF\n" == gzip.decompress(body["body"])
    assert [b"Content-Type", b"Content-Encoding"] == [name for name, _ in start["headers"]]


def test_asgi_answers_head_without_a_body(registry: CollectorRegistry) -> None:
    """With the headers of GET."""
    start, body = asgi(make_asgi_app(registry), method="HEAD")

    assert (200, b"") == (start["status"], body["body"])


def test_asgi_says_nothing_to_a_client_that_has_gone(registry: CollectorRegistry) -> None:
    """Servers tell so instead of giving the request."""
    assert [] == asgi(make_asgi_app(registry), "http.disconnect")


def test_asgi_can_be_started_and_stopped(registry: CollectorRegistry) -> None:
    """Some servers do so with every application."""
    sent = asgi(make_asgi_app(registry), "lifespan.startup", "lifespan.shutdown", type="lifespan")

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == [
        message["type"] for message in sent
    ]


def test_asgi_refuses_what_it_does_not_speak(registry: CollectorRegistry) -> None:
    """As the protocol demands."""
    with pytest.raises(ValueError, match="speaks http, not websocket"):
        asgi(make_asgi_app(registry), type="websocket")


class Failing:
    """A collector that raises."""

    def collect(self) -> Iterable[Metric]:
        raise LookupError("the disk is gone")


def test_what_a_collector_raises_reaches_the_server(registry: CollectorRegistry) -> None:
    """Which makes a 500 of it and logs it."""
    registry.register(Failing())

    with pytest.raises(LookupError):
        wsgi(make_wsgi_app(registry))
    with pytest.raises(LookupError):
        asgi(make_asgi_app(registry))


def test_an_endpoint_shows_whatever_has_collect() -> None:
    """A bare object in the place of a registry, compressed too."""

    class Bare:
        def collect(self) -> Iterable[Metric]:
            return [GaugeMetricFamily("g", "h", value=1)]

    assert TEXT == wsgi(make_wsgi_app(Bare()))[2]
    assert TEXT == gzip.decompress(wsgi(make_wsgi_app(Bare()), HTTP_ACCEPT_ENCODING="gzip")[2])
