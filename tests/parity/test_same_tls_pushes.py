"""Pushing over TLS: both packages trust the same gateways, and are trusted by the same."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Certificate(NamedTuple):
    """A certificate that signs itself, so it is its own authority."""

    certfile: str
    keyfile: str


def certify(directory: Path, name: str) -> Certificate:
    """Make a certificate for a name, or for 127.0.0.1 as well where it is localhost."""
    paths = Certificate(str(directory / f"{name}.pem"), str(directory / f"{name}.key"))
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name}"
        f" -addext subjectAltName=DNS:{name}{',IP:127.0.0.1' if name == 'localhost' else ''}"
    )
    subprocess.run(
        [*command.split(), "-out", paths.certfile, "-keyout", paths.keyfile],
        check=True,
        capture_output=True,
    )
    return paths


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificate]:
    """One for the gateway, one for its client, one that nobody knows."""
    directory = tmp_path_factory.mktemp("certificates")
    return {name: certify(directory, name) for name in ("localhost", "client", "stranger")}


class _Handler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        certificate = self.connection.getpeercert()  # type: ignore[attr-defined]
        subject = dict(pair for [pair] in (certificate or {}).get("subject", ()))
        self.server.clients.append(subject.get("commonName"))  # type: ignore[attr-defined]
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


class Gateway(ThreadingHTTPServer):
    """Speaks TLS; remembers the names of its clients."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.clients: list[str | None] = []

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the request's own thread; say nothing of those that fail."""
        try:
            encrypted = self.context.wrap_socket(request, server_side=True)
        except OSError:
            return
        with encrypted:
            super().finish_request(encrypted, client_address)

    def taken(self) -> list[str | None]:
        """Give the clients since the last time."""
        taken, self.clients = self.clients, []
        return taken


@pytest.fixture(scope="module", params=[False, True], ids=["any client", "known clients"])
def gateway(
    request: pytest.FixtureRequest, certificates: dict[str, Certificate]
) -> Iterator[Gateway]:
    """A gateway on a free port, for any client or for those that have a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates["localhost"])
    context.load_verify_locations(certificates["client"].certfile)
    context.verify_mode = ssl.CERT_REQUIRED if request.param else ssl.CERT_OPTIONAL
    # Otherwise a client learns only when it reads that its certificate was refused.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Gateway(context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _push(c: Any, gateway: Gateway, handler: Any, host: str = "127.0.0.1") -> Any:
    url = f"https://{host}:{gateway.server_address[1]}"
    registry = c.core.CollectorRegistry()
    c.core.Gauge("g", "h", registry=registry)
    try:
        c.exposition.push_to_gateway(url, "job", registry, handler=handler)
    except ssl.SSLError as error:
        return type(error).__name__, error.reason
    except OSError as error:
        reason = getattr(error, "reason", error)
        return type(error).__name__, type(reason).__name__, getattr(reason, "reason", None)
    return gateway.taken()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_known_client_is_taken(
    host: str, gateway: Gateway, certificates: dict[str, Certificate], same: Any
) -> None:
    """By its certificate, and the gateway by its own."""

    def run(c: Any) -> Any:
        handler = partial(
            c.exposition.tls_auth_handler,
            **certificates["client"]._asdict(),
            cafile=certificates["localhost"].certfile,
        )
        return _push(c, gateway, handler, host)

    assert ["client"] == same(run)


@pytest.mark.parametrize("authority", ["stranger", None])
def test_an_unknown_gateway_is_sent_nothing(
    authority: str | None, gateway: Gateway, certificates: dict[str, Certificate], same: Any
) -> None:
    """Neither the authority that is given vouches for it, nor those of the system."""

    def run(c: Any) -> Any:
        handler = partial(
            c.exposition.tls_auth_handler,
            **certificates["client"]._asdict(),
            cafile=authority and certificates[authority].certfile,
        )
        return _push(c, gateway, handler)

    assert ("URLError", "SSLCertVerificationError", "CERTIFICATE_VERIFY_FAILED") == same(run)
    assert [] == gateway.taken()


def test_an_unknown_gateway_can_be_accepted(
    gateway: Gateway, certificates: dict[str, Certificate], same: Any
) -> None:
    """By those who say so."""

    def run(c: Any) -> Any:
        handler = partial(
            c.exposition.tls_auth_handler,
            **certificates["client"]._asdict(),
            insecure_skip_verify=True,
        )
        return _push(c, gateway, handler)

    assert ["client"] == same(run)


def test_an_unknown_client_is_told_so(
    gateway: Gateway, certificates: dict[str, Certificate], same: Any
) -> None:
    """One that shows a certificate of its own making."""

    def run(c: Any) -> Any:
        handler = partial(
            c.exposition.tls_auth_handler,
            **certificates["stranger"]._asdict(),
            cafile=certificates["localhost"].certfile,
        )
        return _push(c, gateway, handler)

    assert ("URLError", "SSLError", "TLSV1_ALERT_UNKNOWN_CA") == same(run)


def test_the_default_handler_trusts_the_authorities_of_the_environment(
    gateway: Gateway,
    certificates: dict[str, Certificate],
    same: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And has no certificate to show."""
    for authority in (None, certificates["localhost"].certfile):
        if authority:
            monkeypatch.setenv("SSL_CERT_FILE", authority)
        outcome = same(lambda c: _push(c, gateway, c.exposition.default_handler))
        if authority is None:
            assert "CERTIFICATE_VERIFY_FAILED" == outcome[-1]
        elif gateway.context.verify_mode == ssl.CERT_REQUIRED:
            assert "URLError" == outcome[0]
        else:
            assert [None] == outcome


@pytest.mark.parametrize("missing", ["certfile", "keyfile", "cafile"])
def test_a_file_that_is_not_there_is_told_before_anything_is_sent(
    missing: str, gateway: Gateway, certificates: dict[str, Certificate], same: Any
) -> None:
    """When the handler is called, not what it gives."""

    def run(c: Any) -> Any:
        files = {**certificates["client"]._asdict(), missing: "/not/there"}
        with pytest.raises(FileNotFoundError) as failed:
            c.exposition.tls_auth_handler("https://localhost", "PUT", 5, [], b"", **files)
        return str(failed.value)

    same(run)

    assert [] == gateway.taken()
