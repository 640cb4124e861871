"""Celery tasks that count, and a port of the worker's main process that shows what all counted."""

import os
import signal

from celery import Celery
from celery.signals import worker_ready
from prometheus_client import Counter, Gauge, Histogram, start_http_server

app = Celery("kitchen", broker=os.environ["BROKER"], backend=os.environ["BROKER"])

COOKED = Counter("kitchen_cooked", "Dishes cooked.", ["dish"])
WEIGHT = Histogram("kitchen_weight", "Weight of dishes.", buckets=[1])
IN_PROGRESS = Gauge("kitchen_in_progress", "Dishes on the stove.")


@app.task
@IN_PROGRESS.track_inprogress()
def cook(dish: str) -> int:
    """Cooks, and says which process did."""
    COOKED.labels(dish).inc()
    WEIGHT.observe(0.25)
    return os.getpid()


@app.task
@IN_PROGRESS.track_inprogress()
def explode() -> None:
    """Counts a dish and takes the process along."""
    COOKED.labels("bomb").inc()
    os.kill(os.getpid(), signal.SIGKILL)


@worker_ready.connect
def show_metrics(**_: object) -> None:
    """Opens the port, in the process that the pool's processes are forked from."""
    start_http_server(int(os.environ["METRICS_PORT"]), addr="127.0.0.1")
