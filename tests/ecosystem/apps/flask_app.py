"""A Flask application with prometheus-flask-exporter; every answer says which process gave it."""

import os

from flask import Flask, request
from prometheus_flask_exporter import PrometheusMetrics

app = Flask(__name__)
metrics = PrometheusMetrics(app)
metrics.info("kitchen_info", "The kitchen.", version="1")


@app.get("/order/<dish>")
@metrics.counter("kitchen_orders", "Orders.", labels={"dish": lambda: request.view_args["dish"]})
@metrics.gauge("kitchen_in_progress", "Orders in progress.")
@metrics.summary("kitchen_answers", "Answers.", labels={"status": lambda answer: answer.status})
def order(dish: str) -> str:
    """Takes an order."""
    return str(os.getpid())


@app.get("/burn")
def burn() -> str:
    """Fails, as something does in every kitchen."""
    raise ZeroDivisionError
