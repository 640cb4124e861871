"""What a call costs: every statement with every client, round by round."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from clients import CLIENTS, Client, Worker
from table import Table, times

_LOOP = "pass"
_STATEMENTS = (
    ("counter.inc()", "5x"),
    ("amounts.inc(2.5)", ""),
    ("child.inc()", ""),
    ("labelled.labels('GET', '/x').inc()", "5x"),
    ("labelled.labels(method='GET', path='/x').inc()", "5x"),
    ("labelled.labels('GET', f'/{next(numbers)}').inc()", ""),
    ("gauge.set(1)", ""),
    ("histogram.observe(0.3)", "5x"),
    ("summary.observe(0.3)", ""),
    ("with histogram.time(): pass", ""),
)
_ROUND = 0.01
"""Seconds of a statement in a round: long against a clock's tick, short against the machine's
moods."""


def run(rounds: int) -> None:
    """Print nanoseconds per call."""
    taken: dict[tuple[Client, str], list[float]] = {}
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(client)) for client in CLIENTS]
        repeats = {}
        for worker in workers:
            worker.ask("calls")
            for statement in (_LOOP, *(statement for statement, _ in _STATEMENTS)):
                worker.ask("time", statement=statement, times=2_000)
                seconds = worker.ask("time", statement=statement, times=2_000)
                repeats[worker.client, statement] = max(2_000, int(2_000 * _ROUND / seconds))
                taken[worker.client, statement] = []
        for _ in range(rounds):
            for statement in (_LOOP, *(statement for statement, _ in _STATEMENTS)):
                for worker in workers:
                    count = repeats[worker.client, statement]
                    seconds = worker.ask("time", statement=statement, times=count)
                    taken[worker.client, statement].append(seconds / count * 1e9)

    table = Table(
        "Python: nanoseconds per call",
        *("statement", "official", "tallymark", "faster"),
        *("official multiprocess", "tallymark file", "faster", "goal"),
    )
    for statement, goal in _STATEMENTS:
        official, memory, official_shared, file = (
            median(taken[client, statement]) - median(taken[client, _LOOP]) for client in CLIENTS
        )
        table.row(
            f"`{statement}`",
            *(f"{official:.0f}", f"{memory:.0f}", times(official, memory)),
            *(f"{official_shared:.0f}", f"{file:.0f}", times(official_shared, file), goal),
        )
    table.print(
        "`labels` with constant texts finds them by identity; with `f'/{…}'` 1,000 label sets take"
        " turns and every text is new, as from a request; making it is part of the time."
    )
