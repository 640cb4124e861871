"""gunicorn-prometheus-exporter: a worker class and hooks that measure gunicorn itself."""

from __future__ import annotations

import pytest
from redis import Redis
from running import Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [("GET", "/order/soup", 200)] * 30


def assert_all_requests_are_counted(programs: Programs, **environment: str) -> None:
    """
    Runs gunicorn under load, and reads the port that the library opens in gunicorn's master.

    Every worker has series of its own, and counts a request when it has been answered.
    """
    port, metrics_port = free_port(), free_port()
    programs.environment.update(
        environment,
        GUNICORN_WORKERS="2",
        PROMETHEUS_BIND_ADDRESS="127.0.0.1",
        PROMETHEUS_METRICS_PORT=str(metrics_port),
    )
    options = ["--config", "gunicorn_exporter.conf.py", "--workers", "2"]
    server = programs.start(
        "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "gunicorn_exporter_app:app"
    )
    wait_for_port(metrics_port, server)
    requests = len(PLAN) * send_load(f"http://127.0.0.1:{port}", PLAN)

    assert_totals(
        f"http://127.0.0.1:{metrics_port}/metrics",
        {
            "gunicorn_worker_requests_total{*}": requests,
            "gunicorn_worker_request_duration_seconds_count{*}": requests,
        },
    )


@pytest.mark.parametrize("sharing", ["directory"], indirect=True)
def test_requests_are_counted_in_the_shared_file(sharing: Programs) -> None:
    """The library insists on the official client's directory."""
    assert_all_requests_are_counted(sharing)

    directory = sharing.directory / "multiproc"

    assert [directory / "metrics.tally"] == list(directory.iterdir())


def test_requests_are_counted_in_redis(programs: Programs, redis_port: int) -> None:
    """The library's other way: a class of its own in the place of `values.ValueClass`."""
    redis = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis_port)}
    assert_all_requests_are_counted(programs, REDIS_ENABLED="true", **redis)

    with Redis(port=redis_port) as database:
        assert database.keys("gunicorn:counter:*:metric:*")
