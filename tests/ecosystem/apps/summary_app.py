"""A WSGI application with prometheus-summary; every answer says which process gave it."""

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app
from prometheus_summary import Summary

WEIGHT = Summary("kitchen_weight", "Weight of dishes.", ["dish"], invariants=((0.5, 0.05),))
ALL = Summary("kitchen_all", "Weight of all dishes.")

metrics = make_wsgi_app()


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Takes an order, or shows the metrics."""
    if environ["PATH_INFO"] == "/metrics":
        return metrics(environ, start_response)
    WEIGHT.labels(environ["PATH_INFO"].removeprefix("/order/")).observe(0.25)
    ALL.observe(0.25)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
