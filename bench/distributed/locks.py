"""Eight processes that update one counter, with both keeping it in an SQLite database."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from sides import Side
from table import Table, times

_PROCESSES = 8
_ROUND = 5.0
"""Seconds of a round: PDC's connections wait so long for a lock before they give up."""


def run(rounds: int) -> None:
    """Print updates per second, and what went wrong."""
    with tempfile.TemporaryDirectory(prefix="tallymark-bench-") as directory:
        _compete(rounds, Path(directory))


def _compete(rounds: int, directory: Path) -> None:
    places = {
        "prometheus_distributed_client": str(directory / "theirs.db"),
        "tallymark": f"sqlite:{directory}/ours.db?spool={directory}/sqlite.tally",
    }
    rates: dict[str, list[float]] = {package: [] for package in places}
    locked = dict.fromkeys(places, 0)
    longest = dict.fromkeys(places, 0.0)
    done = dict.fromkeys(places, 0.0)
    total = dict.fromkeys(places, 0.0)
    with ExitStack() as stack:
        sides: dict[str, list[Side]] = {package: [] for package in places}
        for package, place in places.items():
            for _ in range(_PROCESSES):
                side = stack.enter_context(Side(package, place))
                sides[package].append(side)
                # One after the other: PDC's setup may find the database locked, and raise.
                side.ask("flush")
        for _ in range(rounds):
            for package, processes in sides.items():
                for side in processes:
                    side.tell("compete", seconds=_ROUND)
                answers = [side.hear() for side in processes]
                updates = sum(answer["done"] for answer in answers)
                rates[package].append(updates / _ROUND)
                done[package] += updates
                locked[package] += sum(answer["locked"] for answer in answers)
                longest[package] = max(longest[package], *(it["longest"] for it in answers))
        for package, processes in sides.items():
            for side in processes:
                side.ask("flush")
            total[package] = processes[0].ask("total")

    theirs, ours = places
    table = Table(
        f"SQLite: {_PROCESSES} processes, `counter.inc()`",
        *("", "PDC", "tallymark", "more", "goal"),
    )
    slow, quick = median(rates[theirs]), median(rates[ours])
    table.row("updates per second", f"{slow:,.0f}", f"{quick:,.0f}", times(quick, slow), "200x")
    for title, figures in (
        ("updates that returned", done),
        ("updates that are in the database", total),
        ('exceptions "database is locked"', locked),
    ):
        table.row(title, f"{figures[theirs]:,.0f}", f"{figures[ours]:,.0f}", "", "")
    table.row(
        "longest ten updates, seconds", f"{longest[theirs]:.1f}", f"{longest[ours]:.3f}", "", ""
    )
    table.print(
        f"{rounds} rounds of {_ROUND:.0f} seconds, in turns. The databases and the spool are in"
        f" {tempfile.gettempdir()}."
    )
