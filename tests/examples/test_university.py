"""The university under gunicorn: a page and an API, measured by hooks around every request."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

Ask = Callable[..., tuple[int, str]]
Scrape = Callable[[str], dict[str, float]]


@pytest.fixture
def university(start: Callable[..., object], free_port: Callable[[], int]) -> str:
    """The URL of a university whose two workers are each replaced after some five requests."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    gunicorn = ["-m", "gunicorn", "--workers", "2", "--max-requests", "5", "--no-control-socket"]
    start([*gunicorn, "--bind", f"127.0.0.1:{port}", "university:app"], port, f"{url}/metrics")
    return url


def test_courses_are_created_and_found(university: str, ask: Ask) -> None:
    """The API and the home page show the same catalogue, whichever worker answers."""
    for code, title in [("CS101", "Programs"), ("MA101", "Numbers <1>"), ("MA201", "More numbers")]:
        status, body = ask(f"{university}/api/courses", {"code": code, "title": title})

        assert 201 == status
        assert {"code": code, "title": title} == json.loads(body)

    _, body = ask(f"{university}/api/courses?search=NUMB")

    assert ["MA101", "MA201"] == [course["code"] for course in json.loads(body)]

    _, body = ask(f"{university}/api/courses")

    assert ["CS101", "MA101", "MA201"] == [course["code"] for course in json.loads(body)]

    _, page = ask(f"{university}/?search=ma101")

    assert "MA101: Numbers &lt;1&gt;" in page
    assert "CS101" not in page


def test_requests_are_counted_by_method_endpoint_and_status(
    university: str, ask: Ask, scrape: Scrape
) -> None:
    """Errors count too; what a stranger typed never becomes a label value."""
    course = {"code": "CS101", "title": "Programs"}

    assert 201 == ask(f"{university}/api/courses", course)[0]
    assert 409 == ask(f"{university}/api/courses", course)[0]
    assert 400 == ask(f"{university}/api/courses", {"code": "CS102"})[0]
    assert 400 == ask(f"{university}/api/courses", ["CS102"])[0]
    assert 404 == ask(f"{university}/secret")[0]
    for _ in range(5):
        assert 200 == ask(f"{university}/api/courses?search=prog")[0]
        assert 200 == ask(f"{university}/")[0]

    metrics = scrape(f"{university}/metrics")
    count = {
        (method, endpoint, status): metrics[
            f"app_request_count_total"
            f'{{endpoint="{endpoint}",http_status="{status}",method="{method}"}}'
        ]
        for method, endpoint, status in [
            ("POST", "/api/courses", 201),
            ("POST", "/api/courses", 409),
            ("POST", "/api/courses", 400),
            ("GET", "/api/courses", 200),
            ("GET", "/", 200),
            ("other", "unmatched", 404),
        ]
    }

    assert [1, 1, 2, 5, 5, 1] == list(count.values())
    assert 15 == sum(v for k, v in metrics.items() if k.startswith("app_request_count_total"))
    assert not [series for series in metrics if "secret" in series]


def test_latency_is_observed_once_per_request(university: str, ask: Ask, scrape: Scrape) -> None:
    """Each endpoint has a histogram over all its statuses, summed over both workers."""
    for _ in range(10):
        ask(f"{university}/")

    metrics = scrape(f"{university}/metrics")

    assert 10 == metrics['app_request_latency_seconds_count{endpoint="/",method="GET"}']
    assert 10 == metrics['app_request_latency_seconds_bucket{endpoint="/",le="+Inf",method="GET"}']
    assert 0 < metrics['app_request_latency_seconds_sum{endpoint="/",method="GET"}']
