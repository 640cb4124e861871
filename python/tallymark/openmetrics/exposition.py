"""OpenMetrics, and the ways to write names that older readers do not know.

Expositions are rendered by the native core; the escaping functions say for one name what it does
with all. Which format a scraper gets is decided in ``tallymark.exposition``.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Literal

from .. import _tallymark
from ..registry import Collector, _scrape_of
from ..utils import parse_version
from ..validation import _is_valid_legacy_labelname, _is_valid_legacy_metric_name

if TYPE_CHECKING:
    from collections.abc import Container

CONTENT_TYPE_LATEST = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The content type of OpenMetrics 1.0."""

CONTENT_TYPE_LATEST_2_0 = "application/openmetrics-text; version=2.0.0; charset=utf-8"
"""The content type of OpenMetrics 2.0, of which native histograms are written."""

ESCAPING_HEADER_TAG = "escaping"
"""The parameter of a content type that says how names are escaped."""

ALLOWUTF8 = "allow-utf-8"
"""Names as they are, in quotes where older readers would not understand them."""

UNDERSCORES = "underscores"
"""An underscore for every character that is not allowed."""

DOTS = "dots"
"""``_dot_`` for a dot and ``__`` for an underscore or any other character that is not allowed."""

VALUES = "values"
"""``U__`` before the name, and the code of every character that is not allowed."""

_LABEL_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_")
_METRIC_CHARACTERS = _LABEL_CHARACTERS | {":"}


def generate_latest(
    registry: Collector, escaping: str = UNDERSCORES, version: str = "1.0.0"
) -> bytes:
    """
    Write what a registry shows as OpenMetrics.

    Args:
        registry: A registry, a restricted one, or anything with ``collect()``.

        escaping: `ALLOWUTF8`, `UNDERSCORES`, `DOTS` or `VALUES`.

        version: The version that was asked for. From ``2.0.0`` on samples that are native
            histograms are written too; before, they are left out.

    Raises:
        Exception: What a collector or the value of a sample raises; the family is added to its
            ``args``.

    Example:
        >>> from tallymark import CollectorRegistry, Gauge
        >>> registry = CollectorRegistry()
        >>> Gauge("queue", "Jobs.", unit="jobs", registry=registry).set(3)
        >>> print(generate_latest(registry).decode(), end="")
        # HELP queue_jobs Jobs.
        # TYPE queue_jobs gauge
        # UNIT queue_jobs jobs
        queue_jobs 3.0
        # EOF
    """
    kind: Literal["openmetrics", "openmetrics-2.0"] = (
        "openmetrics" if parse_version(version) < (2, 0, 0) else "openmetrics-2.0"
    )
    scrape = _scrape_of(registry)
    if scrape is None:
        return _tallymark.render_collectors(registry.collect(), escaping, kind)
    return scrape.core.render_openmetrics(escaping, scrape.names, kind)


def escape_metric_name(s: str, escaping: str = UNDERSCORES) -> str:
    """
    Write a metric name as an exposition does.

    Args:
        s: The name.

        escaping: `ALLOWUTF8`, `UNDERSCORES`, `DOTS` or `VALUES`.

    Example:
        >>> [escape_metric_name("http.hits", way) for way in (UNDERSCORES, DOTS, VALUES, ALLOWUTF8)]
        ['http_hits', 'http_dot_hits', 'U__http_2e_hits', '"http.hits"']
    """
    return _escape(s, escaping, _is_valid_legacy_metric_name(s), _METRIC_CHARACTERS)


def escape_label_name(s: str, escaping: str = UNDERSCORES) -> str:
    """
    Write a label name as an exposition does.

    Args:
        s: The name.

        escaping: `ALLOWUTF8`, `UNDERSCORES`, `DOTS` or `VALUES`.

    Example:
        >>> escape_label_name("http:status", UNDERSCORES)
        'http_status'
    """
    return _escape(s, escaping, _is_valid_legacy_labelname(s), _LABEL_CHARACTERS)


def _escape(name: str, escaping: str, legacy: bool, allowed: Container[str]) -> str:
    if escaping == ALLOWUTF8 and name and not legacy:
        escaped = name.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
        return f'"{escaped}"'
    if escaping == DOTS:
        return "".join(
            "_dot_"
            if character == "."
            else character
            if character != "_" and _fits(character, position, allowed)
            else "__"
            for position, character in enumerate(name)
        )
    if legacy or not name:
        return name
    if escaping == UNDERSCORES:
        return "".join(
            character if _fits(character, position, allowed) else "_"
            for position, character in enumerate(name)
        )
    if escaping == VALUES:
        return "U__" + "".join(
            _value(character, _fits(character, position, allowed))
            for position, character in enumerate(name)
        )
    return name


def _fits(character: str, position: int, allowed: Container[str]) -> bool:
    return character in allowed and (position > 0 or not character.isdigit())


def _value(character: str, fits: bool) -> str:
    if character == "_":
        return "__"
    if fits:
        return character
    if 0xD800 <= ord(character) <= 0xDFFF:
        # Half of a surrogate pair has no place in UTF-8.
        return "_FFFD_"
    return f"_{ord(character):x}_"
