"""The endpoints for aiohttp, Django and Twisted answer alike, each from its framework's server."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any

import pytest

PATIENCE = 60.0

METRICS = """
import sys, threading
from {package} import CollectorRegistry, Counter, Gauge, disable_created_metrics
disable_created_metrics()
registry = CollectorRegistry()
Counter("http.hits", "Hits.", ["path"], registry=registry).labels("/ü").inc()
Gauge("queue", "Queue.", registry=registry).set(2)
Gauge("other", "Other.", registry=registry).set(3)
"""

SERVERS = {
    "aiohttp": """
import asyncio
from aiohttp import web
from {package}.aiohttp import make_aiohttp_handler

async def main():
    application = web.Application()
    application.router.add_get("/metrics", make_aiohttp_handler(registry))
    application.router.add_get("/plain", make_aiohttp_handler(registry, disable_compression=True))
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()

asyncio.run(main())
""",
    "django": """
from wsgiref.simple_server import WSGIRequestHandler, make_server
import django
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="a")
django.setup()
from django.core.wsgi import get_wsgi_application
from django.urls import path
from {package}.django import PrometheusDjangoView

urlpatterns = [path("metrics", PrometheusDjangoView.as_view(registry=registry))]
WSGIRequestHandler.log_message = lambda *_: None
server = make_server("127.0.0.1", 0, get_wsgi_application())
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever).start()
sys.stdin.read()
server.shutdown()
""",
    "twisted": """
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site
from {package}.twisted import MetricsResource

root = Resource()
root.putChild(b"metrics", MetricsResource(registry=registry))
port = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
print(port.getHost().port, flush=True)

def wait():
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)

threading.Thread(target=wait).start()
reactor.run()
""",
}

Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module", params=SERVERS)
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Start the framework's server with each package; then give what both answer."""
    with ExitStack() as stack:
        ports = [
            _serve(stack, (METRICS + SERVERS[request.param]).format(package=package))
            for package in ("prometheus_client", "tallymark")
        ]

        def ask_both(path: str = "/metrics", method: str = "GET", **headers: str) -> list[Any]:
            return [_answer(port, path, method, headers) for port in ports]

        yield ask_both


def _serve(stack: ExitStack, program: str) -> int:
    """Start a program that says on which port it serves, and ends with its input."""
    server = stack.enter_context(
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert server.stdin and server.stdout
    stack.callback(server.kill)
    stack.callback(server.wait, PATIENCE)
    stack.callback(server.stdin.close)
    return int(server.stdout.readline())


def _answer(port: int, path: str, method: str, headers: dict[str, str]) -> tuple[int, Any, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def content(answer: Any) -> tuple[int, str, str | None, bytes]:
    """Give what matters of an answer: status, content type, coding, and the text in clear."""
    status, headers, body = answer
    coding = headers["Content-Encoding"]
    return status, headers["Content-Type"], coding, gzip.decompress(body) if coding else body


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    ],
)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_format_and_compression_are_negotiated_alike(accept: str, coding: str, ask: Ask) -> None:
    """And the text is the same."""
    theirs, ours = (content(one) for one in ask(Accept=accept, Accept_Encoding=coding))

    assert theirs == ours
    assert b"hits" in ours[3]
    assert (coding == "gzip") == (ours[2] == "gzip")


def test_nothing_needs_to_be_asked_for(ask: Ask) -> None:
    """Then it is the oldest format."""
    theirs, ours = (content(one) for one in ask())

    assert theirs[:3] == ours[:3] == (200, "text/plain; version=0.0.4; charset=utf-8", None)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_other_methods_are_answered_alike(method: str, ask: Ask) -> None:
    """They are refused, but for HEAD, which the official client refuses under Twisted only."""
    theirs, ours = ask(method=method)

    if method == "HEAD":
        assert (200, b"") == (ours[0], ours[2])
    else:
        assert 405 == theirs[0] == ours[0]


def test_methods_are_told(ask: Ask) -> None:
    """Where the framework asks the endpoint; aiohttp refuses for it."""
    theirs, ours = ask(method="OPTIONS")

    assert theirs[0] == ours[0]
    assert ours[1]["Allow"].replace(" ", "") in ("OPTIONS,GET,HEAD", "GET,HEAD")


def test_names_restrict_the_answer(ask: Ask) -> None:
    """All of them, where the official client's view for Django reads letters of the last one."""
    _, ours = ask("/metrics?name[]=queue&name[]=other")

    assert [b"queue 2.0", b"other 3.0"] == [
        line for line in ours[2].splitlines() if not line.startswith(b"#")
    ]
