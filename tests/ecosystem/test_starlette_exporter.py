"""starlette-exporter: a Starlette application under uvicorn with several workers."""

from __future__ import annotations

from running import Programs, ask, assert_totals, free_port, send_load, wait_for_port

PLAN = [
    *[("GET", "/order/soup", 200)] * 20,
    *[("GET", "/order/cake", 200)] * 10,
    *[("GET", "/burn", 500)] * 6,
]


def run_load(programs: Programs) -> tuple[str, int]:
    """Gives the URL, and how often the plan was sent."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = programs.start("uvicorn", "--workers", "2", "--port", str(port), "starlette_app:app")
    wait_for_port(port, server)
    return url, send_load(url, PLAN)


def test_the_totals_of_a_starlette_application_are_those_of_all_workers(sharing: Programs) -> None:
    """On both of its pages, in progress none."""
    url, rounds = run_load(sharing)

    order = 'app_name="kitchen",method="GET",path="/order/{dish}",status_code="200"'
    burnt = 'app_name="kitchen",method="GET",path="/burn",status_code="500"'
    for page in ("/metrics", "/openmetrics"):
        assert_totals(
            url + page,
            {
                f"starlette_requests_total{{{order}}}": 30 * rounds,
                f"starlette_requests_total{{{burnt}}}": 6 * rounds,
                f"starlette_request_duration_seconds_count{{{order}}}": 30 * rounds,
                'starlette_requests_in_progress{app_name="kitchen",method="GET"}': 0,
            },
        )


def test_every_worker_shows_the_same_exemplars(programs: Programs) -> None:
    """Whichever of them has kept one; the official client's multiprocess mode has none."""
    url, rounds = run_load(programs)
    order = 'app_name="kitchen",method="GET",path="/order/{dish}",status_code="200"'
    page = f"{url}/openmetrics"
    assert_totals(page, {f"starlette_requests_total{{{order}}}": 30 * rounds})
    shown = {
        tuple(line for line in ask(page)[2].splitlines() if ' # {trace_id="4bf92f35"} ' in line)
        for _ in range(8)
    }
    (exemplars,) = shown

    assert any(line.startswith(f"starlette_requests_total{{{order}}}") for line in exemplars)
