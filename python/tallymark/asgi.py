"""The metrics endpoint for ASGI servers and frameworks.

It translates one protocol: what is answered is decided by ``exposition``, as for every other
endpoint.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from . import exposition
from .registry import REGISTRY, Collector

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Application = Callable[[_Message, _Receive, _Send], Awaitable[None]]


def make_asgi_app(
    registry: Collector = REGISTRY, disable_compression: bool = False
) -> _Application:
    """
    Make an ASGI application that answers every HTTP request with the metrics.

    A server may also start and stop it (the lifespan protocol), so it can stand alone.

    Args:
        registry: What to show.

        disable_compression: Whether to leave compressing to a server in front.

    Example:
        >>> import asyncio
        >>> from tallymark import CollectorRegistry
        >>> application = make_asgi_app(CollectorRegistry())
        >>> async def receive():
        ...     return {"type": "http.request"}
        >>> async def send(message):
        ...     print(message["type"])
        >>> scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
        >>> asyncio.run(application(scope, receive, send))
        http.response.start
        http.response.body
    """

    async def prometheus_app(scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope.get("type") == "lifespan":
            await _live(receive, send)
            return
        if scope.get("type") != "http":
            raise ValueError(f"the metrics endpoint speaks http, not {scope.get('type')}")
        params = parse_qs(scope.get("query_string", b"").decode("utf-8", "replace"))
        headers = scope.get("headers", ())
        status, answer_headers, body = exposition._bake_output(
            registry,
            _header(headers, b"accept"),
            _header(headers, b"accept-encoding"),
            params,
            disable_compression,
        )
        request = await receive()
        if request.get("type") != "http.request":
            # Whoever asked has gone.
            return
        await send(
            {
                "type": "http.response.start",
                "status": int(status.split(" ")[0]),
                "headers": [(name.encode(), value.encode()) for name, value in answer_headers],
            }
        )
        without_body = scope.get("method") == "HEAD"
        await send({"type": "http.response.body", "body": b"" if without_body else body})

    return prometheus_app


async def _live(receive: _Receive, send: _Send) -> None:
    """Take part in a server's start and stop, for which there is nothing to do."""
    while True:
        event = (await receive())["type"]
        await send({"type": event + ".complete"})
        if event == "lifespan.shutdown":
            return


def _header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Give a header that may come in several lines as the one list that it is."""
    return ",".join(value.decode("latin-1") for key, value in headers if key.lower() == name)
