"""Metrics for Graphite, in the lines that its carbon daemons read.

A push is one TCP connection. Graphite knows numbers only: types, help and exemplars stay here.
Scraping itself is the registry's matter.
"""

from __future__ import annotations

import logging
import math
import re
import socket
import threading
import time
from collections.abc import Callable
from timeit import default_timer

from ..registry import REGISTRY, Collector

_log = logging.getLogger("tallymark")

# What is left is safe in the name of a file, and dots separate the parts of a path.
_FORBIDDEN = re.compile("[^a-zA-Z0-9_-]")


class GraphiteBridge:
    """
    Push what a registry shows to Graphite.

    Characters other than ASCII letters, digits, ``_`` and ``-`` become ``_`` in names and labels.

    Args:
        address: Host and port of carbon's plaintext listener.

        registry: What to push.

        timeout_seconds: How long to wait for carbon.

        _timer: Gives the seconds since 1970, for tests.

        tags: Whether labels become tags (``name;label=value``), which Graphite knows since 1.1,
            instead of parts of the path (``name.label.value``).

    Example:
        >>> import socket
        >>> from tallymark import CollectorRegistry, Gauge
        >>> registry = CollectorRegistry()
        >>> Gauge("queue", "Jobs.", ["room"], registry=registry).labels("a.1").set(3)
        >>> with socket.create_server(("127.0.0.1", 0)) as carbon:
        ...     bridge = GraphiteBridge(carbon.getsockname(), registry, _timer=lambda: 1500000000)
        ...     bridge.push(prefix="shop")
        ...     connection, _ = carbon.accept()
        ...     connection.recv(100)
        ...     connection.close()
        b'shop.queue.room.a_1 3.0 1500000000\\n'
    """

    def __init__(
        self,
        address: tuple[str, int],
        registry: Collector = REGISTRY,
        timeout_seconds: float = 30,
        _timer: Callable[[], float] = time.time,
        tags: bool = False,
    ) -> None:
        self._address = address
        self._registry = registry
        self._timeout = timeout_seconds
        self._timer = _timer
        self._tags = tags

    def push(self, prefix: str = "") -> None:
        """
        Push once.

        Args:
            prefix: The beginning of every path, without its last dot.

        Raises:
            OSError: Carbon cannot be reached, or does not take it.

            UnicodeEncodeError: The prefix is not ASCII.
        """
        now = int(self._timer())
        beginning = f"{prefix}." if prefix else ""
        lines = [
            f"{beginning}{self._path(sample.name, sample.labels)} {float(sample.value)} {now}\n"
            for family in self._registry.collect()
            for sample in family.samples
        ]
        content = "".join(lines).encode("ascii")
        with socket.create_connection(self._address, self._timeout) as connection:
            connection.sendall(content)

    def start(self, interval: float = 60.0, prefix: str = "") -> None:
        """
        Push from now on, from a thread that ends with the program.

        A push that fails is logged and not tried again before the next is due. If one takes longer
        than the interval, those that were due meanwhile are left out.

        Args:
            interval: How many seconds from one push to the next.

            prefix: The beginning of every path, without its last dot.

        Raises:
            ValueError: The interval is not positive.
        """
        if not interval > 0:
            raise ValueError(f"the interval must be more than 0 seconds, not {interval}")
        threading.Thread(
            target=self._push_regularly,
            args=(interval, prefix),
            name="tallymark-graphite",
            daemon=True,
        ).start()

    def _push_regularly(self, interval: float, prefix: str) -> None:
        due = default_timer()
        while True:
            try:
                self.push(prefix)
            except Exception:
                # Also what a collector raises: the next push may work.
                _log.exception("pushing to Graphite at %s:%s failed", *self._address[:2])
            due = _next_due(due, default_timer(), interval)
            time.sleep(max(due - default_timer(), 0))

    def _path(self, name: str, labels: dict[str, str]) -> str:
        between, of = (";", "=") if self._tags else (".", ".")
        parts = [f"{_clean(key)}{of}{_clean(value)}" for key, value in sorted(labels.items())]
        return between.join([_clean(name), *parts])


def _next_due(due: float, now: float, interval: float) -> float:
    """Give the first of the moments after *due*, an interval apart, that has not passed."""
    return due + interval * max(math.ceil((now - due) / interval), 1)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("_", text)
