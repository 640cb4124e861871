"""prometheus-flask-exporter: a Flask application under gunicorn, whose workers are replaced."""

from __future__ import annotations

from running import OPENMETRICS, Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("GET", "/order/soup", 200)] * 20,
    *[("GET", "/order/cake", 200)] * 10,
    *[("GET", "/burn", 500)] * 6,
]


def test_the_totals_of_a_flask_application_are_those_of_all_workers(sharing: Programs) -> None:
    """The library's own metrics, and those that its decorators make, in both text formats."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--workers", "2", "--max-requests", "20", "--bind", f"127.0.0.1:{port}"]
    server = sharing.start("gunicorn", *options, "flask_app:app")
    wait_for_port(port, server)
    rounds = send_load(url, PLAN, workers=4)

    soup = 'method="GET",path="/order/soup",status="200"'
    for accept in ("*/*", OPENMETRICS):
        assert_totals(
            f"{url}/metrics",
            {
                'flask_http_request_total{method="GET",status="200"}': 30 * rounds,
                'flask_http_request_total{method="GET",status="500"}': 6 * rounds,
                'flask_http_request_exceptions_total{method="GET",status="500"}': 6 * rounds,
                f"flask_http_request_duration_seconds_count{{{soup}}}": 20 * rounds,
                f'flask_http_request_duration_seconds_bucket{{le="+Inf",{soup}}}': 20 * rounds,
                'kitchen_orders_total{dish="soup"}': 20 * rounds,
                'kitchen_orders_total{dish="cake"}': 10 * rounds,
                'kitchen_answers_count{status="200 OK"}': 30 * rounds,
            },
            accept,
        )
