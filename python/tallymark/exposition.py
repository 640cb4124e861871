"""The ways out for a registry: text, WSGI and ASGI endpoints, an HTTP server, a file, a push.

Formats are chosen and written by the native core, and the server is native too; here is what puts
them together. Whatever has ``collect()`` can be shown, but only a registry without a scrape's worth
of Python. How numbers come to be is not known here.
"""

from __future__ import annotations

import gzip
import os
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
)
from urllib.parse import parse_qs, urlsplit
from urllib.request import build_opener
from wsgiref.simple_server import make_server

from . import _tallymark
from ._wsgi_server import ThreadingWSGIServer, _SilentHandler, start_tls_server, tls_context
from .openmetrics import exposition as openmetrics
from .registry import REGISTRY, Collector, CollectorRegistry, _scrape_of
from .utils import floatToGoString, parse_version

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# `make_server`, `build_opener` and what stands beside them are used from here by servers built on
# them, and replaced here by their tests.
__all__ = (
    "CONTENT_TYPE_LATEST",
    "CONTENT_TYPE_PLAIN_0_0_4",
    "CONTENT_TYPE_PLAIN_1_0_0",
    "CompressionType",
    "MetricsHandler",
    "ServerThread",
    "ThreadingWSGIServer",
    "_PrometheusRedirectHandler",
    "_SilentHandler",
    "basic_auth_handler",
    "build_opener",
    "choose_encoder",
    "default_handler",
    "delete_from_gateway",
    "floatToGoString",
    "generate_latest",
    "gzip_accepted",
    "instance_ip_grouping_key",
    "make_asgi_app",
    "make_server",
    "make_wsgi_app",
    "parse_version",
    "passthrough_redirect_handler",
    "push_to_gateway",
    "pushadd_to_gateway",
    "start_http_server",
    "start_wsgi_server",
    "tls_auth_handler",
    "write_to_textfile",
)

CONTENT_TYPE_PLAIN_0_0_4 = "text/plain; version=0.0.4; charset=utf-8"
"""The content type that every reader understands."""

CONTENT_TYPE_PLAIN_1_0_0 = "text/plain; version=1.0.0; charset=utf-8"
"""The content type of the text format whose names may be any text."""

CONTENT_TYPE_LATEST = CONTENT_TYPE_PLAIN_1_0_0
"""The content type of `generate_latest`."""

_METHODS = "OPTIONS,GET,HEAD"
_Headers = list[tuple[str, str]]


def generate_latest(
    registry: Collector = REGISTRY, escaping: str = openmetrics.UNDERSCORES
) -> bytes:
    """
    Write what a registry shows in the Prometheus text format.

    Args:
        registry: A registry, a restricted one, or anything with ``collect()``.

        escaping: How names that older readers do not know are written: see
            ``openmetrics.exposition``.

    Raises:
        Exception: What a collector or the value of a sample raises; the family is added to its
            ``args``.

    Example:
        >>> from tallymark import CollectorRegistry, Gauge
        >>> registry = CollectorRegistry()
        >>> Gauge("queue", "Jobs.", registry=registry).set(3)
        >>> print(generate_latest(registry).decode(), end="")
        # HELP queue Jobs.
        # TYPE queue gauge
        queue 3.0
    """
    scrape = _scrape_of(registry)
    if scrape is None:
        return _tallymark.render_collectors(registry.collect(), escaping, "text")
    return scrape.core.render_text(escaping, scrape.names)


def choose_encoder(accept_header: str | None) -> tuple[Callable[[Collector], bytes], str]:
    """
    Choose the format for an ``Accept`` header.

    The entry of the greatest weight that is understood wins, of equal ones the first; without one
    it is the text format 0.0.4.

    Args:
        accept_header: The header, None if there is none.

    Returns:
        A function of a registry, and the content type of what it gives.

    Example:
        >>> encode, content_type = choose_encoder("application/openmetrics-text; version=1.0.0")
        >>> content_type
        'application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores'
    """
    kind, escaping, content_type = _tallymark.choose_format(accept_header)
    if kind == "text":
        return partial(generate_latest, escaping=escaping), content_type
    version = "1.0.0" if kind == "openmetrics" else "2.0.0"
    return partial(openmetrics.generate_latest, escaping=escaping, version=version), content_type


