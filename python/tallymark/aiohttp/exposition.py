"""The metrics endpoint for aiohttp's server.

It translates one framework's requests: what is answered is decided by ``tallymark.exposition``, as
for every other endpoint, and compressed there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from .. import exposition
from ..registry import REGISTRY, Collector

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


def make_aiohttp_handler(
    registry: Collector = REGISTRY, disable_compression: bool = False
) -> Handler:
    """
    Make a handler that answers with the metrics.

    Args:
        registry: What to show.

        disable_compression: Whether to leave compressing to a server in front.

    Example:
        >>> from aiohttp import web
        >>> application = web.Application()
        >>> _ = application.router.add_get("/metrics", make_aiohttp_handler())
        >>> [route.method for route in application.router.routes()]
        ['HEAD', 'GET']
    """

    async def prometheus_handler(request: web.Request) -> web.Response:
        status, headers, body = exposition._bake_output(
            registry,
            ",".join(request.headers.getall(hdrs.ACCEPT, [])),
            ",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, [])),
            {name: request.query.getall(name) for name in request.query},
            disable_compression,
        )
        return web.Response(status=int(status.split(" ")[0]), headers=headers, body=body)

    return prometheus_handler
