"""A scrape of many series, with both keeping them in one Redis server."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from sides import of_redis
from table import Table, milliseconds, times

_SERIES = 10_000


def run(rounds: int, port: int, directory: Path) -> None:
    """Print the time of a scrape by the process that counts."""
    theirs, ours = of_redis(port, directory)
    taken: tuple[list[float], list[float]] = ([], [])
    with theirs, ours:
        theirs.ask("create", count=_SERIES)
        ours.ask("create", count=_SERIES)
        for _ in range(rounds):
            taken[0].append(theirs.ask("scrape"))
            taken[1].append(ours.ask("scrape"))
    slow, quick = map(median, taken)
    table = Table(
        "Redis: `generate_latest`, milliseconds", *("series", "PDC", "tallymark", "faster", "goal")
    )
    table.row(
        f"{_SERIES:,} counters",
        *(milliseconds(slow), milliseconds(quick), times(slow, quick), "10x"),
    )
    table.print("Each reads everything from the server; Tallymark sends what is new before it.")
