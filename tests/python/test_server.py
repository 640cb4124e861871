"""
The server beside Python: many processes, odd clients and failing collectors do not keep it from
answering.
"""

from __future__ import annotations

import errno
import gzip
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from tallymark import CollectorRegistry, Gauge, start_http_server, start_wsgi_server
from tallymark.core import GaugeMetricFamily, Metric

TEXT = b"# HELP g h\n# TYPE g gauge\ng 1.0\n"
PATIENCE = 30.0
Serve = Callable[..., str]


@pytest.fixture
def serve(registry: CollectorRegistry) -> Iterator[Serve]:
    """Start a server on a free port; give its URL. It stops when the test ends."""
    Gauge("g", "h", registry=registry).set(1)
    servers: list[Any] = []

    def start(shown: Any = registry, **options: Any) -> str:
        server, thread = start_http_server(0, addr="127.0.0.1", registry=shown, **options)
        servers.append((server, thread))
        scheme = "https" if options else "http"
        return f"{scheme}://127.0.0.1:{server.server_address[1]}/metrics"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)

        assert not thread.is_alive()


def answer(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    """Give the status, the headers and the body of an answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(url, method=method, headers=names), timeout=PATIENCE) as response:
            return response.status, response.headers, response.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_metrics_are_served_at_any_path(serve: Serve) -> None:
    """In the text format, unless something else is asked for."""
    status, headers, body = answer(serve())

    assert (200, TEXT) == (status, body)
    assert "text/plain; version=0.0.4; charset=utf-8" == headers["Content-Type"]
    assert TEXT == answer(serve().replace("/metrics", "/"))[2]


def test_format_and_compression_are_negotiated(serve: Serve) -> None:
    """By the headers that scrapers send."""
    _, headers, body = answer(
        serve(), Accept="application/openmetrics-text;version=1.0.0", Accept_Encoding="gzip"
    )

    assert TEXT + b"# EOF\n" == gzip.decompress(body)
    assert "gzip" == headers["Content-Encoding"]
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")


def test_names_restrict_the_answer(serve: Serve, registry: CollectorRegistry) -> None:
    """To the samples that have them."""
    Gauge("other", "h", registry=registry)

    assert TEXT == answer(serve() + "?name[]=g")[2]
    assert b"" == answer(serve() + "?name[]=nothing")[2]


def test_head_has_the_headers_of_get(serve: Serve) -> None:
    """And no body."""
    status, headers, body = answer(serve(), "HEAD")

    assert (200, str(len(TEXT)), b"") == (status, headers["Content-Length"], body)


def test_other_methods_are_refused(serve: Serve) -> None:
    """With those that are not."""
    status, headers, _ = answer(serve(), "POST")

    assert (405, "OPTIONS,GET,HEAD") == (status, headers["Allow"])


def test_a_client_that_says_nothing_keeps_nobody_waiting(serve: Serve) -> None:
    """Nor one that stops in the middle of its request."""
    url = serve()
    port = int(url.split(":")[2].split("/")[0])
    with (
        socket.create_connection(("127.0.0.1", port)),
        socket.create_connection(("127.0.0.1", port)) as half,
    ):
        half.sendall(b"GET /metr")

        assert TEXT == answer(url)[2]


class Failing:
    """A collector that raises until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    def collect(self) -> Iterable[Metric]:
        if not self.mended:
            raise LookupError("the disk is gone")
        return [GaugeMetricFamily("disk", "h", value=1)]


def test_a_collector_that_raises_makes_a_500(
    serve: Serve, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """Which says why; the next scrape is another matter."""
    failing = Failing()
    registry.register(failing)
    url = serve()
    status, _, body = answer(url)

    assert (500, True) == (status, b"the disk is gone" in body)

    failing.mended = True

    assert b"disk 1.0\n" in answer(url)[2]


def test_what_is_registered_later_is_served(serve: Serve, registry: CollectorRegistry) -> None:
    """And what is unregistered is not; target_info comes and goes too."""
    url = serve()
    later = Gauge("later", "h", registry=registry)
    registry.set_target_info({"env": "test"})
    lines = answer(url)[2].splitlines()

    assert b'target_info{env="test"} 1.0' == lines[2]
    assert b"later 0.0" == lines[-1]

    registry.unregister(later)
    registry.set_target_info(None)

    assert TEXT == answer(url)[2]


def test_anything_with_collect_is_served(serve: Serve, registry: CollectorRegistry) -> None:
    """A bare object, a restricted registry, a subclass that collects otherwise."""

    class Bare:
        def collect(self) -> Iterable[Metric]:
            return [GaugeMetricFamily("g", "h", value=1)]

    class Other(CollectorRegistry):
        def collect(self) -> Iterable[Metric]:  # type: ignore[override]
            return Bare().collect()

    Gauge("other", "h", registry=registry)
    for shown in (Bare(), Other(), registry.restricted_registry(["g"])):
        assert TEXT == answer(serve(shown))[2]


def test_a_server_can_be_stopped(registry: CollectorRegistry) -> None:
    """Then the port is free, and the thread has ended."""
    server, thread = start_wsgi_server(0, addr="127.0.0.1", registry=registry)
    address = server.server_address
    assert thread.is_alive()
    thread.join(0.01)
    assert thread.is_alive()

    server.shutdown()
    server.server_close()
    thread.join()

    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=PATIENCE)
    with socket.socket() as free:
        free.bind(address)


def test_a_port_that_another_program_has_is_an_error(registry: CollectorRegistry) -> None:
    """The same one as everywhere."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError) as caught:
            start_http_server(taken.getsockname()[1], addr="127.0.0.1", registry=registry)

    assert errno.EADDRINUSE == caught.value.errno


def test_a_port_is_not_shared_unless_the_store_is(registry: CollectorRegistry) -> None:
    """Each scrape would reach one process or the other, and neither knows the other's numbers."""
    server, _ = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        with pytest.raises(OSError) as caught:
            start_http_server(server.server_address[1], addr="127.0.0.1", registry=registry)
    finally:
        server.server_close()

    assert errno.EADDRINUSE == caught.value.errno


WORKER = """
import sys, tallymark
tallymark.use_store("file:" + sys.argv[1])
jobs = tallymark.Counter("jobs", "h")
jobs.inc(int(sys.argv[3]))
server, thread = tallymark.start_http_server(int(sys.argv[2]), addr="127.0.0.1")
print(server.server_address[1], flush=True)
sys.stdin.read()
"""


def test_two_processes_serve_one_port_and_each_answers_for_both(tmp_path: Path) -> None:
    """Whichever of them a scrape reaches."""
    store = str(tmp_path / "metrics.tally")

    def start(port: int, amount: int) -> tuple[subprocess.Popen[str], int]:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, store, str(port), str(amount)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout
        return worker, int(worker.stdout.readline())

    first, port = start(0, 2)
    second, _ = start(port, 3)
    try:
        for _ in range(20):
            assert b"\njobs_total 5.0\n" in answer(f"http://127.0.0.1:{port}/metrics")[2]
    finally:
        for worker in (first, second):
            worker.communicate(timeout=PATIENCE)

    assert [0, 0] == [first.returncode, second.returncode]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    paths = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    files = ["-out", paths[0], "-keyout", paths[1]]
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", *files],
        check=True,
        capture_output=True,
    )
    return paths


