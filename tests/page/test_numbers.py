"""How numbers are written and quantiles estimated, asked of the page's own modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from browser import Page
from serving import Served

NOW = 1_700_000_000


@pytest.fixture
def call(page: Page, server: Served) -> Callable[..., Any]:
    """Calls a function of a module of the page."""
    page.open(server.url)

    def call(module: str, function: str, *arguments: object) -> Any:
        sent = json.dumps(arguments).replace("Infinity", "1/0")
        return page.evaluate(f"import('./page/{module}.js').then((it) => it.{function}(...{sent}))")

    return call


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (12345, "", "12,345"),
        (1234567, "", "1.23 M"),
        (999_999_999, "", "1.00 G"),
        (0.12345, "", "0.123"),
        (-3.5, "", "-3.50"),
        (1e30, "", "1.00e30"),
        (1023, "bytes", "1,023 B"),
        (1024, "bytes", "1 KiB"),
        (1048575, "bytes", "1.00 MiB"),
        (5e-8, "seconds", "50 ns"),
        (0.0025, "seconds", "2.50 ms"),
        (59.9, "seconds", "59.9 s"),
        (5400, "seconds", "1.50 h"),
        (0.425, "ratio", "42.5 %"),
        (NOW - 59, "time", "59 s ago"),
        (NOW - 86400 * 3 - 7200, "time", "3 d 2 h ago"),
        (NOW + 120, "time", "in 2 min"),
        (0, "time", "never"),
        (21.5, "celsius", "21.5 celsius"),
    ],
)
def test_a_number_is_short(call: Callable[..., Any], value: float, unit: str, text: str) -> None:
    """Three digits, and a unit that fits."""
    assert call("format", "shown", value, unit, NOW)["text"] == text


@pytest.mark.parametrize(
    ("rate", "unit", "text"),
    [
        (0, "", "0/s"),
        (12.5, "", "12.5/s"),
        (0.05, "", "3/min"),
        (0.001, "", "3.60/h"),
        (2048, "bytes", "2 KiB/s"),
    ],
)
def test_a_rate_is_of_a_time_that_suits_it(
    call: Callable[..., Any], rate: float, unit: str, text: str
) -> None:
    """What happens twice an hour is not 0.000556 a second."""
    assert call("format", "rate", rate, unit)["text"] == text


BUCKETS = [[1, 50], [2, 90], [4, 100], [float("inf"), 100]]


@pytest.mark.parametrize(
    ("rank", "buckets", "value", "over"),
    [
        (0.5, BUCKETS, 1, False),
        (0.25, BUCKETS, 0.5, False),
        (0.95, BUCKETS, 3, False),
        # Most are above all bounds: nobody knows how far.
        (0.9, [[1, 10], [float("inf"), 100]], 1, True),
        # Below zero a bucket has no beginning.
        (0.1, [[-1, 50], [1, 100], [float("inf"), 100]], -1, False),
    ],
)
def test_a_quantile_is_what_prometheus_estimates(
    call: Callable[..., Any], rank: float, buckets: list[list[float]], value: float, over: bool
) -> None:
    """As `histogram_quantile` does."""
    assert call("history", "quantile", rank, buckets) == {"value": value, "over": over}
