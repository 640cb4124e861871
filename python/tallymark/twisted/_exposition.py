"""The metrics endpoint for Twisted's web server.

It is the WSGI application, run in the reactor's threads: nothing of an answer is decided here.
"""

from __future__ import annotations

from twisted.web.wsgi import WSGIResource

from .. import exposition
from ..registry import REGISTRY, Collector


def MetricsResource(registry: Collector = REGISTRY) -> WSGIResource:
    """
    Make a resource that answers with the metrics.

    Args:
        registry: What to show.

    Example:
        >>> from twisted.web.resource import Resource
        >>> root = Resource()
        >>> root.putChild(b"metrics", MetricsResource())
        >>> root.listNames()
        [b'metrics']
    """
    # Importing it installs it, and a program may want another one than Twisted would choose.
    from twisted.internet import reactor

    return WSGIResource(  # type: ignore[no-untyped-call]
        reactor, reactor.getThreadPool(), exposition.make_wsgi_app(registry)
    )
