"""Metrics for a Pushgateway, which shows them for jobs that are gone before anybody scrapes them.

A push is one HTTP request. How it is sent is a handler's matter: a function that is given the
request and gives a function that sends it. What is in it is written by ``exposition``, from where
all of this is used. Nothing is sent twice, or later.
"""

from __future__ import annotations

import base64
import gzip
import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote_plus, urlsplit
from urllib.request import BaseHandler, HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request

from . import exposition
from .registry import REGISTRY, Collector

if TYPE_CHECKING:
    from http.client import HTTPMessage

CompressionType: TypeAlias = Literal["gzip", "snappy"] | None
"""What the body of a push may be compressed with."""

_Headers = Sequence[tuple[str, str]]
_Send = Callable[[], None]


class _PrometheusRedirectHandler(HTTPRedirectHandler):
    """
    Repeats the request, with its method and its body, wherever it is redirected to.

    The standard library's own drops the body, and refuses what it takes for changing anything.
    """

    # The standard library knows this code since Python 3.11.
    http_error_308 = HTTPRedirectHandler.http_error_302

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request:
        return Request(
            newurl.replace(" ", "%20"),
            data=req.data,
            headers=req.headers,
            origin_req_host=req.origin_req_host,
            unverifiable=True,
            method=req.get_method(),
        )


def default_handler(
    url: str, method: str, timeout: float | None, headers: _Headers, data: bytes
) -> _Send:
    """
    Send a push over HTTP or HTTPS.

    Args:
        url: Where to.

        method: PUT, POST or DELETE.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        headers: Pairs of names and values.

        data: The body.

    Returns:
        A function that sends it, and raises an `OSError` unless the gateway accepts it: an
        `urllib.error.HTTPError` if it answered, an `urllib.error.URLError` if there was none.

    Example:
        >>> send = default_handler("http://localhost:1/metrics/job/a", "PUT", 5, [], b"")
        >>> send()
        Traceback (most recent call last):
        urllib.error.URLError: <urlopen error [Errno 111] Connection refused>
    """
    return _sender(url, method, timeout, headers, data, HTTPHandler)


def passthrough_redirect_handler(
    url: str, method: str, timeout: float | None, headers: _Headers, data: bytes
) -> _Send:
    """
    Send a push as `default_handler` does, and once more wherever the gateway redirects it to.

    Only for gateways whose redirections can be trusted: the other place gets everything, headers
    with passwords included.

    Args:
        url: Where to.

        method: PUT, POST or DELETE.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        headers: Pairs of names and values.

        data: The body.

    Example:
        >>> from tallymark import push_to_gateway
        >>> from tallymark.exposition import passthrough_redirect_handler
        >>> push_to_gateway("localhost:1", "backup", None, handler=passthrough_redirect_handler)
        Traceback (most recent call last):
        urllib.error.URLError: <urlopen error [Errno 111] Connection refused>
    """
    return _sender(url, method, timeout, headers, data, _PrometheusRedirectHandler)


def basic_auth_handler(
    url: str,
    method: str,
    timeout: float | None,
    headers: _Headers,
    data: bytes,
    username: str | None = None,
    password: str | None = None,
) -> _Send:
    """
    Send a push as `default_handler` does, with a name and a password.

    Args:
        url: Where to.

        method: PUT, POST or DELETE.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        headers: Pairs of names and values.

        data: The body.

        username: The name; without a password, too, it is not sent.

        password: The password.

    Example:
        >>> from functools import partial
        >>> from tallymark import push_to_gateway
        >>> handler = partial(basic_auth_handler, username="backup", password="secret")
        >>> push_to_gateway("localhost:1", "backup", None, handler=handler)
        Traceback (most recent call last):
        urllib.error.URLError: <urlopen error [Errno 111] Connection refused>
    """
    if username is not None and password is not None:
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        headers = [*headers, ("Authorization", f"Basic {token}")]
    return default_handler(url, method, timeout, headers, data)