def gzip_accepted(accept_encoding_header: str | None) -> bool:
    """
    Tell whether an ``Accept-Encoding`` header allows gzip.

    Example:
        >>> gzip_accepted("br, gzip;q=0.5"), gzip_accepted("gzip;q=0"), gzip_accepted(None)
        (True, False, False)
    """
    for clause in (accept_encoding_header or "").lower().split(","):
        coding, *parameters = (part.strip() for part in clause.split(";"))
        if coding == "gzip":
            return _tallymark.choose_coding(";".join(["gzip", *parameters])) is not None
    return False


def _bake_output(
    registry: Any,
    accept_header: str | None,
    accept_encoding_header: str | None,
    params: Mapping[str, Sequence[str]],
    disable_compression: bool,
) -> tuple[str, _Headers, bytes]:
    """
    Give the status, the headers and the body of one answer; every endpoint looks it up here at
    every request.
    """
    if "name[]" in params:
        registry = registry.restricted_registry(params["name[]"])
    scrape = _scrape_of(registry)
    coding: str | None = None
    if scrape is None:
        encode, content_type = choose_encoder(accept_header)
        body = encode(registry)
        if not disable_compression and gzip_accepted(accept_encoding_header):
            coding, body = "gzip", gzip.compress(body)
    else:
        content_type, coding, body = scrape.core.render(
            accept_header,
            accept_encoding_header,
            scrape.names,
            not disable_compression,
        )
    headers = [("Content-Type", content_type)]
    if coding:
        headers.append(("Content-Encoding", coding))
    return "200 OK", headers, body


def make_wsgi_app(
    registry: Collector = REGISTRY, disable_compression: bool = False
) -> WSGIApplication:
    """
    Make a WSGI application that answers with the metrics, whatever the path.

    Args:
        registry: What to show.

        disable_compression: Whether to leave compressing to a server in front.

    Example:
        >>> from tallymark import CollectorRegistry
        >>> application = make_wsgi_app(CollectorRegistry())
        >>> application({"REQUEST_METHOD": "GET"}, lambda status, headers: print(status))
        200 OK
        [b'']
    """

    def prometheus_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        status, headers, body = "200 OK", [("Allow", _METHODS)], b""
        if method == "OPTIONS":
            pass
        elif method not in ("GET", "HEAD"):
            status = "405 Method Not Allowed"
            body = f"# HTTP {status}: {method}; use OPTIONS, GET or HEAD\n".encode()
        elif environ.get("PATH_INFO") == "/favicon.ico":
            # Browsers ask for it beside the metrics; without this every look would be a second
            # scrape.
            headers = []
        else:
            status, headers, body = _bake_output(
                registry,
                environ.get("HTTP_ACCEPT"),
                environ.get("HTTP_ACCEPT_ENCODING"),
                parse_qs(environ.get("QUERY_STRING", "")),
                disable_compression,
            )
        start_response(status, headers)
        return [b"" if method == "HEAD" else body]

    return prometheus_app


class MetricsHandler(BaseHTTPRequestHandler):
    """
    A handler for servers made with ``http.server``.

    Attributes:
        registry: What to show.

    Example:
        >>> from tallymark import CollectorRegistry
        >>> MetricsHandler.factory(CollectorRegistry()).__name__
        'MetricsHandler'
    """

    registry: ClassVar[Collector] = REGISTRY

    def do_GET(self) -> None:
        """Answer with the metrics."""
        status, headers, body = _bake_output(
            self.registry,
            self._list("Accept"),
            self._list("Accept-Encoding"),
            parse_qs(urlsplit(self.path).query),
            False,
        )
        self.send_response(int(status.split(" ")[0]))
        for header in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(*header)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a scrape every few seconds is no news."""

    @classmethod
    def factory(cls, registry: Collector) -> type:
        """
        Make a class of handlers for one registry.

        Args:
            registry: What to show.
        """
        return type(cls.__name__, (cls,), {"registry": registry})

    def _list(self, name: str) -> str | None:
        """Give a header that may come in several lines as the one list that it is."""
        lines = self.headers.get_all(name)
        return ",".join(lines) if lines else None


class ServerThread:
    """What `start_http_server` gives beside the native server, whose thread is none of Python's."""

    name = "tallymark-http"
    daemon = True

    def __init__(self, server: _tallymark.Server) -> None:
        self._server = server

    def join(self, timeout: float | None = None) -> None:
        """
        Wait until the server has been shut down.

        Args:
            timeout: How many seconds to wait, None for as long as it takes.
        """
        self._server.join(timeout)

    def is_alive(self) -> bool:
        """Tell whether the server is running."""
        return self._server.is_alive()


