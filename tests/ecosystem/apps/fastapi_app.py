"""A FastAPI application with prometheus-fastapi-instrumentator; answers say whose they are."""

import os

from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator

app = FastAPI()
Instrumentator(
    excluded_handlers=["/metrics"],
    should_instrument_requests_inprogress=True,
    inprogress_name="kitchen_in_progress",
).instrument(app).expose(app)


@app.get("/order/{dish}")
async def order(dish: str) -> int:
    """Takes an order."""
    return os.getpid()


@app.get("/burn")
async def burn() -> int:
    """Fails, as something does in every kitchen."""
    raise ZeroDivisionError
