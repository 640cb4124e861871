"""CPU, memory and open files of a process, as Linux tells them under ``/proc``.

They are read when somebody scrapes; importing and registering opens nothing. Where there is no
``/proc`` the collector shows nothing and claims no names. The families have the names that every
Prometheus client uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from .metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from .registry import REGISTRY, Collector, CollectorRegistry

# Name and help of each family, in the order of an exposition.
_HELP: dict[str, str] = {
    "virtual_memory_bytes": "Virtual memory size in bytes.",
    "resident_memory_bytes": "Resident memory size in bytes.",
    "start_time_seconds": "Start time of the process since unix epoch in seconds.",
    "cpu_seconds_total": "Total user and system CPU time spent in seconds.",
    "open_fds": "Number of open file descriptors.",
    "max_fds": "Maximum number of open file descriptors.",
}


def _system_value(name: str, otherwise: int) -> int:
    try:
        return os.sysconf(name)
    except (AttributeError, OSError, ValueError):
        return otherwise


class ProcessCollector(Collector):
    """
    The standard ``process_*`` families.

    Args:
        namespace: A prefix for the names, joined with an underscore.

        pid: Gives the id of the process whenever it is asked for; this process if left out.

        proc: Where the proc file system is mounted.

        registry: Where to register, None for nowhere.

    Example:
        >>> collector = ProcessCollector(proc="/not/there", registry=None)
        >>> list(collector.collect())
        []
    """

    def __init__(
        self,
        namespace: str = "",
        pid: Callable[[], int | str] = lambda: "self",
        proc: str = "/proc",
        registry: CollectorRegistry | None = REGISTRY,
    ) -> None:
        self._prefix = f"{namespace}_process_" if namespace else "process_"
        self._pid = pid
        self._proc = proc
        self._ticks: float = _system_value("SC_CLK_TCK", 100)
        self._pagesize = _system_value("SC_PAGE_SIZE", 4096)
        self._boot_time: float | None = None
        if registry:
            registry.register(self)

    def _describe(self) -> list[Metric]:
        """Give the families without their values; none where there is no proc file system."""
        if not os.path.exists(os.path.join(self._proc, "stat")):
            return []
        return [self._family(name) for name in _HELP]

    def collect(self) -> Iterable[Metric]:
        """Read the values; what may not be read, or is gone with its process, is left out."""
        process = os.path.join(self._proc, str(self._pid()).strip())
        values: dict[str, float] = {}
        for read in (self._read_stat, self._read_files):
            try:
                values.update(read(process))
            except OSError:
                # The other file may still be readable: another user's process shows its memory, not
                # its files.
                continue
        return [self._family(name, value) for name, value in values.items()]

    def _family(self, name: str, value: float | None = None) -> Metric:
        of_type = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        return of_type(self._prefix + name, _HELP[name], value)

    def _read_stat(self, process: str) -> dict[str, float]:
        booted = self._booted()
        with open(os.path.join(process, "stat"), "rb") as stat:
            # What precedes is the id and, in parentheses, a name that may contain anything. See
            # proc(5): the first of the rest is the field 3, the state.
            fields = stat.read().rpartition(b")")[2].split()
        return {
            "virtual_memory_bytes": float(fields[20]),
            "resident_memory_bytes": float(fields[21]) * self._pagesize,
            "start_time_seconds": float(fields[19]) / self._ticks + booted,
            "cpu_seconds_total": float(fields[11]) / self._ticks + float(fields[12]) / self._ticks,
        }

    def _read_files(self, process: str) -> dict[str, float]:
        values = {"open_fds": float(len(os.listdir(os.path.join(process, "fd"))))}
        with open(os.path.join(process, "limits"), "rb") as limits:
            for line in limits:
                if line.startswith(b"Max open files"):
                    soft = line.split()[3]
                    values["max_fds"] = float("inf" if soft == b"unlimited" else soft)
        return values

    def _booted(self) -> float:
        if self._boot_time is None:
            with open(os.path.join(self._proc, "stat"), "rb") as stat:
                for line in stat:
                    if line.startswith(b"btime "):
                        self._boot_time = float(line.split()[1])
        if self._boot_time is None:
            raise OSError(f"{self._proc}/stat does not tell when the system was started")
        return self._boot_time


PROCESS_COLLECTOR = ProcessCollector()
"""The collector of this process in `REGISTRY`."""
