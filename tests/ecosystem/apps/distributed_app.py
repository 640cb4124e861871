"""
Metrics of prometheus-distributed-client, which keeps them in a database of its own.

Run as ``python distributed_app.py sqlite:FILE|redis:PORT cook TIMES`` to count, and with ``show``
in place of the last two to print what all counted.
"""

import sqlite3
import sys

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_distributed_client import setup
from redis import Redis

backend, _, place = sys.argv[1].partition(":")
if backend == "sqlite":
    setup(sqlite=sqlite3.connect(place, timeout=30))
    from prometheus_distributed_client.sqlite import Counter, Gauge, Histogram, Summary
else:
    setup(redis=Redis(port=int(place)))
    from prometheus_distributed_client.redis import Counter, Gauge, Histogram, Summary

registry = CollectorRegistry()
ORDERS = Counter("kitchen_orders", "Orders.", ["dish"], registry=registry)
BURNT = Counter("kitchen_burnt", "Dishes that burnt.", registry=registry)
GUESTS = Gauge("kitchen_guests", "Guests.", ["table"], registry=registry)
WEIGHT = Summary("kitchen_weight", "Weight of dishes.", ["dish"], registry=registry)
SECONDS = Histogram("kitchen_seconds", "Time.", ["dish"], buckets=[1, 2], registry=registry)

if sys.argv[2] == "cook":
    for _ in range(int(sys.argv[3])):
        ORDERS.labels("soup").inc()
        ORDERS.labels(dish="cake").inc(2)
        BURNT.inc()
        GUESTS.labels("window").inc(3)
        GUESTS.labels("window").dec()
        GUESTS.labels("door").set(4)
        WEIGHT.labels("soup").observe(0.25)
        SECONDS.labels("soup").observe(1.5)
else:
    print(generate_latest(registry).decode())
    # It counts in its database only.
    assert "kitchen" not in generate_latest(REGISTRY).decode()