def start_http_server(
    port: int,
    addr: str = "0.0.0.0",
    registry: Collector = REGISTRY,
    certfile: str | None = None,
    keyfile: str | None = None,
    client_cafile: str | None = None,
    client_capath: str | None = None,
    protocol: int = ssl.PROTOCOL_TLS_SERVER,
    client_auth_required: bool = False,
    tls_min_version: ssl.TLSVersion | None = None,
    tls_max_version: ssl.TLSVersion | None = None,
) -> tuple[
    _tallymark.Server | WSGIServer,
    ServerThread | threading.Thread,
]:
    """
    Serve the metrics over HTTP from now on.

    It runs beside Python and stops with the process, or at ``shutdown()``. With a shared store
    every worker process may call this with the same port, and any of them answers for all.

    Args:
        port: The port, 0 for any that is free.

        addr: The address to listen on, IPv4 or IPv6.

        registry: What to show.

        certfile: The server's certificate, for HTTPS.

        keyfile: Its key; given if and only if the certificate is.

        client_cafile: The authorities of clients' certificates, as a file.

        client_capath: The same as a directory.

        protocol: As `ssl.SSLContext` takes it.

        client_auth_required: Whether clients must have a certificate.

        tls_min_version: The oldest version of TLS to speak.

        tls_max_version: The newest version of TLS to speak.

    Returns:
        The server, with ``server_address``, ``shutdown()`` and ``server_close()``, and its thread,
        with ``join()`` and ``is_alive()``.

    Raises:
        OSError: The port is taken, or a certificate cannot be read.

        ValueError: There is a certificate without a key, or rules for clients' certificates without
            either.

    Example:
        >>> server, thread = start_http_server(0, addr="127.0.0.1")
        >>> thread.is_alive()
        True
        >>> server.shutdown()
    """
    if certfile and keyfile:
        context = tls_context(
            certfile,
            keyfile,
            protocol,
            client_cafile,
            client_capath,
            client_auth_required,
            tls_min_version,
            tls_max_version,
        )
        return start_tls_server(port, addr, make_wsgi_app(registry), context)
    if certfile or keyfile or client_cafile or client_capath or client_auth_required:
        raise ValueError(
            "HTTPS needs both certfile and keyfile;"
            f" given were certfile={certfile!r} and keyfile={keyfile!r}"
        )
    if isinstance(registry, CollectorRegistry) and _scrape_of(registry):
        core = registry._core
    else:
        # Of anything else each scrape is a call of its collect().
        core = _tallymark.RegistryCore()
        core.add(registry)
    # Workers may share a port where any of them can answer for all.
    reuse_port = _tallymark.store_url() != "memory:"
    server = _tallymark.serve(port, addr, core, reuse_port)
    return server, ServerThread(server)


start_wsgi_server = start_http_server


def write_to_textfile(
    path: str,
    registry: Collector,
    escaping: str = openmetrics.ALLOWUTF8,
    tmpdir: str | None = None,
) -> None:
    """
    Write the metrics to a file, for the node exporter's textfile collector.

    A reader sees the old file or the new one, whole. If anything fails the old one stays.

    Args:
        path: The file.

        registry: What to write.

        escaping: How names that older readers do not know are written.

        tmpdir: Where the new file grows, on the same file system; beside the file if left out.

    Example:
        >>> import tempfile
        >>> from tallymark import CollectorRegistry
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     write_to_textfile(directory + "/job.prom", CollectorRegistry())
        ...     os.listdir(directory)
        ['job.prom']
    """
    growing = os.path.join(tmpdir, os.path.basename(path)) if tmpdir is not None else path
    growing = f"{growing}.{os.getpid()}.{threading.get_ident()}"
    try:
        with open(growing, "wb") as file:
            file.write(generate_latest(registry, escaping))
        os.replace(growing, path)
    except BaseException:
        if os.path.exists(growing):
            os.remove(growing)
        raise


# Last: they look up `_bake_output` and others in this module.
from ._push import (  # noqa: E402
    CompressionType,
    _PrometheusRedirectHandler,
    basic_auth_handler,
    default_handler,
    delete_from_gateway,
    instance_ip_grouping_key,
    passthrough_redirect_handler,
    push_to_gateway,
    pushadd_to_gateway,
    tls_auth_handler,
)
from .asgi import make_asgi_app  # noqa: E402
