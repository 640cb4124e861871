"""Pushes to Graphite keep to their times and go on whatever happens."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest
from tallymark import CollectorRegistry
from tallymark.bridge.graphite import GraphiteBridge, _next_due

PATIENCE = 60.0


@pytest.mark.parametrize(
    ("now", "expected"),
    [(100, 110), (100.5, 110), (109.9, 110), (110, 110), (110.1, 120), (119, 120), (145, 150)],
)
def test_pushes_that_were_due_during_another_are_left_out(now: float, expected: float) -> None:
    """The next is due at a whole number of intervals after the first, and not in the past."""
    assert expected == _next_due(100, now, 10)


@pytest.mark.parametrize("interval", [0, -1, float("nan")])
def test_an_interval_must_be_positive(interval: float, registry: CollectorRegistry) -> None:
    """Otherwise a thread would do nothing but push."""
    with pytest.raises(ValueError, match=f"must be more than 0 seconds, not {interval}"):
        GraphiteBridge(("127.0.0.1", 1), registry).start(interval)


PUSHING = """
import logging, sys
from tallymark import CollectorRegistry
from tallymark.bridge.graphite import GraphiteBridge
from tallymark.core import GaugeMetricFamily

class Failing:
    mended = False
    def collect(self):
        if not self.mended:
            self.mended = True
            raise LookupError("the disk is gone")
        return [GaugeMetricFamily("g", "h", value=1)]

logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
GraphiteBridge(("127.0.0.1", {port}), Failing()).start(0.01)
sys.stdin.read()
"""


def test_a_collector_that_raises_costs_one_push() -> None:
    """Which is logged, with what was raised; the official client's thread ends."""
    with socket.create_server(("127.0.0.1", 0)) as carbon:
        carbon.settimeout(PATIENCE)
        port = carbon.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", PUSHING.format(port=port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = threading.Timer(PATIENCE, process.kill)
            deadline.start()
            connection, _ = carbon.accept()
            with connection, connection.makefile() as lines:
                pushed = lines.read()
            assert process.stdin and process.stdout
            process.stdin.close()
            told = process.stdout.read()

            assert 0 == process.wait()
            deadline.cancel()

    assert pushed.startswith("g 1.0 ")
    assert told.startswith(f"tallymark ERROR pushing to Graphite at 127.0.0.1:{port} failed\n")
    assert 1 == told.count("LookupError: the disk is gone")
