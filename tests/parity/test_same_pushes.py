"""What a gateway is sent, and what becomes of its answer, is the same with both packages."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import snappy  # type: ignore[import-untyped]

KEYS: list[Any] = [
    None,
    {},
    {"instance": "a"},
    {"b": 1, "a": 2.5, "c": None},
    {"path": "/srv/a b"},
    {"empty": ""},
    {"space": " ", "slash": "/"},
    {"city": "Zürich", "sign": "🦀"},
    {"odd": "a%b?c#d&e=f+g;h"},
    {"dots": "..", "line": "a\nb"},
    {"mixed": "ü/ü", "alphabet": "/??/>>"},
]


class Gateway(ThreadingHTTPServer):
    """Remembers what it was sent; answers as the first part of the path says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []

    def taken(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        """Give the requests since the last time."""
        taken, self.requests = self.requests, []
        return taken


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        # The one that tells who sent it.
        headers.pop("user-agent")
        self.server.requests.append((self.command, self.path, headers, body))
        status, _, rest = self.path[1:].partition("/")
        self.send_response(int(status) if status.isdigit() else 202)
        if status.startswith("3"):
            self.send_header("Location", f"http://{self.server.address}/moved here/{rest}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_DELETE = do_GET = do_PUT

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """A gateway on a free port."""
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _registry(c: Any) -> Any:
    registry = c.core.CollectorRegistry()
    c.core.Counter("http.hits", "Hits.", ["path"], registry=registry).labels("/ü").inc()
    c.core.Histogram("seconds", "Seconds.", buckets=[1], registry=registry).observe(0.5)
    c.core.Info("build", "Build.", registry=registry).info({"version": "1"})
    return registry


def _push(c: Any, gateway: Gateway, verb: str, *arguments: Any, **options: Any) -> Any:
    functions = {
        "PUT": c.exposition.push_to_gateway,
        "POST": c.exposition.pushadd_to_gateway,
        "DELETE": c.exposition.delete_from_gateway,
    }
    address, *rest = arguments
    content = [] if verb == "DELETE" else [_registry(c)]
    try:
        functions[verb](address, *rest[:1], *content, *rest[1:], **options)
    except OSError as error:
        return type(error).__name__, str(error), gateway.taken()
    return gateway.taken()


@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_group_has_the_same_path(verb: str, key: Any, gateway: Gateway, same: Any) -> None:
    """Method, path, headers and body."""
    [(method, path, headers, _)] = same(_push, gateway, verb, gateway.address, "job", key)

    assert (verb, True) == (method, path.startswith("/metrics/job/job"))
    assert "text/plain; version=0.0.4; charset=utf-8" == headers["content-type"]


@pytest.mark.parametrize("job", ["job", "a/b", "", "a b", "Zürich", "a.b"])
def test_a_job_is_written_alike(job: str, gateway: Gateway, same: Any) -> None:
    """Like any other label."""
    assert same(_push, gateway, "PUT", gateway.address, job)


@pytest.mark.parametrize("form", ["{}", "http://{}", "http://{}/", "{}///", "http://{}/prefix/"])
def test_a_gateway_can_be_named_in_the_same_ways(form: str, gateway: Gateway, same: Any) -> None:
    """With and without a scheme, with a prefix, with slashes at the end."""
    [(_, path, _, _)] = same(_push, gateway, "PUT", form.format(gateway.address), "job")

    assert path.removeprefix("/prefix") == "/metrics/job/job"


def test_a_gateway_that_has_no_scheme_but_a_name_is_taken_for_a_host(same: Any) -> None:
    """``localhost:1`` looks like a scheme and is none."""

    def run(c: Any) -> list[str]:
        urls: list[str] = []

        def handler(url: str, **_: Any) -> Any:
            urls.append(url)
            return lambda: None

        for name in ("localhost:9091", "gateway", "ftp://gateway", "HTTPS://gateway"):
            c.exposition.push_to_gateway(name, "job", _registry(c), handler=handler)
        return urls

    assert "http://localhost:9091/metrics/job/job" == same(run)[0]


@pytest.mark.parametrize("compression", ["gzip", "GZIP", "snappy"])
@pytest.mark.parametrize("verb", ["PUT", "POST"])
def test_a_compressed_body_is_the_same(
    verb: str, compression: str, gateway: Gateway, same: Any
) -> None:
    """As soon as it is decompressed; and the header says how."""

    def run(c: Any) -> Any:
        [(*request, headers, body)] = _push(
            c, gateway, verb, gateway.address, "job", compression=compression
        )
        headers.pop("content-length")
        if compression == "snappy":
            return request, headers, snappy.StreamDecompressor().decompress(body)
        return request, headers, gzip.decompress(body)

    _, headers, body = same(run)

    assert compression.lower() == headers["content-encoding"]
    assert b"http_hits_total" in body


@pytest.mark.parametrize("compression", ["brotli", ""])
def test_another_compression_is_refused(compression: str, gateway: Gateway, same: Any) -> None:
    """Before anything is sent."""

    def run(c: Any) -> Any:
        with pytest.raises(ValueError, match="Unsupported compression type") as refused:
            _push(c, gateway, "PUT", gateway.address, "job", compression=compression)
        return type(refused.value).__name__, gateway.taken()

    assert ("ValueError", []) == same(run)


@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [200, 202, 204, 400, 401, 404, 405, 500, 503])
def test_an_answer_is_judged_alike(verb: str, status: int, gateway: Gateway, same: Any) -> None:
    """Anything but a success raises, and says what the gateway said."""
    assert same(_push, gateway, verb, f"{gateway.address}/{status}", "job")


@pytest.mark.parametrize("verb", ["PUT", "POST", "DELETE"])
@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_a_redirection_is_judged_alike(verb: str, status: int, gateway: Gateway, same: Any) -> None:
    """By the default handler, which follows few."""
    assert same(_push, gateway, verb, f"{gateway.address}/{status}", "job")


@pytest.mark.parametrize("verb", ["PUT", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirection_is_followed_alike(
    verb: str, status: int, gateway: Gateway, same: Any
) -> None:
    """By the handler that is made for it: method, headers and body are repeated."""

    def run(c: Any) -> Any:
        return _push(
            c,
            gateway,
            verb,
            f"{gateway.address}/{status}",
            "job",
            handler=c.exposition.passthrough_redirect_handler,
        )

    first, second = same(run)

    assert "/moved%20here/metrics/job/job" == second[1]
    assert (first[0], *first[2:]) == (second[0], *second[2:])


@pytest.mark.parametrize(
    "credentials",
    [{"username": "ü:ser", "password": "pässword"}, {"username": "only"}, {"password": "only"}, {}],
    ids=str,
)
def test_a_password_is_sent_alike(credentials: dict[str, str], gateway: Gateway, same: Any) -> None:
    """If there is a name, too."""

    def run(c: Any) -> Any:
        handler = partial(c.exposition.basic_auth_handler, **credentials)
        return _push(c, gateway, "PUT", gateway.address, "job", handler=handler)

    [(_, _, headers, _)] = same(run)

    assert (len(credentials) == 2) == ("authorization" in headers)


def test_a_handler_is_given_the_same(same: Any) -> None:
    """All by name, and what it gives is called once."""

    def run(c: Any) -> list[Any]:
        calls: list[Any] = []

        def handler(**given: Any) -> Any:
            given["headers"] = [tuple(header) for header in given["headers"]]
            calls.append(given)
            return lambda: calls.append("sent")

        c.exposition.push_to_gateway("g", "job", _registry(c), {"a": 1}, None, handler, "gzip")
        c.exposition.pushadd_to_gateway("g", "job", _registry(c), timeout=5, handler=handler)
        c.exposition.delete_from_gateway("g", "job", {"a": 1}, 7, handler)
        calls[0]["data"] = gzip.decompress(calls[0]["data"])
        return calls

    assert [None, 5, 7] == [call["timeout"] for call in same(run)[::2]]


def test_a_handler_may_add_headers(gateway: Gateway, same: Any) -> None:
    """Also as lists, and before it hands them on."""

    def run(c: Any) -> Any:
        def handler(url: str, method: str, timeout: Any, headers: Any, data: bytes) -> Any:
            headers.append(["X-Scope-OrgID", "tenant"])
            return c.exposition.default_handler(url, method, timeout, headers, data)

        return _push(c, gateway, "PUT", gateway.address, "job", handler=handler)

    [(_, _, headers, _)] = same(run)

    assert "tenant" == headers["x-scope-orgid"]


def test_without_a_registry_the_default_one_is_pushed(gateway: Gateway, ours: Any) -> None:
    """With what every process tells of itself."""
    ours.exposition.push_to_gateway(gateway.address, "job", None)
    [(_, _, _, body)] = gateway.taken()

    assert b"python_info" in body


@pytest.mark.parametrize("silent", [True, False])
def test_a_gateway_that_is_not_there_raises_alike(silent: bool, same: Any) -> None:
    """One that never answers, too, after the time that it is given."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if not silent:
            listener.close()

        def run(c: Any) -> Any:
            with pytest.raises(OSError) as failed:
                c.exposition.push_to_gateway(address, "job", _registry(c), timeout=0.2)
            return type(failed.value).__name__, str(failed.value)

        assert ("timed out" in same(run)[1]) == silent


def test_the_address_of_the_host_is_the_same(same: Any) -> None:
    """As a label."""
    assert ["instance"] == list(same(lambda c: c.exposition.instance_ip_grouping_key()))