def tls_auth_handler(
    url: str,
    method: str,
    timeout: float | None,
    headers: _Headers,
    data: bytes,
    certfile: str,
    keyfile: str,
    cafile: str | None = None,
    protocol: int = ssl.PROTOCOL_TLS_CLIENT,
    insecure_skip_verify: bool = False,
) -> _Send:
    """
    Send a push over HTTPS, with a certificate of this client.

    Args:
        url: Where to.

        method: PUT, POST or DELETE.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        headers: Pairs of names and values.

        data: The body.

        certfile: The client's certificate.

        keyfile: The key that belongs to it.

        cafile: The authorities that the gateway's certificate may come from; the system's if left
            out.

        protocol: As `ssl.SSLContext` takes it.

        insecure_skip_verify: Whether to send it to anybody who answers.

    Raises:
        OSError: A certificate or a key cannot be read.

    Example:
        >>> tls_auth_handler("https://localhost:1", "PUT", 5, [], b"", "/not/there", "/not/there")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory
    """
    context = ssl.SSLContext(protocol)
    if cafile is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile)
    if insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(certfile, keyfile)
    return _sender(url, method, timeout, headers, data, HTTPSHandler(context=context))


def _sender(
    url: str,
    method: str,
    timeout: float | None,
    headers: _Headers,
    data: bytes,
    how: BaseHandler | type[BaseHandler],
) -> _Send:
    def send() -> None:
        request = Request(url, data=data, method=method)
        for name, value in headers:
            request.add_header(name, value)
        # Programs' tests put another `build_opener` there.
        exposition.build_opener(how).open(request, timeout=timeout).close()

    return send


def push_to_gateway(
    gateway: str,
    job: str,
    registry: Collector | None,
    grouping_key: Mapping[str, Any] | None = None,
    timeout: float | None = 30,
    handler: Callable[..., _Send] = default_handler,
    compression: CompressionType = None,
) -> None:
    """
    Replace all that a Pushgateway has of a group by what a registry shows (HTTP PUT).

    Args:
        gateway: Its URL; ``http://`` may be left out.

        job: The value of the label ``job``.

        registry: What to send, None for the default registry.

        grouping_key: More labels that tell this group from others.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        handler: How to send it: called with ``url``, ``method``, ``timeout``, ``headers`` and
            ``data``, it gives a function that does so. `basic_auth_handler`, `tls_auth_handler` and
            `passthrough_redirect_handler` can be made into one with `functools.partial`.

        compression: ``"gzip"``, or ``"snappy"``, for which python-snappy must be installed.

    Raises:
        OSError: The gateway cannot be reached, or refuses.

        ValueError: There is no such compression.

        RuntimeError: python-snappy is not installed.

    Example:
        >>> from tallymark import CollectorRegistry, Gauge
        >>> registry = CollectorRegistry()
        >>> Gauge("last_success", "When it worked.", registry=registry).set_to_current_time()
        >>> def handler(url, method, timeout, headers, data):
        ...     return lambda: print(method, url)
        >>> push_to_gateway("gateway:9091", "backup", registry, {"disk": "/srv"}, handler=handler)
        PUT http://gateway:9091/metrics/job/backup/disk@base64/L3Nydg==
    """
    _push("PUT", gateway, job, registry, grouping_key, timeout, handler, compression)


def pushadd_to_gateway(
    gateway: str,
    job: str,
    registry: Collector | None,
    grouping_key: Mapping[str, Any] | None = None,
    timeout: float | None = 30,
    handler: Callable[..., _Send] = default_handler,
    compression: CompressionType = None,
) -> None:
    """
    Replace what a Pushgateway has of a group where names are the same, and keep the rest
    (HTTP POST).

    Args:
        gateway: Its URL; ``http://`` may be left out.

        job: The value of the label ``job``.

        registry: What to send, None for the default registry.

        grouping_key: More labels that tell this group from others.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        handler: How to send it, as `push_to_gateway` takes it.

        compression: ``"gzip"``, or ``"snappy"``, for which python-snappy must be installed.

    Raises:
        OSError: The gateway cannot be reached, or refuses.

        ValueError: There is no such compression.

        RuntimeError: python-snappy is not installed.

    Example:
        >>> def handler(url, method, timeout, headers, data):
        ...     return lambda: print(method, url)
        >>> pushadd_to_gateway("gateway:9091", "backup", None, handler=handler)
        POST http://gateway:9091/metrics/job/backup
    """
    _push("POST", gateway, job, registry, grouping_key, timeout, handler, compression)


