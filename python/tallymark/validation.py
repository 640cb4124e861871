"""Which names a metric and its labels may have.

Any text is a name, unless legacy validation is on: then only the names that Prometheus knew before
version 3. The switch is one for the process, set by ``PROMETHEUS_LEGACY_NAME_VALIDATION`` at import
and by two functions later; the native classes ask it whenever a metric is made. How a name is
written in an exposition is not decided here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

METRIC_NAME_RE = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
"""A metric name that every version of Prometheus reads."""

METRIC_LABEL_NAME_RE = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]*\Z")
"""A label name that every version of Prometheus reads."""

RESERVED_METRIC_LABEL_NAME_RE = re.compile(r"^__")
"""The beginning of the label names that Prometheus keeps for itself."""

# The length of the labels of one exemplar, names and values together, as OpenMetrics 1.0 limits it.
_EXEMPLAR_CHARACTERS = 128


class _HasReservedNames(Protocol):
    @property
    def _reserved_labelnames(self) -> Collection[str]: ...


def _legacy_validation_of_environment() -> bool:
    return os.environ.get("PROMETHEUS_LEGACY_NAME_VALIDATION", "").lower() in ("true", "1", "t")


_legacy_validation = _legacy_validation_of_environment()


def get_legacy_validation() -> bool:
    """
    Tell whether only legacy names are accepted.

    Example:
        >>> get_legacy_validation()
        False
    """
    return _legacy_validation


def enable_legacy_validation() -> None:
    """
    Accept only names of ASCII letters, digits and underscores (and colons in metric names).

    Metrics that exist already keep their names.

    Example:
        >>> from tallymark import Counter
        >>> enable_legacy_validation()
        >>> Counter("http.requests", "Requests.", registry=None)
        Traceback (most recent call last):
        ValueError: invalid metric name http.requests
        >>> disable_legacy_validation()
    """
    global _legacy_validation
    _legacy_validation = True


def disable_legacy_validation() -> None:
    """
    Accept any text as a name again, which is the default.

    Example:
        >>> from tallymark import Counter
        >>> disable_legacy_validation()
        >>> str(Counter("http.requests", "Requests.", registry=None))
        'counter:http.requests'
    """
    global _legacy_validation
    _legacy_validation = False


def _validate_metric_name(name: str) -> None:
    """Raise ValueError unless a metric can have this name."""
    if not name:
        raise ValueError("metric name cannot be empty")
    if _legacy_validation and not METRIC_NAME_RE.match(name):
        raise ValueError("invalid metric name " + name)
    # A lone surrogate is no text and cannot be sent: UnicodeEncodeError, which is a ValueError.
    name.encode("utf-8")


def _is_valid_legacy_metric_name(name: str) -> bool:
    """Tell whether a metric name needs neither quotes nor escaping."""
    return METRIC_NAME_RE.match(name) is not None


def _validate_labelname(name: str) -> None:
    """Raise ValueError unless a label can have this name."""
    if _legacy_validation and not METRIC_LABEL_NAME_RE.match(name):
        raise ValueError("Invalid label metric name: " + name)
    name.encode("utf-8")
    if RESERVED_METRIC_LABEL_NAME_RE.match(name):
        raise ValueError("Reserved label metric name: " + name)


def _is_valid_legacy_labelname(name: str) -> bool:
    """Tell whether a label name needs neither quotes nor escaping."""
    legacy = METRIC_LABEL_NAME_RE.match(name) is not None
    return legacy and not RESERVED_METRIC_LABEL_NAME_RE.match(name)


def _validate_labelnames(metric: _HasReservedNames, names: Iterable[str]) -> tuple[str, ...]:
    """
    Raise ValueError unless a metric of this type can have these labels; else give them as a tuple.
    """
    names = tuple(names)
    for name in names:
        _validate_labelname(name)
        if name in metric._reserved_labelnames:
            raise ValueError("Reserved label metric name: " + name)
    return names


def _validate_metric_label_name_token(token: str) -> None:
    """
    Raise ValueError unless a token of an exposition, with its quotes if it has any, is a label
    name.
    """
    quoted = len(token) > 1 and token[0] == '"' and token[-1] == '"'
    if quoted and not _legacy_validation:
        token.encode("utf-8")
    elif not METRIC_LABEL_NAME_RE.match(token):
        raise ValueError("invalid label name token " + token)


def _validate_exemplar(labels: Mapping[str, str]) -> None:
    """Raise ValueError unless an exemplar can have these labels."""
    length = 0
    for name, value in labels.items():
        _validate_labelname(name)
        length += len(name) + len(value)
    if length > _EXEMPLAR_CHARACTERS:
        raise ValueError(
            f"Exemplar labels have {length} UTF-8 characters, "
            f"exceeding the limit of {_EXEMPLAR_CHARACTERS}"
        )
