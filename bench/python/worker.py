"""What a `clients.Worker` runs: tasks, one per line of stdin, with a client loaded.

The same lines run with either package, named on the command line: that is what drop-in means. Each
answer is one line of JSON. Nothing is subtracted or compared here.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import signal
import statistics
import sys
import time
import timeit
from collections.abc import Iterator
from typing import Any

_METHODS = ("GET", "POST", "PUT", "DELETE")
_STATUSES = ("200", "201", "404", "500", "503")
_LABELS = ("method", "path", "status")
_OBSERVED = (0.0042, 0.0371, 0.31, 3.7)
_SETS = 1_000
"""Label sets that the labelled metrics have before their calls are timed."""


def label_values(count: int) -> Iterator[tuple[str, str, str]]:
    """Give label values as a web service has them, each path with 20 series."""
    for number in range(count):
        path = f"/api/v1/items/{number // 20:06}"
        yield _METHODS[number // 5 % 4], path, _STATUSES[number % 5]


def resident() -> int:
    """Give the bytes of memory that this process has, those that it shares included."""
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Rss:"))


class Tasks:
    """
    What a worker can be asked for.

    Args:
        package: The client's name.
    """

    def __init__(self, package: str) -> None:
        self.client: Any = importlib.import_module(package)
        self.multiprocess: Any = importlib.import_module(f"{package}.multiprocess")
        self.registry = self.client.CollectorRegistry()
        self.timers: dict[str, timeit.Timer] = {}
        self.names: dict[str, Any] = {}

    def calls(self) -> None:
        """Make the metrics whose calls are timed."""
        client, registry = self.client, self.registry
        labelled = client.Counter("labelled", "Requests.", ["method", "path"], registry=registry)
        for number in range(_SETS):
            labelled.labels("GET", f"/{number}").inc()
        self.names = {
            "counter": client.Counter("counter", "Requests.", registry=registry),
            "amounts": client.Counter("amounts", "Seconds.", registry=registry),
            "labelled": labelled,
            "child": labelled.labels("GET", "/x"),
            "gauge": client.Gauge("gauge", "Jobs.", registry=registry),
            "histogram": client.Histogram("histogram", "Seconds.", registry=registry),
            "summary": client.Summary("summary", "Seconds.", registry=registry),
            "numbers": itertools.cycle(range(_SETS)),
        }

    def time(self, statement: str, times: int) -> float:
        """Give the seconds that a statement takes so many times."""
        timer = self.timers.get(statement)
        if timer is None:
            timer = self.timers[statement] = timeit.Timer(statement, globals=self.names)
        return timer.timeit(times)

    def create(self, kind: str, count: int) -> dict[str, float]:
        """Make so many series of one family; give the seconds and the bytes that each takes."""
        gc.collect()
        before = resident()
        start = time.perf_counter()
        if kind == "counters":
            counter = self.client.Counter("requests", "Requests.", _LABELS, registry=self.registry)
            for number, values in enumerate(label_values(count)):
                # A spread of values of up to six digits.
                counter.labels(*values).inc(number * 2654435761 % 1000003)
        elif kind == "families":
            for number in range(count):
                name = f"node_device_{number}_bytes"
                gauge = self.client.Gauge(name, "Of a node.", ["device"], registry=self.registry)
                for device in ("sda", "sdb"):
                    gauge.labels(device).set(number * 2654435761 % 1000003)
        else:
            histogram = self.client.Histogram(
                "latency", "Seconds.", _LABELS, registry=self.registry
            )
            for values in label_values(count):
                child = histogram.labels(*values)
                for seconds in _OBSERVED:
                    child.observe(seconds)
        seconds = time.perf_counter() - start
        gc.collect()
        return {"seconds": seconds / count, "bytes": (resident() - before) / count}

    def churn(self, processes: int, series: int) -> None:
        """Have processes come, count in the same series and go: every second one is killed."""
        counter = self.client.Counter("requests", "Requests.", _LABELS, registry=self.registry)
        for number in range(processes):
            process = os.fork()
            if process == 0:
                for values in label_values(series):
                    counter.labels(*values).inc()
                if number % 2:
                    os.kill(os.getpid(), signal.SIGKILL)
                sys.exit()
            os.waitpid(process, 0)

    def scrape(self, way: str, at_least: float) -> float:
        """
        Scrape as long as told, but at least once; give the median in seconds.

        Args:
            way: ``collector`` for a `MultiProcessCollector` in a registry made for it, as the
                official documentation has it; ``registry`` for the metrics' own registry.

            at_least: How long, in seconds.
        """
        seconds: list[float] = []
        while sum(seconds) < at_least or not seconds:
            start = time.perf_counter()
            registry = self.registry
            if way == "collector":
                registry = self.client.CollectorRegistry()
                self.multiprocess.MultiProcessCollector(registry)
            self.client.generate_latest(registry)
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    def parse(self, style: str, at_least: float) -> dict[str, float]:
        """
        Read what the registry writes as long as told, but at least once.

        Args:
            style: ``text`` or ``openmetrics``.

            at_least: How long, in seconds.

        Returns:
            The median in seconds, and the size of the exposition in bytes and lines.
        """
        module = "" if style == "text" else ".openmetrics"
        exposition = importlib.import_module(f"{self.client.__name__}{module}.exposition")
        parser = importlib.import_module(f"{self.client.__name__}{module}.parser")
        text = exposition.generate_latest(self.registry).decode()
        seconds: list[float] = []
        while sum(seconds) < at_least or not seconds:
            gc.collect()
            start = time.perf_counter()
            families = list(parser.text_string_to_metric_families(text))
            seconds.append(time.perf_counter() - start)
            del families
        lines = text.count("\n")
        return {"seconds": statistics.median(seconds), "bytes": len(text), "lines": lines}


def main() -> None:
    """Do tasks until stdin ends."""
    tasks = Tasks(sys.argv[1])
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(getattr(tasks, task)(**arguments)), flush=True)


if __name__ == "__main__":
    main()
