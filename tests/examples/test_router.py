"""The router: plain Python processes with a metrics port of their own, or with one for all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Ask = Callable[..., tuple[int, str]]
Scrape = Callable[[str], dict[str, float]]
StartRouter = Callable[[int], str]


@pytest.fixture
def start_router(start: Callable[..., object], free_port: Callable[[], int]) -> StartRouter:
    """Starts a router on a free port, with its metrics on the given one; gives its URL."""

    def start_router(metrics_port: int) -> str:
        port = free_port()
        arguments = ["router.py", "--port", str(port), "--metrics-port", str(metrics_port)]
        start(arguments, port, f"http://127.0.0.1:{metrics_port}/metrics")
        return f"http://127.0.0.1:{port}"

    return start_router


def test_every_path_has_its_series_before_the_first_request(
    start_router: StartRouter, free_port: Callable[[], int], scrape: Scrape
) -> None:
    """All label sets read 0 at the first scrape."""
    metrics_port = free_port()
    start_router(metrics_port)

    metrics = scrape(f"http://127.0.0.1:{metrics_port}/metrics")

    for path in ("/", "/greet", "/divide"):
        assert 0 == metrics[f'router_request_seconds_count{{path="{path}"}}']
        assert 0 == metrics[f'router_request_seconds_sum{{path="{path}"}}']
        assert 0 == metrics[f'router_exceptions_total{{path="{path}"}}']


def test_requests_and_exceptions_are_counted_by_path(
    start_router: StartRouter, free_port: Callable[[], int], ask: Ask, scrape: Scrape
) -> None:
    """A request that raises is timed like any other; a path that nobody answers gets no series."""
    metrics_port = free_port()
    url = start_router(metrics_port)

    assert (200, "Hello, Ada!\n") == ask(f"{url}/greet?name=Ada")
    assert (200, "2.0\n") == ask(f"{url}/divide?a=6&b=3")
    assert (500, "ZeroDivisionError: float division by zero\n") == ask(f"{url}/divide?a=1&b=0")
    assert 500 == ask(f"{url}/divide?a=1")[0]
    assert 404 == ask(f"{url}/nowhere")[0]

    metrics = scrape(f"http://127.0.0.1:{metrics_port}/metrics")

    assert 1 == metrics['router_request_seconds_count{path="/greet"}']
    assert 0 == metrics['router_exceptions_total{path="/greet"}']
    assert 3 == metrics['router_request_seconds_count{path="/divide"}']
    assert 2 == metrics['router_exceptions_total{path="/divide"}']
    assert 0 < metrics['router_request_seconds_sum{path="/divide"}']
    assert 1 == metrics["router_unrouted_requests_total"]
    assert not [series for series in metrics if "nowhere" in series]


def test_the_metrics_port_of_one_router_answers_for_another(
    start_router: StartRouter, free_port: Callable[[], int], ask: Ask, scrape: Scrape
) -> None:
    """Two routers with a port each share one store: both ports show the sum."""
    ports = [free_port(), free_port()]
    for port in ports:
        url = start_router(port)
        for _ in range(3):
            ask(f"{url}/greet")

    for port in ports:
        metrics = scrape(f"http://127.0.0.1:{port}/metrics")

        assert 6 == metrics['router_request_seconds_count{path="/greet"}']


def test_routers_can_share_one_metrics_port(
    start_router: StartRouter, free_port: Callable[[], int], ask: Ask, scrape: Scrape
) -> None:
    """Whichever of them the kernel gives a scrape to, the answer is the same."""
    port = free_port()
    for url in [start_router(port), start_router(port)]:
        for _ in range(3):
            ask(f"{url}/greet")

    totals = {
        scrape(f"http://127.0.0.1:{port}/metrics")['router_request_seconds_count{path="/greet"}']
        for _ in range(20)
    }

    assert {6} == totals