def delete_from_gateway(
    gateway: str,
    job: str,
    grouping_key: Mapping[str, Any] | None = None,
    timeout: float | None = 30,
    handler: Callable[..., _Send] = default_handler,
) -> None:
    """
    Make a Pushgateway forget a group (HTTP DELETE).

    Args:
        gateway: Its URL; ``http://`` may be left out.

        job: The value of the label ``job``.

        grouping_key: The other labels of the group.

        timeout: How many seconds to wait for a silent gateway, None for as long as it takes.

        handler: How to send it, as `push_to_gateway` takes it.

    Raises:
        OSError: The gateway cannot be reached, or refuses.

    Example:
        >>> def handler(url, method, timeout, headers, data):
        ...     return lambda: print(method, url)
        >>> delete_from_gateway("gateway:9091", "backup", {"host": "a"}, handler=handler)
        DELETE http://gateway:9091/metrics/job/backup/host/a
    """
    headers = [("Content-Type", exposition.CONTENT_TYPE_PLAIN_0_0_4)]
    url = _group_url(gateway, job, grouping_key)
    handler(url=url, method="DELETE", timeout=timeout, headers=headers, data=b"")()


def _push(
    method: str,
    gateway: str,
    job: str,
    registry: Collector | None,
    grouping_key: Mapping[str, Any] | None,
    timeout: float | None,
    handler: Callable[..., _Send],
    compression: CompressionType,
) -> None:
    url = _group_url(gateway, job, grouping_key)
    data = exposition.generate_latest(REGISTRY if registry is None else registry)
    # The one format that every Pushgateway reads.
    headers = [("Content-Type", exposition.CONTENT_TYPE_PLAIN_0_0_4)]
    if compression is not None:
        data = _compress(data, compression)
        headers.append(("Content-Encoding", compression.lower()))
    handler(url=url, method=method, timeout=timeout, headers=headers, data=data)()


def _group_url(gateway: str, job: str, grouping_key: Mapping[str, Any] | None) -> str:
    if urlsplit(gateway).scheme not in ("http", "https"):
        gateway = f"http://{gateway}"
    labels = [("job", job), *sorted((grouping_key or {}).items())]
    return "/".join(
        [gateway.rstrip("/"), "metrics", *(_label_path(str(key), str(v)) for key, v in labels)]
    )


def _label_path(name: str, value: str) -> str:
    """Write one label of a group as the Pushgateway reads it from a path."""
    if not value:
        # No bytes at all in base64, padded so that the path keeps its parts.
        return f"{name}@base64/="
    if "/" in value or " " in value:
        return f"{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode()}"
    return f"{name}/{quote_plus(value)}"


def _compress(data: bytes, compression: str) -> bytes:
    if compression.lower() == "gzip":
        return gzip.compress(data)
    if compression.lower() != "snappy":
        raise ValueError(f"Unsupported compression type: {compression}; use gzip or snappy")
    try:
        import snappy  # type: ignore[import-untyped]
    except ImportError:
        raise RuntimeError(
            "Snappy compression requires the python-snappy package to be installed."
        ) from None
    compressor = snappy.StreamCompressor()
    return bytes(compressor.compress(data) + compressor.flush())


def instance_ip_grouping_key() -> dict[str, Any]:
    """
    Give a grouping key of this host's address, for jobs that run on several.

    It is the address from which the host talks to itself, which is 127.0.0.1 where nobody has
    arranged for another.

    Example:
        >>> list(instance_ip_grouping_key())
        ['instance']
    """
    # Connecting a datagram socket sends nothing. macOS connects no port 0.
    target = ("10.255.255.255", 1) if sys.platform == "darwin" else ("localhost", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return {"instance": probe.getsockname()[0]}
