"""
A plain server that is measured with OpenTelemetry, whose exporter shows it to Prometheus.

Run as ``python opentelemetry_app.py PORT METRICS_PORT``.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import Counter, start_http_server

resource = Resource.create({"service.name": "kitchen"})
meter = MeterProvider([PrometheusMetricReader()], resource).get_meter("kitchen")
orders = meter.create_counter("kitchen.orders", description="Orders.")
weight = meter.create_histogram("kitchen.weight", unit="g", description="Weight of dishes.")
in_progress = meter.create_up_down_counter("kitchen.in_progress", description="Being cooked.")


def measure_oven(options: CallbackOptions) -> list[Observation]:
    """Reads the thermometer."""
    return [Observation(180)]


meter.create_observable_gauge("kitchen.oven", [measure_oven], unit="Cel")

# A program can use both at once.
DIRECT = Counter("kitchen_direct", "Orders, counted without OpenTelemetry.")


class Order(BaseHTTPRequestHandler):
    """Takes an order, and says which process did."""

    def do_GET(self) -> None:
        """Counts it both ways."""
        in_progress.add(1)
        orders.add(1, {"dish": self.path.removeprefix("/order/")})
        weight.record(250)
        DIRECT.inc()
        in_progress.add(-1)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    start_http_server(int(sys.argv[2]), addr="127.0.0.1")
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Order).serve_forever()
