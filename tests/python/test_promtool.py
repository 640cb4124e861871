"""Prometheus' own linter reads what we write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tallymark import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
)

PROGRAM = """
import sys
sys.path.insert(0, {here!r})
from test_promtool import fill
from tallymark import REGISTRY, generate_latest
fill(REGISTRY)
sys.stdout.buffer.write(generate_latest(REGISTRY))
"""


def fill(registry: CollectorRegistry) -> None:
    """Makes a series of every type, with what is hard to write."""
    counter = Counter("shop_orders", 'Orders.\n"Quoted" \\', ["path"], registry=registry)
    counter.labels('/a"b\\\n').inc(2.5)
    counter.labels("ünïcode").inc(1e15)
    Gauge("shop_queue_items", "Items waiting.", registry=registry).set(float("inf"))
    histogram = Histogram("shop_checkout_seconds", "Checkout.", ["zone", "area"], registry=registry)
    for amount in (0.001, 0.3, 99.0):
        histogram.labels("a", "b").observe(amount)
    Summary("shop_size_bytes", "Sizes.", registry=registry).observe(1234567.0)
    Info("shop_build", "Build.", registry=registry).info({"version": "1"})
    Enum("shop_state", "State.", states=["open", "shut"], registry=registry).state("shut")


def check(exposition: bytes) -> None:
    """Fails with what promtool says against the exposition."""
    promtool = shutil.which("promtool")
    assert promtool, "no promtool on PATH: run scripts/debian promtool"
    result = subprocess.run(
        [promtool, "check", "metrics"], input=exposition, capture_output=True, timeout=60
    )
    # `_created` series are gauges named like the counters' times, which no linter minds.
    assert result.returncode == 0, (result.stderr + result.stdout).decode()


def test_promtool_accepts_every_type() -> None:
    """In the memory store."""
    registry = CollectorRegistry()
    fill(registry)

    check(generate_latest(registry))


def test_promtool_accepts_the_file_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the file store, with the process's and the store's own metrics."""
    import sys

    monkeypatch.setenv("TALLYMARK_STORE", f"file:{tmp_path / 'metrics.tally'}")
    program = PROGRAM.format(here=str(Path(__file__).parent))
    scrape = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert b"tallymark_live_processes 1.0" in scrape.stdout
    check(scrape.stdout)
