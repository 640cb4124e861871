"""Pushing where the official client does not: past redirections, out of programs' tests."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import Mock, patch
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from tallymark import (
    CollectorRegistry,
    Gauge,
    delete_from_gateway,
    push_to_gateway,
    pushadd_to_gateway,
)
from tallymark.exposition import (
    basic_auth_handler,
    default_handler,
    generate_latest,
    passthrough_redirect_handler,
)

PUSHES = {"PUT": push_to_gateway, "POST": pushadd_to_gateway}


@pytest.fixture(autouse=True)
def _metric(registry: CollectorRegistry) -> None:
    """There is something to push."""
    Gauge("g", "h", registry=registry).set(1)


class Gateway(ThreadingHTTPServer):
    """Redirects whoever asks for ``/<status>/…`` to ``/there``, remembers what comes there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, bytes, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/there":
            self.server.requests.append((self.command, body, self.headers["Authorization"]))
            self.send_response(202)
        else:
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Location", "/there")
        self.end_headers()

    do_POST = do_DELETE = do_PUT

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway on a free port."""
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE"])
def test_every_redirection_is_followed_by_the_handler_for_it(
    verb: str, status: int, gateway: Gateway, registry: CollectorRegistry
) -> None:
    """With the method, the body and the headers; by no other handler."""
    address = f"{gateway.address}/{status}"

    def handler(url: str, method: str, timeout: Any, headers: Any, data: bytes) -> Any:
        headers = [*headers, ("Authorization", "Bearer token")]
        return passthrough_redirect_handler(url, method, timeout, headers, data)

    if verb == "DELETE":
        delete_from_gateway(address, "job", handler=handler)
        expected = b""
    else:
        PUSHES[verb](address, "job", registry, handler=handler)
        expected = generate_latest(registry)

    assert [(verb, expected, "Bearer token")] == gateway.requests


def test_a_redirected_deletion_is_not_followed_otherwise(gateway: Gateway) -> None:
    """It raises what the gateway answered."""
    with pytest.raises(HTTPError) as refused:
        delete_from_gateway(f"{gateway.address}/307", "job")
    refused.value.close()

    assert (307, []) == (refused.value.code, gateway.requests)


def test_headers_that_a_handler_is_given_stay_as_they_are() -> None:
    """So a push that is tried again does not send its password twice."""
    headers = [("Content-Type", "text/plain")]
    basic_auth_handler("http://127.0.0.1:1", "PUT", 1, headers, b"", "name", "password")

    assert [("Content-Type", "text/plain")] == headers


def test_a_handler_sends_nothing_before_it_is_told_to(gateway: Gateway) -> None:
    """And then as often as it is told to."""
    send = default_handler(f"http://{gateway.address}/there", "PUT", 5, [], b"body")

    assert [] == gateway.requests

    send()
    send()

    assert [("PUT", b"body", None)] * 2 == gateway.requests


def test_programs_tests_can_replace_the_opener(registry: CollectorRegistry) -> None:
    """Where the official client has it."""
    with patch("tallymark.exposition.build_opener") as build_opener:
        build_opener.return_value = opener = Mock()
        push_to_gateway("gateway", "job", registry, timeout=7)
    (request,) = opener.open.call_args.args

    assert isinstance(request, Request)
    assert ("PUT", "http://gateway/metrics/job/job") == (request.get_method(), request.full_url)
    assert {"timeout": 7} == opener.open.call_args.kwargs


def test_without_python_snappy_its_compression_says_what_to_install(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no handler is called."""
    monkeypatch.setitem(sys.modules, "snappy", None)
    handler = partial(pytest.fail, "called")

    with pytest.raises(RuntimeError, match="requires the python-snappy package"):
        push_to_gateway("gateway", "job", registry, handler=handler, compression="snappy")


def test_importing_takes_nothing_optional_along() -> None:
    """Neither compression nor frameworks, although all are installed here."""
    optional = "snappy aiohttp django twisted asyncio"
    program = f"import sys, tallymark; print(*set({optional!r}.split()) & set(sys.modules))"

    assert "\n" == subprocess.check_output([sys.executable, "-c", program], text=True)
