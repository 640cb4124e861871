"""OpenMetrics, read: version 1.0, and native histograms as ``openmetrics.exposition`` writes them.

Lines are read by the native core, as strictly as the official client reads them. For the text
format see ``tallymark.parser``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import _tallymark
from ..metrics_core import Metric


def text_string_to_metric_families(text: str) -> Iterator[Metric]:
    """
    Read a whole text.

    A family is given when the next one begins, checked as a whole: its samples' names, labels and
    values, and the order in which they stand.

    Args:
        text: The text.

    Raises:
        ValueError: A line is wrong, or ``# EOF`` is missing at the end. The families before it have
            been given.

    Example:
        >>> text = "# TYPE hits counter\\n# UNIT hits \\nhits_total 1 1.5\\n# EOF\\n"
        >>> for family in text_string_to_metric_families(text):
        ...     print(family.name, family.type, *family.samples[0][:4])
        hits counter hits_total {} 1 1.500000000
    """
    yield from _tallymark.Families(text, "openmetrics")


def text_fd_to_metric_families(fd: Iterable[str]) -> Iterator[Metric]:
    """
    Read lines, as a file gives them.

    No line is asked for before it is needed.

    Args:
        fd: The lines, with or without their line feeds.

    Raises:
        ValueError: As `text_string_to_metric_families`.

    Example:
        >>> [family.name for family in text_fd_to_metric_families(["up 1", "# EOF"])]
        ['up']
    """
    yield from _tallymark.Families(fd, "openmetrics")


_parse_sample = _tallymark.parse_openmetrics_sample
