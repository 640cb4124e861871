"""Numbers as Prometheus writes them, and versions as content types do.

Expositions are written by the native core, with the same rules; these functions are for code that
writes a single number or reads a header itself.
"""

from __future__ import annotations

from typing import SupportsFloat

from . import _tallymark

INF = float("inf")
"""Infinity: the bound of every histogram's last bucket."""

MINUS_INF = float("-inf")
"""Minus infinity."""

NaN = float("nan")
"""Not a number."""


def floatToGoString(d: SupportsFloat | str) -> str:
    """
    Write a number as Prometheus does.

    Python's own notation, except that a large positive one gets its exponent sooner: bucket bounds
    are compared as text.

    Args:
        d: Anything that ``float()`` takes.

    Example:
        >>> floatToGoString(1), floatToGoString(1e6), floatToGoString(INF)
        ('1.0', '1e+06', '+Inf')
    """
    return _tallymark.float_to_go_string(float(d))


def parse_version(version_str: str) -> tuple[int | str, ...]:
    """
    Split a version at its dots; parts that are no numbers stay text.

    Example:
        >>> parse_version("1.0.0") >= (1, 0, 0)
        True
        >>> parse_version("2.0.rc1")
        (2, 0, 'rc1')
    """

    def part(text: str) -> int | str:
        try:
            return int(text)
        except ValueError:
            return text

    return tuple(part(text) for text in version_str.split("."))
