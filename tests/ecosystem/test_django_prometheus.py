"""django-prometheus: a project on SQLite under gunicorn, its views, its models, its cache."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from running import Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("POST", "/order/soup", 200)] * 20,
    *[("POST", "/order/cake", 200)] * 10,
    *[("GET", "/burn", 500)] * 6,
]


def test_the_totals_of_a_django_project_are_those_of_all_workers(sharing: Programs) -> None:
    """Requests by view, exceptions by type, inserts by model, reads of the cache."""
    database = sharing.directory / "kitchen.db"
    sharing.environment["KITCHEN_DB"] = str(database)
    sharing.environment["DJANGO_SETTINGS_MODULE"] = "kitchen.settings"
    sharing.run("django-admin", "migrate", "--run-syncdb", "--pythonpath", ".")

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = sharing.start(
        "gunicorn", "--workers", "3", "--bind", f"127.0.0.1:{port}", "kitchen.wsgi"
    )
    wait_for_port(port, server)
    rounds = send_load(url, PLAN, workers=3)

    view = 'method="POST",view="order"'
    orders = 'method="POST",status="200",view="order"'
    burnt = 'method="GET",status="500",view="burn"'
    assert_totals(
        f"{url}/metrics",
        {
            f"django_http_responses_total_by_status_view_method_total{{{orders}}}": 30 * rounds,
            f"django_http_responses_total_by_status_view_method_total{{{burnt}}}": 6 * rounds,
            'django_http_requests_total_by_method_total{method="POST"}': 30 * rounds,
            'django_http_exceptions_total_by_view_total{view="burn"}': 6 * rounds,
            'django_http_exceptions_total_by_type_total{type="ZeroDivisionError"}': 6 * rounds,
            f"django_http_requests_latency_seconds_by_view_method_count{{{view}}}": 30 * rounds,
            'django_model_inserts_total{model="order"}': 30 * rounds,
            'django_cache_get_total{backend="locmem"}': 30 * rounds,
        },
    )
    with closing(sqlite3.connect(database)) as db:
        assert (30 * rounds,) == db.execute("SELECT count(*) FROM kitchen_order").fetchone()
