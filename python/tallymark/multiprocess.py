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
from .samples import Sample

_Path = str | os.PathLike[str]


class MultiProcessCollector(_WholeStore):
    """
    A collector of all that any process has put into the shared store, as the official client shows
    it: without ``_created`` and exemplars, and with a histogram's sum before its buckets.

    In a registry that has metrics of its own it shows the others only: nothing appears twice. The
    default registry shows other processes' families by itself, and with all they have.

    Args:
        registry: Where to register, None for nowhere.

        path: The directory of the processes that share, instead of ``PROMETHEUS_MULTIPROC_DIR``.
            Without it, a store that was asked for by name, by ``use_store`` or ``TALLYMARK_STORE``,
            comes before that directory.

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

    def __init__(self, registry: CollectorRegistry | None, path: _Path | None = None) -> None:
        directory = _directory_of_environment() if path is None else path
        if not directory or not os.path.isdir(directory):
            raise ValueError("env PROMETHEUS_MULTIPROC_DIR is not set or not a directory")
        self._path = directory
        self._directory = _tallymark.SharedDirectory(directory, path is None)
        if registry:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Give nothing: whatever other processes declare, the names stay free for this one."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give every family of the store, with the values of all processes."""
        return _families(self._directory)

    @staticmethod
    def merge(files: Iterable[_Path], accumulate: bool = True) -> Iterable[Metric]:
        """
        Give the families of the store beside some files, as `collect` does.

        For code that reads the official client's files. Here is one file for all processes, so it
        makes no difference which of a directory's files are named.

        Args:
            files: Files in the directory; files that are not there are passed over. None at all
                stand for the directory of the environment.

            accumulate: Whether buckets count what is below them, too, as in an exposition. If not,
                histograms have no count.

        Example:
            >>> MultiProcessCollector.merge(["/not/there/counter_1.db"])
            []
        """
        files = list(files)
        directories = {os.path.dirname(file) for file in files if os.path.exists(file)}
        if not files:
            directories = {directory for directory in [_directory_of_environment()] if directory}
        families: list[Metric] = []
        for directory in sorted(directories):
            families += _families(_tallymark.SharedDirectory(directory, False))
        if not accumulate:
            for family in families:
                if family.type == "histogram":
                    family.samples = _differences(family)
        return families


def _families(directory: _tallymark.SharedDirectory) -> list[Metric]:
    core = _tallymark.RegistryCore()
    core.show(directory=directory)
    return core.collect()


def _differences(histogram: Metric) -> list[Sample]:
    """Give a histogram's samples with each bucket alone, and without counts."""
    samples = []
    below = 0.0
    for sample in histogram.samples:
        if sample.name == f"{histogram.name}_bucket":
            samples.append(sample._replace(value=sample.value - below))
            below = sample.value
        else:
            below = 0.0
            if sample.name == f"{histogram.name}_sum":
                samples.append(sample)
    return samples


def mark_process_dead(pid: int, path: _Path | None = None) -> None:
    """
    Say that a process has ended; the store notices by itself, except of processes that the program
    has only named so (see ``values.MultiProcessValue``).

    Call it or not, from a server's hooks and signal handlers, in multiprocess mode or out of it.

    Args:
        pid: The process.

        path: The directory it shared.

    Example:
        >>> mark_process_dead(4711)
    """
    _tallymark.end_identity(str(pid))


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
