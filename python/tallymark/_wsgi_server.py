"""A server in Python threads, for what the native one does not do: TLS, and any other WSGI
application.

A client costs a thread, and only its own: also one that connects and then says nothing, or cannot
agree on a cipher. What is served is not known here; plain HTTP goes through the native server,
which needs no Python thread at all.
"""

from __future__ import annotations

import socket
import ssl
import threading
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# How long a client may be silent, in the handshake or later. Less would cut off scrapers over bad
# lines; more would only keep threads waiting for those who are gone.
_PATIENCE_SECONDS = 10.0


class ThreadingWSGIServer(ThreadingMixIn, WSGIServer):
    """
    A WSGI server with a thread for every request; they do not keep the interpreter from exiting.
    """

    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    """A handler of WSGI requests that writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a scrape every few seconds is no news."""


def start_tls_server(
    port: int, addr: str, app: WSGIApplication, context: ssl.SSLContext
) -> tuple[WSGIServer, threading.Thread]:
    """
    Serve an application over TLS, from a thread of its own.

    Args:
        port: The port, 0 for any that is free.

        addr: The address to listen on, IPv4, IPv6 or a name.

        app: What to serve.

        context: The certificates and the rules for clients.

    Returns:
        The server, with ``server_address``, ``shutdown()`` and ``server_close()``, and its thread.
    """
    resolved = socket.getaddrinfo(addr, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, address = resolved[0][0], str(resolved[0][4][0])

    class TlsServer(ThreadingWSGIServer):
        address_family = family

        def finish_request(self, request: Any, client_address: Any) -> None:
            # In the request's own thread: a handshake waits for the client, and nobody else must.
            request.settimeout(_PATIENCE_SECONDS)
            with context.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            ) as encrypted:
                if _shake_hands(encrypted):
                    super().finish_request(encrypted, client_address)

    server = make_server(address, port, app, TlsServer, handler_class=_SilentHandler)
    thread = threading.Thread(target=server.serve_forever, name="tallymark-tls", daemon=True)
    thread.start()
    return server, thread


def _shake_hands(encrypted: ssl.SSLSocket) -> bool:
    try:
        encrypted.do_handshake()
    except ssl.SSLError:
        # The client learns why if what it still sends is read: otherwise closing resets the
        # connection under the alert.
        try:
            encrypted.shutdown(socket.SHUT_WR)
            while encrypted.recv(4096):
                pass
        except OSError:
            pass
        return False
    except OSError:
        return False
    return True


def tls_context(
    certfile: str,
    keyfile: str,
    protocol: int = ssl.PROTOCOL_TLS_SERVER,
    cafile: str | None = None,
    capath: str | None = None,
    client_auth_required: bool = False,
    tls_min_version: ssl.TLSVersion | None = None,
    tls_max_version: ssl.TLSVersion | None = None,
) -> ssl.SSLContext:
    """
    Read certificates.

    Args:
        certfile: The server's certificate, with those that lead to its authority.

        keyfile: The key that belongs to it.

        protocol: As `ssl.SSLContext` takes it.

        cafile: The authorities of clients' certificates; the system's if neither file nor directory
            is given.

        capath: The same as a directory.

        client_auth_required: Whether clients must have a certificate.

        tls_min_version: The oldest version to speak.

        tls_max_version: The newest version to speak.

    Raises:
        OSError: A file cannot be read, or is not what it should be; the text says which.
    """
    context = ssl.SSLContext(protocol)
    try:
        if cafile is None and capath is None:
            what = "default CA certificate chain"
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        else:
            what = f"CA certificate chain from file {cafile!r} or directory {capath!r}"
            context.load_verify_locations(cafile, capath)
        what = f"server certificate file {certfile!r} or its private key file {keyfile!r}"
        context.load_cert_chain(certfile, keyfile)
    except OSError as error:
        raise type(error)(f"Cannot load {what}: {error}") from error
    if client_auth_required:
        context.verify_mode = ssl.CERT_REQUIRED
    if tls_min_version is not None:
        context.minimum_version = tls_min_version
    if tls_max_version is not None:
        context.maximum_version = tls_max_version
    return context
