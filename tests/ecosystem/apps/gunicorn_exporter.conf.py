"""gunicorn's settings as gunicorn-prometheus-exporter's documentation gives them."""

import os

from gunicorn_prometheus_exporter import hooks

worker_class = "gunicorn_prometheus_exporter.PrometheusWorker"
on_starting = hooks.default_on_starting
post_fork = hooks.default_post_fork
worker_int = hooks.default_worker_int
on_exit = hooks.default_on_exit
if os.environ.get("REDIS_ENABLED"):
    when_ready = hooks.redis_when_ready
else:
    when_ready = hooks.default_when_ready
