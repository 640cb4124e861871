"""Many series: what it takes to make, to keep and to scrape them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from statistics import median

from clients import CLIENTS, FILE, MEMORY, OFFICIAL, OFFICIAL_SHARED, Client, Worker
from table import Table, milliseconds, times

_KINDS = (("counters", 100_000, "40x"), ("histograms", 10_000, ""))
_LONG_ENOUGH = 0.2
"""Seconds of scraping in a round: what takes longer is done once."""


def run(rounds: int) -> None:
    """Print the time and memory of making series, and the time of a scrape."""
    creation = _table("Python: making a series, microseconds")
    memory = _table("Python: memory of a series with its child, bytes")
    scrapes = _table("Python: `generate_latest`, milliseconds", "goal")
    for kind, count, goal in _KINDS:
        title = f"{count:,} {kind}"
        seconds: dict[Client, list[float]] = {client: [] for client in CLIENTS}
        sizes: dict[Client, list[float]] = {client: [] for client in CLIENTS}
        scraped: dict[Client, list[float]] = {client: [] for client in CLIENTS}
        for _ in range(rounds):
            with ExitStack() as stack:
                workers = []
                for client in CLIENTS:
                    worker = stack.enter_context(Worker(client))
                    made = worker.ask("create", kind=kind, count=count)
                    seconds[client].append(made["seconds"])
                    sizes[client].append(made["bytes"])
                    workers.append(worker)
                for worker in workers:
                    answer = worker.ask("scrape", at_least=_LONG_ENOUGH)
                    scraped[worker.client].append(answer["seconds"])
        _row(creation, title, seconds, lambda value: f"{value * 1e6:.1f}")
        _row(memory, title, sizes, lambda value: f"{value:,.0f}")
        _row(scrapes, title, scraped, milliseconds, goal)
    creation.print()
    memory.print(
        "Resident memory that came with the series, the label texts that are kept, the Python"
        " objects that stand for children, and the mapped files included."
    )
    scrapes.print("A counter has three labels, a histogram 15 buckets beside them.")


def _table(title: str, *more: str) -> Table:
    both = ("official", "tallymark", "better", "official multiprocess", "tallymark file", "better")
    return Table(title, "series", *both, *more)


def _row(
    table: Table,
    title: str,
    taken: Mapping[Client, Sequence[float]],
    show: Callable[[float], str],
    *more: str,
) -> None:
    cells = []
    for theirs, ours in ((OFFICIAL, MEMORY), (OFFICIAL_SHARED, FILE)):
        official, tallymark = median(taken[theirs]), median(taken[ours])
        cells += [show(official), show(tallymark), times(official, tallymark)]
    table.row(title, *cells, *more)
