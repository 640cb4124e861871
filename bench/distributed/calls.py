"""What a call costs, with both counting in one Redis server."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import redis
from sides import Side, of_redis
from table import Table, times

_LOOP = "pass"
_STATEMENTS = (
    ("counter.inc()", "200x"),
    ("labelled.labels('GET', '/x').inc()", ""),
    ("histogram.observe(0.3)", "2,000x"),
)
_ROUND = 0.3
"""Seconds of a statement in a round: of ours several of the times at which it sends."""


def run(rounds: int, port: int, directory: Path) -> None:
    """Print microseconds per call, and what the server was asked for."""
    theirs, ours = of_redis(port, directory)
    taken: dict[tuple[Side, str], list[float]] = {}
    asked: dict[tuple[Side, str], list[float]] = {}
    with theirs, ours, redis.Redis(port=port) as server:
        repeats = {}
        for side in (theirs, ours):
            side.ask("calls")
            for statement in (_LOOP, *(statement for statement, _ in _STATEMENTS)):
                side.ask("time", statement=statement, times=100)
                seconds = side.ask("time", statement=statement, times=100)
                repeats[side, statement] = max(100, int(100 * _ROUND / seconds))
        for _ in range(rounds):
            for statement in (_LOOP, *(statement for statement, _ in _STATEMENTS)):
                for side in (theirs, ours):
                    count = repeats[side, statement]
                    side.ask("flush")
                    before = _commands(server)
                    seconds = side.ask("time", statement=statement, times=count)
                    side.ask("flush")
                    commands = _commands(server) - before
                    taken.setdefault((side, statement), []).append(seconds / count * 1e6)
                    asked.setdefault((side, statement), []).append(commands / count)

    table = Table(
        "Redis: microseconds per call, and commands of the server per 1,000 calls",
        *("statement", "PDC", "tallymark", "faster", "goal", "PDC, commands", "tallymark"),
    )
    for statement, goal in _STATEMENTS:
        slow, quick = (
            median(taken[side, statement]) - median(taken[side, _LOOP]) for side in (theirs, ours)
        )
        many, few = (1_000 * median(asked[side, statement]) for side in (theirs, ours))
        table.row(
            f"`{statement}`",
            *(f"{slow:,.0f}", f"{quick:.3f}", times(slow, quick), goal),
            *(f"{many:,.0f}", f"{few:.3f}"),
        )
    table.print(
        "One process, one server on the same machine. The time of an empty loop is subtracted; what"
        " Tallymark's thread takes to send meanwhile is not, and its commands include a flush."
    )


def _commands(server: redis.Redis) -> int:
    stats: Any = server.info("commandstats")
    return sum(it["calls"] for name, it in stats.items() if name != "cmdstat_info")