def test_https_is_served(serve: Serve, certificate: tuple[str, str]) -> None:
    """To clients that trust the certificate, past one that never says a word."""
    url = serve(certfile=certificate[0], keyfile=certificate[1])
    port = int(url.split(":")[2].split("/")[0])
    trusting = ssl.create_default_context(cafile=certificate[0])
    with socket.create_connection(("127.0.0.1", port)):
        with urlopen(url, timeout=PATIENCE, context=trusting) as response:
            assert TEXT == response.read()
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urlopen(url, timeout=PATIENCE)


def test_clients_without_a_certificate_can_be_refused(
    serve: Serve, certificate: tuple[str, str]
) -> None:
    """And learn why."""
    url = serve(
        certfile=certificate[0],
        keyfile=certificate[1],
        client_cafile=certificate[0],
        client_auth_required=True,
    )
    context = ssl.create_default_context(cafile=certificate[0])
    with pytest.raises(OSError, match="CERTIFICATE_REQUIRED"):
        urlopen(url, timeout=PATIENCE, context=context)

    context.load_cert_chain(*certificate)
    with urlopen(url, timeout=PATIENCE, context=context) as response:
        assert TEXT == response.read()


@pytest.mark.parametrize("options", [{"certfile": "c"}, {"keyfile": "k"}, {"client_cafile": "c"}])
def test_half_a_configuration_of_tls_is_an_error(options: dict[str, str]) -> None:
    """Otherwise it would be plain HTTP without a word."""
    with pytest.raises(ValueError, match="HTTPS needs both certfile and keyfile"):
        start_http_server(0, **options)  # type: ignore[arg-type]


def test_a_certificate_that_cannot_be_read_is_named() -> None:
    """With what was wrong."""
    with pytest.raises(FileNotFoundError, match=r"server certificate file '/not/there.pem'"):
        start_http_server(0, certfile="/not/there.pem", keyfile="/not/there.key")


def test_scrapes_at_once_are_all_answered(serve: Serve) -> None:
    """Each with the whole text."""
    url = serve()
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(answer(url)[2])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [TEXT] * 8 == bodies
