"""What it costs to read an exposition: the parsers of both formats on what a registry writes."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from clients import MEMORY, OFFICIAL, Client, Worker
from table import Table, milliseconds, times

_SHAPES = (
    ("counters", 10_000, "one family, three labels"),
    ("histograms", 500, "one family, 15 buckets"),
    ("families", 3_000, "gauges of two series each"),
)
_FORMATS = (("text", "20x"), ("openmetrics", "20x"))
_LONG_ENOUGH = 0.2
"""Seconds of reading in a round: what takes longer is done once."""


def run(rounds: int) -> None:
    """Print the time of reading about a megabyte of lines into `Metric` objects."""
    table = Table(
        "Python: reading an exposition, milliseconds",
        *("exposition", "MB", "lines", "official", "tallymark", "faster", "goal"),
    )
    for kind, count, about in _SHAPES:
        seconds: dict[tuple[Client, str], list[float]] = {}
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(client)) for client in (OFFICIAL, MEMORY)]
            for worker in workers:
                worker.ask("create", kind=kind, count=count)
            for _ in range(rounds):
                for style, _ in _FORMATS:
                    for worker in workers:
                        answer = worker.ask("parse", style=style, at_least=_LONG_ENOUGH)
                        seconds.setdefault((worker.client, style), []).append(answer["seconds"])
        for style, goal in _FORMATS:
            official, ours = (median(seconds[client, style]) for client in (OFFICIAL, MEMORY))
            table.row(
                f"{count:,} {kind}, {style}: {about}",
                *(f"{answer['bytes'] / 1e6:.2f}", f"{answer['lines']:,}"),
                *(milliseconds(official), milliseconds(ours), times(official, ours), goal),
            )
    table.print(
        "Each line becomes a `Sample` with a dict of labels in either package; making these, and"
        " Python's search for garbage among them, is most of what is left."
    )
