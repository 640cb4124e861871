"""What counts for metrics that are made from now on, as the official client lets people choose it.

``ValueClass`` may be assigned; it is looked up whenever a metric or a child is made. As it is at
first, metrics count natively, in the store of the process. A class made by `MultiProcessValue` has
them count as a process that the program names itself, and any other class has its objects count:
see ``_internals``. Where native metrics keep their numbers is not known here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol

from . import _tallymark
from .samples import Exemplar


class Value(Protocol):
    """What a ``ValueClass`` makes: one number of a metric."""

    def inc(self, amount: float) -> None:
        """Add to the number."""

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set the number, at a time in seconds since 1970."""

    def get(self) -> float:
        """Give the number."""

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar."""

    def get_exemplar(self) -> Exemplar | None:
        """Give the last exemplar, if there is one."""


class MutexValue:
    """
    A number in this process's memory, safe from any thread.

    Args:
        typ: The type of the metric.

        metric_name: The metric.

        name: The sample, such as ``hits_total``.

        labelnames: The label names.

        labelvalues: Their values.

        help_text: The help text.

        **kwargs: ``multiprocess_mode`` of a gauge.

    Example:
        >>> value = MutexValue("counter", "hits", "hits_total", (), (), "Hits.")
        >>> value.inc(2)
        >>> value.get()
        2.0
    """

    _multiprocess: ClassVar[bool] = False

    def __init__(
        self,
        typ: str | None,
        metric_name: str,
        name: str,
        labelnames: Sequence[str],
        labelvalues: Sequence[str],
        help_text: str,
        **kwargs: object,
    ) -> None:
        self._value = 0.0
        self._exemplar: Exemplar | None = None
        # One that its holder may take again: a signal handler or a finalizer may count, too.
        self._lock = threading.RLock()

    def inc(self, amount: float) -> None:
        """Add to the number."""
        with self._lock:
            self._value += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set the number; the time makes no difference in one process."""
        with self._lock:
            self._value = value

    def get(self) -> float:
        """Give the number."""
        with self._lock:
            return self._value

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an exemplar, in place of the one before."""
        with self._lock:
            self._exemplar = exemplar

    def get_exemplar(self) -> Exemplar | None:
        """Give the last exemplar, if there is one."""
        with self._lock:
            return self._exemplar


def MultiProcessValue(process_identifier: Callable[[], object] = os.getpid) -> type[MutexValue]:
    """
    Make a class for ``ValueClass`` that has metrics count as the process that a function names.

    The function is called at every update, so it may answer otherwise after a fork. Gauges that
    show every process have its answer for ``pid`` if it is a number. Metrics count in the store of
    this process if that was asked for by name, else in the directory ``PROMETHEUS_MULTIPROC_DIR``;
    without either in memory. An object of the class made by hand counts in memory alone.

    Nobody needs this to tell processes apart: the store does that by itself.

    Args:
        process_identifier: Gives what the process is called; of processes that live at the same
            time no two may be called the same.

    Example:
        >>> from tallymark import values
        >>> before = values.ValueClass
        >>> values.ValueClass = MultiProcessValue(lambda: 7)
        >>> values.ValueClass = before
    """
    return type(
        "MmapedValue",
        (MutexValue,),
        {"_multiprocess": True, "_process_identifier": staticmethod(process_identifier)},
    )


def get_value_class() -> type[MutexValue]:
    """
    Give the class that suits the environment: for several processes where
    ``PROMETHEUS_MULTIPROC_DIR`` is set.

    Example:
        >>> get_value_class().__name__ in ("MutexValue", "MmapedValue")
        True
    """
    variables = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
    return MultiProcessValue() if any(name in os.environ for name in variables) else MutexValue


def close_all_multiprocess_files() -> None:
    """
    Let go of the stores of processes that `MultiProcessValue` named and whose metrics are gone.

    Example:
        >>> close_all_multiprocess_files()
    """
    _tallymark.forget_identities()


ValueClass: type[Value] = get_value_class()

# As long as it stands here, metrics count natively.
_first_value_class = ValueClass
