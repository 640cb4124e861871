"""OpenTelemetry's Prometheus exporter: a collector of its own that reads OpenTelemetry's numbers.

Those numbers are in OpenTelemetry's hands, one process's each; what is counted with tallymark's
classes beside them is shared as ever.
"""

from __future__ import annotations

from running import OPENMETRICS, Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("GET", "/order/soup", 200)] * 20,
    *[("GET", "/order/cake", 200)] * 10,
]


def test_what_opentelemetry_measured_is_shown_beside_shared_totals(programs: Programs) -> None:
    """Each port shows its own process's OpenTelemetry numbers, and the direct counter's total."""
    metrics_ports = [free_port(), free_port()]
    for metrics_port in metrics_ports:
        port = free_port()
        server = programs.start("python", "opentelemetry_app.py", str(port), str(metrics_port))
        wait_for_port(port, server)
        assert 1 == send_load(f"http://127.0.0.1:{port}", PLAN, workers=1)

    scope = 'otel_scope_name="kitchen",otel_scope_schema_url="",otel_scope_version=""'
    for metrics_port in metrics_ports:
        for accept in ("*/*", OPENMETRICS):
            assert_totals(
                f"http://127.0.0.1:{metrics_port}/metrics",
                {
                    f'kitchen_orders_total{{dish="soup",{scope}}}': 20,
                    f'kitchen_orders_total{{dish="cake",{scope}}}': 10,
                    f"kitchen_weight_grams_count{{{scope}}}": 30,
                    f"kitchen_weight_grams_sum{{{scope}}}": 30 * 250,
                    f'kitchen_weight_grams_bucket{{le="250.0",{scope}}}': 30,
                    f"kitchen_in_progress{{{scope}}}": 0,
                    f"kitchen_oven_celsius{{{scope}}}": 180,
                    "kitchen_direct_total": 60,
                },
                accept,
            )
