"""The official client's multiprocess mode, on the shared store.

With ``PROMETHEUS_MULTIPROC_DIR`` set, every process counts into one file in that directory, and any
of them can show all. So what deployments did by hand is done already: the functions are here so
that they go on working. Nothing in this module knows how numbers of several processes become one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable

from . import _tallymark
from .metrics_core import Metric
from .registry import CollectorRegistry, _WholeStore


class MultiProcessCollector(_WholeStore):
    """
    A collector of all that any process has put into the shared store.

    In a registry that has metrics of its own it shows the others only: nothing appears twice.

    Args:
        registry: Where to register, None for nowhere.

        path: The directory of the processes that share, instead of ``PROMETHEUS_MULTIPROC_DIR``.

    Raises:
        ValueError: There is no such directory.

    Example:
        >>> import tempfile
        >>> from tallymark import CollectorRegistry
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     collector = MultiProcessCollector(CollectorRegistry(), path=directory)
        >>> MultiProcessCollector(CollectorRegistry(), path="/not/there")
        Traceback (most recent call last):
        ValueError: env PROMETHEUS_MULTIPROC_DIR is not set or not a directory
    """

    def __init__(
        self,
        registry: CollectorRegistry | None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        directory = _directory_of_environment() if path is None else path
        if not directory or not os.path.isdir(directory):
            raise ValueError("env PROMETHEUS_MULTIPROC_DIR is not set or not a directory")
        self._path = directory
        if registry:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Give nothing: whatever other processes declare, the names stay free for this one."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give every family of the store, with the values of all processes."""
        core = _tallymark.RegistryCore()
        core.show("all")
        return core.collect()


def mark_process_dead(pid: int, path: str | os.PathLike[str] | None = None) -> None:
    """
    Do nothing: the store notices by itself that a process has ended.

    Call it or not, from a server's hooks and signal handlers, in multiprocess mode or out of it.

    Args:
        pid: The process.

        path: The directory it shared.

    Example:
        >>> mark_process_dead(4711)
    """


def _directory_of_environment() -> str | None:
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None and "prometheus_multiproc_dir" in os.environ:
        directory = os.environ["prometheus_multiproc_dir"]
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
        warnings.warn(
            "prometheus_multiproc_dir variable has been deprecated in favor of the upper case"
            " naming PROMETHEUS_MULTIPROC_DIR",
            DeprecationWarning,
            stacklevel=3,
        )
    return directory
