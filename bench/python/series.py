"""Many series: what it takes to make, to keep and to scrape them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from clients import CLIENTS, FILE, MEMORY, OFFICIAL, OFFICIAL_SHARED, Client, Worker
from table import Table, milliseconds, times

_KINDS = (("counters", 100_000, "40x"), ("histograms", 10_000, ""))
_SCRAPES = (
    (OFFICIAL, "registry"),
    (MEMORY, "registry"),
    (FILE, "registry"),
    (OFFICIAL_SHARED, "collector"),
    (FILE, "collector"),
)
_LONG_ENOUGH = 0.2
"""Seconds of scraping in a round: what takes longer is done once."""


def run(rounds: int) -> None:
    """Print the time and memory of making series, and the time of a scrape."""
    creation = _table("Python: making a series, microseconds")
    size = _table("Python: memory of a series with its child, bytes")
    own = Table(
        "Python: `generate_latest` of the metrics' registry, milliseconds",
        *("series", "official", "tallymark", "faster", "goal", "tallymark file", "faster", "goal"),
    )
    whole = Table(
        "Python: `generate_latest` of a `MultiProcessCollector`, milliseconds",
        *("series", "official multiprocess", "tallymark file", "faster", "goal"),
    )
    for kind, count, goal in _KINDS:
        title = f"{count:,} {kind}"
        seconds: dict[Client, list[float]] = {client: [] for client in CLIENTS}
        sizes: dict[Client, list[float]] = {client: [] for client in CLIENTS}
        scraped: dict[tuple[Client, str], list[float]] = {scrape: [] for scrape in _SCRAPES}
        for _ in range(rounds):
            with ExitStack() as stack:
                workers = {}
                for client in CLIENTS:
                    worker = stack.enter_context(Worker(client))
                    made = worker.ask("create", kind=kind, count=count)
                    seconds[client].append(made["seconds"])
                    sizes[client].append(made["bytes"])
                    workers[client] = worker
                for client, way in _SCRAPES:
                    answer = workers[client].ask("scrape", way=way, at_least=_LONG_ENOUGH)
                    scraped[client, way].append(answer)
        _row(creation, title, seconds, lambda value: f"{value * 1e6:.1f}")
        _row(size, title, sizes, lambda value: f"{value:,.0f}")
        official, memory, file, official_whole, file_whole = map(median, scraped.values())
        own.row(
            title,
            *(milliseconds(official), milliseconds(memory), times(official, memory), goal),
            *(milliseconds(file), times(official, file), goal),
        )
        whole.row(
            title,
            *(milliseconds(official_whole), milliseconds(file_whole)),
            *(times(official_whole, file_whole), goal),
        )
    creation.print()
    size.print(
        "Resident memory that came with the series, the label texts that are kept, the Python"
        " objects that stand for children, and the mapped files included."
    )
    own.print("A counter has three labels, a histogram 15 buckets beside them.")
    whole.print()


def _table(title: str) -> Table:
    both = ("official", "tallymark", "better", "official multiprocess", "tallymark file", "better")
    return Table(title, "series", *both)


def _row(
    table: Table,
    title: str,
    taken: Mapping[Client, Sequence[float]],
    show: Callable[[float], str],
) -> None:
    cells = []
    for theirs, ours in ((OFFICIAL, MEMORY), (OFFICIAL_SHARED, FILE)):
        official, tallymark = median(taken[theirs]), median(taken[ours])
        cells += [show(official), show(tallymark), times(official, tallymark)]
    table.row(title, *cells)
