"""The Prometheus text format, read: what ``exposition`` writes becomes families again.

Lines are read by the native core, as laxly as the official client reads them: that a text is read
does not mean that it is right. For OpenMetrics see ``openmetrics.parser``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from . import _tallymark
from .metrics_core import Metric
from .samples import Sample


def text_string_to_metric_families(text: str) -> Iterator[Metric]:
    """
    Read a whole text.

    A family is given when the next one begins. A sample that belongs to no family is one by itself;
    families of one name are not merged.

    Args:
        text: The text.

    Raises:
        ValueError: A line is neither a sample nor a comment, or there is no such type. The families
            before it have been given.

    Example:
        >>> text = "# TYPE hits counter\\nhits{path='/'} 1\\n".replace("'", '"')
        >>> for family in text_string_to_metric_families(text):
        ...     print(family.name, family.type, *family.samples[0][:3])
        hits counter hits_total {'path': '/'} 1
    """
    yield from _tallymark.Families(text, "text", _replacement())


def text_fd_to_metric_families(fd: Iterable[str]) -> Iterator[Metric]:
    """
    Read lines, as a file gives them.

    No line is asked for before it is needed.

    Args:
        fd: The lines, with or without their line feeds.

    Raises:
        ValueError: As `text_string_to_metric_families`.

    Example:
        >>> [family.name for family in text_fd_to_metric_families(["up 1", "down 0"])]
        ['up', 'down']
    """
    yield from _tallymark.Families(fd, "text", _replacement())


def parse_labels(labels_string: str, openmetrics: bool = False) -> dict[str, str]:
    """
    Read what stands between the braces of a sample.

    Args:
        labels_string: The labels; a quoted name without a value is the metric's, under
            ``__name__``.

        openmetrics: Whether to refuse, as OpenMetrics does, empty terms and commas at either end.

    Raises:
        ValueError: These are no labels.

    Example:
        >>> parse_labels('"a.b", path="/"')
        {'__name__': 'a.b', 'path': '/'}
    """
    return _tallymark.parse_labels(labels_string, openmetrics)


def _replacement() -> Callable[[str], Sample] | None:
    return None if _parse_sample is _tallymark.parse_text_sample else _parse_sample


def _replace_help_escaping(s: str) -> str:
    """Give a help text without its escapes, for parsers that are built on this module."""
    return "\\".join(part.replace("\\n", "\n") for part in s.split("\\\\"))


# Looked up at every call: some replace it.
_parse_sample: Callable[[str], Sample] = _tallymark.parse_text_sample
