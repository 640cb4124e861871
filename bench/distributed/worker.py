"""What a `sides.Side` runs: tasks, one per line of stdin, with one of the packages loaded.

The same lines count with either. Each answer is one line of JSON. Nothing is compared here.
"""

from __future__ import annotations

import importlib
import json
import sqlite3
import sys
import time
import timeit
from types import SimpleNamespace
from typing import Any

_LABELS = ("method", "path", "status")


def load(package: str, place: str) -> Any:
    """Load a package, have it count in a place, and give its names."""
    if package == "tallymark":
        tallymark: Any = importlib.import_module("tallymark")
        tallymark.use_store(place)
        return tallymark
    official: Any = importlib.import_module("prometheus_client")
    package_of: Any = importlib.import_module(package)
    if place.startswith("redis:"):
        redis: Any = importlib.import_module("redis")
        package_of.setup(redis=redis.Redis.from_url(place))
        metrics: Any = importlib.import_module(f"{package}.redis")
    else:
        package_of.setup(sqlite=place)
        metrics = importlib.import_module(f"{package}.sqlite")
    return SimpleNamespace(
        Counter=metrics.Counter,
        Histogram=metrics.Histogram,
        CollectorRegistry=official.CollectorRegistry,
        generate_latest=official.generate_latest,
        flush=lambda: None,
    )


class Tasks:
    """
    What a worker can be asked for.

    Args:
        package: Whose names are used.

        place: Where it counts.
    """

    def __init__(self, package: str, place: str) -> None:
        self.client = load(package, place)
        self.registry = self.client.CollectorRegistry()
        self.names: dict[str, Any] = {}
        self.timers: dict[str, timeit.Timer] = {}

    def calls(self) -> None:
        """Make the metrics whose calls are timed."""
        client, registry = self.client, self.registry
        labelled = client.Counter("labelled", "Requests.", _LABELS[:2], registry=registry)
        self.names = {
            "counter": client.Counter("counter", "Requests.", registry=registry),
            "labelled": labelled,
            "histogram": client.Histogram("histogram", "Seconds.", registry=registry),
        }

    def time(self, statement: str, times: int) -> float:
        """Give the seconds that a statement takes so many times."""
        timer = self.timers.get(statement)
        if timer is None:
            timer = self.timers[statement] = timeit.Timer(statement, globals=self.names)
        return timer.timeit(times)

    def flush(self) -> None:
        """Have all that was counted in the database."""
        self.client.flush()

    def create(self, count: int) -> None:
        """Make so many series, each counted once."""
        counter = self.client.Counter("requests", "Requests.", _LABELS, registry=self.registry)
        for number in range(count):
            path = f"/api/v1/items/{number // 20:06}"
            counter.labels("GET", path, str(200 + number % 20)).inc()
        self.client.flush()

    def scrape(self) -> float:
        """Give the seconds that a scrape takes."""
        start = time.perf_counter()
        self.client.generate_latest(self.registry)
        return time.perf_counter() - start

    def compete(self, seconds: float) -> dict[str, float]:
        """
        Update a counter as often as possible for so long, with others at the same database.

        Returns:
            How many updates returned; how many raised that the database is locked; the longest time
            between two looks at the clock, in seconds.
        """
        done, locked, longest = 0, 0, 0.0
        last = time.perf_counter()
        end = last + seconds
        while last < end:
            try:
                counter = self._competed()
                # The clock would take longer than an update of ours.
                for _ in range(10):
                    counter.inc()
                    done += 1
            except sqlite3.OperationalError:
                locked += 1
            now = time.perf_counter()
            last, longest = now, max(longest, now - last)
        return {"done": done, "locked": locked, "longest": longest}

    def _competed(self) -> Any:
        counter = self.names.get("competed")
        if counter is None:
            # Not before: to make one is an update, too, and may find the database locked.
            registry = self.client.CollectorRegistry()
            counter = self.client.Counter("competed", "Updates.", registry=registry)
            self.names["competed"] = counter
            self.registry = registry
        return counter

    def total(self) -> float:
        """Give how many updates the database has, of all who compete."""
        self._competed()
        self.client.flush()
        total: float | None = self.registry.get_sample_value("competed_total")
        return total or 0.0


def main() -> None:
    """Do tasks until stdin ends."""
    tasks = Tasks(*sys.argv[1:])
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(getattr(tasks, task)(**arguments)), flush=True)


if __name__ == "__main__":
    main()
