"""prometheus-fastapi-instrumentator: a FastAPI application under uvicorn with several workers."""

from __future__ import annotations

from running import Programs, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("GET", "/order/soup", 200)] * 20,
    *[("GET", "/order/cake", 200)] * 10,
    *[("GET", "/burn", 500)] * 6,
    *[("GET", "/nowhere", 404)] * 4,
]


def test_the_totals_of_a_fastapi_application_are_those_of_all_workers(sharing: Programs) -> None:
    """Requests by handler and status, their sizes and latencies; none is left in progress."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = sharing.start("uvicorn", "--workers", "2", "--port", str(port), "fastapi_app:app")
    wait_for_port(port, server)
    rounds = send_load(url, PLAN)

    order = 'handler="/order/{dish}",method="GET"'
    burnt_in_time = 'handler="/burn",le="+Inf",method="GET"'
    assert_totals(
        f"{url}/metrics",
        {
            f'http_requests_total{{{order},status="2xx"}}': 30 * rounds,
            'http_requests_total{handler="/burn",method="GET",status="5xx"}': 6 * rounds,
            'http_requests_total{handler="none",method="GET",status="4xx"}': 4 * rounds,
            f"http_request_duration_seconds_count{{{order}}}": 30 * rounds,
            f"http_request_duration_seconds_bucket{{{burnt_in_time}}}": 6 * rounds,
            'http_response_size_bytes_count{handler="/order/{dish}"}': 30 * rounds,
            "kitchen_in_progress": 0,
        },
    )
