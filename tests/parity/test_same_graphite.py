"""Graphite has the same from both packages: the lines that are sent, what a real carbon keeps."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0


def _registry(c: Any) -> Any:
    registry = c.core.CollectorRegistry()
    orders = c.core.Counter("orders", "Orders.", ["path", "Zone"], registry=registry)
    orders.labels("/srv/a b.c", "ü").inc(2.5)
    orders.labels("", "🦀;=").inc()
    c.core.Gauge("größe.a", "Name in UTF-8.", unit="m", registry=registry).set(-1e21)
    c.core.Gauge("endless", "Infinite.", registry=registry).set(math.inf)
    c.core.Gauge("none", "No number.", registry=registry).set(math.nan)
    c.core.Histogram("seconds", "Seconds.", buckets=[0.5], registry=registry).observe(0.5)
    c.core.Info("build", "Build.", registry=registry).info({"version": "1.2.3"})
    return registry


@pytest.mark.parametrize("tags", [False, True])
@pytest.mark.parametrize("prefix", ["", "shop.eu"])
def test_the_lines_are_the_same(prefix: str, tags: bool, same: Any) -> None:
    """Byte by byte, on one connection that is then closed."""

    def run(c: Any) -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as carbon:
            bridge = c.bridge_graphite.GraphiteBridge(
                carbon.getsockname(), _registry(c), _timer=lambda: 1434898897.5, tags=tags
            )
            bridge.push(prefix)
            connection, _ = carbon.accept()
            with connection, connection.makefile("rb") as lines:
                return lines.read()

    sent = same(run)

    assert sent.endswith(b" 1434898897\n")
    assert sent.count(b"\n") == sent.count(b"shop.eu.") if prefix else b"shop" not in sent


def test_an_empty_registry_is_pushed_alike(same: Any) -> None:
    """As a connection without a word."""

    def run(c: Any) -> bytes:
        with socket.create_server(("127.0.0.1", 0)) as carbon:
            c.bridge_graphite.GraphiteBridge(
                carbon.getsockname(), c.core.CollectorRegistry()
            ).push()
            connection, _ = carbon.accept()
            with connection:
                return connection.recv(1)

    assert b"" == same(run)


def test_a_prefix_that_graphite_cannot_have_is_refused(ours: Any) -> None:
    """Before a connection is made: nobody listens here. Paths are ASCII."""
    bridge = ours.bridge_graphite.GraphiteBridge(("127.0.0.1", 1), _registry(ours))

    with pytest.raises(UnicodeEncodeError):
        bridge.push("größe")


def test_a_carbon_that_is_not_there_raises_alike(same: Any) -> None:
    """Also when nobody has asked for a thread."""

    def run(c: Any) -> None:
        c.bridge_graphite.GraphiteBridge(("127.0.0.1", 1), _registry(c)).push()

    assert "ConnectionRefusedError" == same(run)[0]


PUSHING = """
import logging, sys, threading
from {package} import CollectorRegistry, Gauge
from {package}.bridge.graphite import GraphiteBridge
logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
registry = CollectorRegistry()
Gauge("g", "h", registry=registry).set_function(lambda: threading.current_thread().daemon)
GraphiteBridge(("127.0.0.1", {port}), registry).start(0.05, "regular")
sys.stdin.read()
"""


@pytest.mark.parametrize("package", ["prometheus_client", "tallymark"])
def test_regular_pushes_go_on_after_failures(package: str) -> None:
    """Each is logged; and the thread does not keep the program from ending."""
    with socket.socket() as carbon:
        carbon.bind(("127.0.0.1", 0))
        port = carbon.getsockname()[1]
        with subprocess.Popen(
            [sys.executable, "-c", PUSHING.format(package=package, port=port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = threading.Timer(PATIENCE, process.kill)
            deadline.start()
            assert process.stdin and process.stdout
            while process.stdout.readline() != "ERROR\n":
                assert process.poll() is None, "it logged nothing"
            carbon.listen()
            carbon.settimeout(PATIENCE)
            pushed = []
            for _ in range(3):
                connection, _ = carbon.accept()
                with connection, connection.makefile() as lines:
                    pushed.append(lines.read())
            process.stdin.close()

            assert 0 == process.wait()
            deadline.cancel()

    assert 3 == sum(bool(re.fullmatch(r"regular\.g 1\.0 \d+\n", lines)) for lines in pushed)


class Carbon:
    """A carbon daemon with its files in a folder of its own."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("carbon-cache")
        assert program, "no carbon-cache on PATH: run scripts/debian carbon-cache"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        self._data = directory / "data"
        self._log = directory / "log"
        (directory / "carbon.conf").write_text(
            f"[cache]\nSTORAGE_DIR = {directory}\nLOCAL_DATA_DIR = {self._data}\n"
            f"CONF_DIR = {directory}\nLOG_DIR = {directory}\nPID_DIR = {directory}\nUSER =\n"
            "MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = False\n"
            f"LINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {self.address[1]}\n"
            "PICKLE_RECEIVER_PORT = 0\nCACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = 0\n"
        )
        (directory / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
        options = [f"--config={directory / 'carbon.conf'}", f"--pidfile={directory / 'pid'}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "--nodaemon", "--logfile=-", *options, "start"], stdout=log, stderr=log
            )

    def wait_for(self, condition: Callable[[str], bool]) -> str:
        """Wait until what it has logged fulfils a condition; give the log."""
        deadline = time.monotonic() + PATIENCE
        while True:
            log = self._log.read_text()
            if condition(log):
                return log
            assert self.process.poll() is None, f"carbon has ended:\n{log}"
            assert time.monotonic() < deadline, f"carbon does not go on:\n{log}"
            time.sleep(0.1)

    def values(self, count: int, now: int) -> dict[str, str]:
        """Wait for so many series, then give the value that each has at a time."""
        log = self.wait_for(lambda log: log.count(" :: [updates] wrote") >= count)
        names = re.findall(r"wrote 1 datapoints for (.*) in ", log)
        return {name: self._value(name, now) for name in names}

    def _value(self, name: str, now: int) -> str:
        if ";" in name:
            digest = hashlib.sha256(name.encode()).hexdigest()
            path = self._data / "_tagged" / digest[:3] / digest[3:6] / f"{digest}.wsp"
        else:
            path = self._data / f"{name.replace('.', '/')}.wsp"
        fetched = subprocess.run(
            ["whisper-fetch", f"--from={now - 1}", f"--until={now}", path],
            capture_output=True,
            text=True,
            check=True,
        )
        return fetched.stdout.split(str(now))[1].strip()


@pytest.fixture
def carbon(tmp_path: Path) -> Iterator[Carbon]:
    """A carbon on a free port."""
    carbon = Carbon(tmp_path)
    try:
        carbon.wait_for(lambda log: f"starting on {carbon.address[1]}" in log)
        yield carbon
    finally:
        carbon.process.kill()
        carbon.process.wait()


@pytest.mark.parametrize("tags", [False, True])
def test_carbon_keeps_the_same(tags: bool, carbon: Carbon, official: Any, ours: Any) -> None:
    """The same series with the same values, as paths and as tags."""
    # Carbon keeps nothing that is older than an hour; the clock of these tests stands still.
    now = int(time.clock_gettime(time.CLOCK_REALTIME))
    for prefix, c in (("official", official), ("ours", ours)):
        c.bridge_graphite.GraphiteBridge(
            carbon.address, _registry(c), tags=tags, _timer=lambda: now
        ).push(prefix)
    samples = [s for family in _registry(ours).collect() for s in family.samples]
    # It drops what is no number.
    kept = [sample for sample in samples if not math.isnan(sample.value)]
    found = carbon.values(2 * len(kept), now)
    theirs, own = (
        {name.removeprefix(prefix): value for name, value in found.items() if prefix in name}
        for prefix in ("official.", "ours.")
    )

    assert theirs == own
    assert len(kept) == len(own)
    assert "2.500000" in own.values()
    assert tags == any(";" in name for name in own)
