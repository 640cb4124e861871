"""Starts the example programs as their users would, and reads what they say over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import FREE, HOST

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "examples" / "python"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of every process of a test: one store, and one database for each program."""
    inherited = {k: v for k, v in os.environ.items() if k.upper() != "PROMETHEUS_MULTIPROC_DIR"}
    return {
        **inherited,
        "TALLYMARK_STORE": f"file:{tmp_path / 'metrics.tally'}",
        "SHOP_DB": str(tmp_path / "shop.db"),
        "UNIVERSITY_DB": str(tmp_path / "university.db"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Finds ports that are free, outside the range the kernel takes for outgoing connections."""
    return lambda: next(FREE)


@pytest.fixture
def start(
    environment: dict[str, str], tmp_path: Path, ask: Callable[..., tuple[int, str]]
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """
    Starts a server with this Python, waits until it listens on *port* and *metrics* can be read.

    However the test ends, the server is ended with all its children, and pytest has its log to
    show beside a failure.
    """
    servers: list[subprocess.Popen[bytes]] = []

    def is_ready(port: int, metrics: str) -> bool:
        with suppress(OSError, http.client.HTTPException):
            socket.create_connection((HOST, port), timeout=1).close()
            return 200 == ask(metrics)[0]
        return False

    def start(arguments: list[str], port: int, metrics: str) -> subprocess.Popen[bytes]:
        log = tmp_path / f"server-{len(servers)}.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=EXAMPLES,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        servers.append(server)
        deadline = time.monotonic() + 30
        while not is_ready(port, metrics):
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{arguments} did not start:\n{log.read_text()}")
            time.sleep(0.02)
        return server

    try:
        yield start
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=10)
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        for log in sorted(tmp_path.glob("server-*.log")):
            print(log.read_text())


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program with this Python until it ends by itself."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=EXAMPLES,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def ask() -> Callable[..., tuple[int, str]]:
    """
    Gives the status and the body for a URL; *payload* is posted as JSON.

    Every request has a connection of its own, so that any worker may get it; none goes through a
    proxy, whatever the environment says.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(url: str, payload: object = None) -> tuple[int, str]:
        data = None if payload is None else json.dumps(payload).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return ask


@pytest.fixture
def scrape(ask: Callable[..., tuple[int, str]]) -> Callable[[str], dict[str, float]]:
    """Reads an exposition with the official client's parser: `name{label="value"}` to value."""

    def scrape(url: str) -> dict[str, float]:
        status, text = ask(url)

        assert 200 == status

        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                series = f"{sample.name}{{{labels}}}" if labels else sample.name

                assert series not in samples, f"{series} is exposed twice"

                samples[series] = sample.value
        return samples

    return scrape
