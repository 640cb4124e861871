"""Processes that come and go: what a scrape costs when many have ended."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from clients import FILE, OFFICIAL_SHARED, Worker
from table import Table, milliseconds, times

_SERIES = 200
_ENDED = ((20, ""), (500, "200x"), (2_000, ""))
_WAYS = ((OFFICIAL_SHARED, "collector"), (FILE, "collector"), (FILE, "registry"))
_LONG_ENOUGH = 0.05
"""Seconds of scraping in a round: what takes longer is done once."""


def run(rounds: int) -> None:
    """Print the time of a scrape after so many processes have ended, and what is left of them."""
    table = Table(
        f"Python: a scrape after processes have ended, {_SERIES} series, milliseconds",
        *("ended processes", "official multiprocess", "tallymark file", "faster", "goal"),
        *("tallymark file, own registry", "faster", "its first scrape"),
        *("official files", "tallymark file, kB"),
    )
    with ExitStack() as stack:
        pairs = []
        for ended, _ in _ENDED:
            pair = {client: stack.enter_context(Worker(client)) for client, _ in _WAYS[:2]}
            for worker in pair.values():
                worker.ask("churn", processes=ended, series=_SERIES)
            pairs.append(pair)
        first = [pair[FILE].ask("scrape", way="registry", at_least=0) for pair in pairs]
        taken: list[list[list[float]]] = [[[] for _ in _WAYS] for _ in _ENDED]
        for _ in range(rounds):
            for pair, seconds in zip(pairs, taken, strict=True):
                for (client, way), one in zip(_WAYS, seconds, strict=True):
                    one.append(pair[client].ask("scrape", way=way, at_least=_LONG_ENOUGH))
        medians = [[median(one) for one in seconds] for seconds in taken]
        for at, (ended, goal) in enumerate(_ENDED):
            official, file, own = medians[at]
            files, size = pairs[at][OFFICIAL_SHARED].disk()
            _, own_size = pairs[at][FILE].disk()
            table.row(
                f"{ended:,}",
                *(milliseconds(official), milliseconds(file), times(official, file), goal),
                *(milliseconds(own), times(official, own), milliseconds(first[at])),
                *(f"{files:,}: {size / 1e6:.0f} MB", f"{own_size / 1e3:,.0f}"),
            )
    table.print(
        "Every second process was killed, and the first scrape adds up what they left. Both are"
        " scraped by a `MultiProcessCollector`; Tallymark also by the metrics' own registry, which"
        f" shows the same. After {_ENDED[-1][0]:,} processes that takes"
        f" {medians[-1][2] / medians[0][2]:.2f} times as long as after {_ENDED[0][0]}; constant"
        " is 1."
    )
