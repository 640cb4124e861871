"""prometheus-async: coroutines that are measured, and the library's own server of metrics."""

from __future__ import annotations

from running import OPENMETRICS, Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("GET", "/order/soup", 200)] * 20,
    *[("GET", "/order/cake", 200)] * 10,
    *[("GET", "/order/coal", 500)] * 6,
]


def test_the_totals_of_measured_coroutines_are_those_of_all_processes(programs: Programs) -> None:
    """Two processes with a port for metrics each: either port answers for both."""
    metrics_ports = [free_port(), free_port()]
    rounds = 0
    for metrics_port in metrics_ports:
        port = free_port()
        server = programs.start("python", "aiohttp_app.py", str(port), str(metrics_port))
        wait_for_port(port, server)
        wait_for_port(metrics_port, server)
        rounds += send_load(f"http://127.0.0.1:{port}", PLAN, workers=1)

    for metrics_port in metrics_ports:
        for accept in ("*/*", OPENMETRICS):
            assert_totals(
                f"http://127.0.0.1:{metrics_port}/metrics",
                {
                    'kitchen_orders_total{dish="soup"}': 20 * rounds,
                    'kitchen_orders_total{dish="coal"}': 6 * rounds,
                    "kitchen_burnt_total": 6 * rounds,
                    # Once around the handler, once for what it awaits.
                    "kitchen_seconds_count": (36 + 30) * rounds,
                    "kitchen_in_progress": 0,
                },
                accept,
            )

    assert 2 == rounds
