"""Processes that come and go: what a scrape costs when many have ended."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from clients import FILE, OFFICIAL_SHARED, Worker
from table import Table, milliseconds, times

_SERIES = 200
_ENDED = ((20, ""), (500, "200x"), (2_000, ""))
_LONG_ENOUGH = 0.1
"""Seconds of scraping in a round: what takes longer is done once."""


def run(rounds: int) -> None:
    """Print the time of a scrape after so many processes have ended, and what is left of them."""
    table = Table(
        f"Python: a scrape after processes have ended, {_SERIES} series, milliseconds",
        *("ended processes", "official multiprocess", "tallymark file", "faster", "goal"),
        *("tallymark file, first scrape", "official files", "tallymark file, kB"),
    )
    rows = []
    with ExitStack() as stack:
        for ended, goal in _ENDED:
            pair = [stack.enter_context(Worker(client)) for client in (OFFICIAL_SHARED, FILE)]
            for worker in pair:
                worker.ask("churn", processes=ended, series=_SERIES)
            first = [worker.ask("scrape", at_least=0)["seconds"] for worker in pair]
            rows.append((ended, goal, pair, first, ([], [])))
        for _ in range(rounds):
            for _, _, pair, _, taken in rows:
                for worker, seconds in zip(pair, taken, strict=True):
                    seconds.append(worker.ask("scrape", at_least=_LONG_ENOUGH)["seconds"])
        for ended, goal, pair, first, taken in rows:
            official, file = (median(seconds) for seconds in taken)
            (files, size), (_, own_size) = (worker.disk() for worker in pair)
            table.row(
                f"{ended:,}",
                *(milliseconds(official), milliseconds(file), times(official, file), goal),
                milliseconds(first[1]),
                *(f"{files:,}: {size / 1e6:.0f} MB", f"{own_size / 1e3:,.0f}"),
            )
        constant = median(rows[-1][4][1]) / median(rows[0][4][1])
    table.print(
        "Every second process was killed. The first scrape adds up what the killed ones left. A"
        f" scrape of the file takes {constant:.2f} times as long after {_ENDED[-1][0]:,} processes"
        f" as after {_ENDED[0][0]}; constant is 1."
    )
