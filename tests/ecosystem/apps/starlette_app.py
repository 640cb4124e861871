"""A Starlette application with starlette-exporter; every answer says which process gave it."""

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware, handle_metrics, handle_openmetrics


async def order(request: Request) -> PlainTextResponse:
    """Takes an order."""
    return PlainTextResponse(str(os.getpid()))


async def burn(request: Request) -> PlainTextResponse:
    """Fails, as something does in every kitchen."""
    raise ZeroDivisionError


app = Starlette(
    routes=[
        Route("/order/{dish}", order),
        Route("/burn", burn),
        Route("/metrics", handle_metrics),
        Route("/openmetrics", handle_openmetrics),
    ]
)
app.add_middleware(
    PrometheusMiddleware,
    app_name="kitchen",
    skip_paths=["/metrics", "/openmetrics"],
    exemplars=lambda: {"trace_id": "4bf92f35"},
)
