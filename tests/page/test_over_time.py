"""What several answers come to together, asked of the page's own modules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from browser import Page
from serving import Served

Look = dict[str, dict[str, Any]]


@pytest.fixture
def history(page: Page, server: Served) -> Callable[..., Any]:
    """Gives what a script makes of the page's module `it`, and of something it is given."""
    page.open(server.url)

    def history(script: str, given: object) -> Any:
        sent = json.dumps(given)
        return page.evaluate(
            f"import('./page/history.js').then((it) => {{ const given = {sent}; {script} }})"
        )

    return history


def rates(history: Callable[..., Any], told: list[float], measured: list[float]) -> Any:
    """Give the rates and times of a counter that grows by 50 from answer to answer."""
    script = """
        const seen = new it.History();
        given.told.forEach((time, at) => seen.take({time, families: [
            {name: "c", type: "counter", help: "", series: [{labels: {}, value: 50 * at}]},
        ]}, given.measured[at]));
        const [series] = seen.families.get("c").series.values();
        return [seen.steps(series).slice(1), series.rate, seen.times];
    """
    return history(script, {"told": told, "measured": measured})


def test_a_clock_that_is_put_back_changes_no_rate(history: Callable[..., Any]) -> None:
    """The server's; charts go on in order, and end now."""
    steps, rate, times = rates(history, [1000, 1005, 940, 945], [1, 6, 11, 16])

    assert (steps, rate) == ([10, 10, 10], 10)
    assert times == [930, 935, 940, 945]


def test_a_browser_that_slept_sees_no_burst(history: Callable[..., Any]) -> None:
    """Its own clock stands still meanwhile."""
    steps, rate, _ = rates(history, [1000, 1050], [1, 6])

    assert (steps, rate) == ([1], 1)


def lately(history: Callable[..., Any], *looks: Look) -> Any:
    """Give the last minute of the last of looks, each five seconds after the one before it."""
    script = """
        const looks = new it.Looks();
        let all;
        given.forEach((series, poll) => {
            const list = Object.entries(series).map(([key, json]) => ({key, json}));
            all = looks.take({poll, clock: 5 * poll}, list);
        });
        const {count, sum, buckets} = all.at(-1).lately;
        return [count, sum, buckets.map(([bound, count]) => [String(bound), count])];
    """
    return history(script, looks)


def observed(below: int, above: int) -> dict[str, Any]:
    """A histogram with one bound, and observations on both its sides."""
    count = below + above
    return {"count": count, "sum": 2 * count, "buckets": [[1, below], ["+Inf", count]]}


@pytest.mark.parametrize(
    ("looks", "below", "above"),
    [
        ([{"a": observed(4, 1)}, {"a": observed(6, 2)}], 2, 1),
        # Comes with what it counted long ago.
        ([{"a": observed(4, 1)}, {"a": observed(6, 1), "b": observed(100, 50)}], 2, 0),
        # Goes.
        ([{"a": observed(4, 1), "b": observed(9, 9)}, {"a": observed(5, 1)}], 1, 0),
        # Begins again, which the growth of another hides.
        ([{"a": observed(40, 1), "b": observed(1, 1)}, {"a": observed(2, 0), "b": observed(90, 1)}],
            91, 0),
        # Begins again, and has counted more than before already.
        ([{"a": observed(4, 1)}, {"a": observed(2, 8)}], 2, 8),
        # What was counted before it began again counts.
        ([{"a": observed(4, 1)}, {"a": observed(9, 1)}, {"a": observed(1, 0)}], 6, 0),
    ],
)  # fmt: skip
def test_the_last_minute_is_of_each_series_by_itself(
    history: Callable[..., Any], looks: list[Look], below: int, above: int
) -> None:
    """Series come, go, and begin again."""
    count = below + above

    assert lately(history, *looks) == [count, 2 * count, [["1", below], ["Infinity", count]]]


def test_a_bucket_that_is_new_had_what_was_below_it(history: Callable[..., Any]) -> None:
    """Native histograms tell those buckets only that hold anything."""
    before = {"count": 10, "sum": 5, "buckets": [[0.5, 0], [1, 10], ["+Inf", 10]]}
    after = {"count": 13, "sum": 14, "buckets": [[0.5, 0], [1, 10], [2, 10], [4, 13], ["+Inf", 13]]}

    expected = [["0.5", 0], ["1", 0], ["2", 0], ["4", 3], ["Infinity", 3]]
    assert lately(history, {"a": before}, {"a": after}) == [3, 9, expected]
