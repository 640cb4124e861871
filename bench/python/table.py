"""Tables: Markdown that can be read as it is."""

from __future__ import annotations

from collections.abc import Sequence


class Table:
    """
    Rows under a title; the first column is text, the others are numbers.

    Args:
        title: What it is about.

        columns: The columns' titles.
    """

    def __init__(self, title: str, *columns: str) -> None:
        self._title = title
        self._rows = [columns]

    def row(self, *cells: str) -> None:
        """Add a row."""
        self._rows.append(cells)

    def print(self, note: str = "") -> None:
        """Print it, with a note behind it."""
        widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        print(f"\n### {self._title}\n")
        print(_line(self._rows[0], widths))
        print(f"|{'-' * (widths[0] + 2)}|" + "".join(f"{'-' * (w + 1)}:|" for w in widths[1:]))
        for row in self._rows[1:]:
            print(_line(row, widths))
        if note:
            print(f"\n{note}")
        print(end="", flush=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join([first, *rest])} |"


def times(theirs: float, ours: float) -> str:
    """Say how many times as much they take."""
    ratio = theirs / ours
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.1f}x"


def milliseconds(seconds: float) -> str:
    """Say a time in milliseconds, with as many digits as mean something."""
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 1 else f"{value:.1f}"
