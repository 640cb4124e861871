"""Runs programs with tallymark in the official client's place, sends them load, reads their totals.

The programs are started as their users would start them, behind ``python -m tallymark exec``. What
is read is parsed with the official client, which is what this process, unlike the programs, gets
for ``prometheus_client``. What the totals must be is not known here.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import prometheus_client.openmetrics.parser
import prometheus_client.parser

HERE = Path(__file__).parent
APPS = HERE / "apps"
HOST = "127.0.0.1"
DEADLINE = 60

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

# None goes through a proxy, whatever the environment says.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Finds a port that is free, outside the range the kernel takes for outgoing connections."""
    for port in random.sample(range(20_000, 30_000), 100):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise AssertionError("no free port between 20000 and 30000")


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Waits until a process listens."""
    deadline = time.monotonic() + DEADLINE
    while True:
        with suppress(OSError):
            socket.create_connection((HOST, port), timeout=1).close()
            return
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args!r} does not listen on port {port}"
        time.sleep(0.05)


class Programs:
    """The programs of one test: one environment for all, ended together."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name.upper() != "PROMETHEUS_MULTIPROC_DIR" and not name.startswith("TALLYMARK_")
        }
        # As in a shell in which the virtual environment is active.
        scripts = str(Path(sys.executable).parent)
        self.environment["PATH"] = os.pathsep.join([scripts, self.environment["PATH"]])
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self._store: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def share_file(self) -> None:
        """Has all programs count in one file, as it is said to `exec`."""
        self._store = ["--store", f"file:{self.directory / 'metrics.tally'}"]

    def share_directory(self) -> None:
        """The same as deployments with the official client say it."""
        directory = self.directory / "multiproc"
        directory.mkdir()
        self.environment["PROMETHEUS_MULTIPROC_DIR"] = str(directory)

    def command(self, *command: str, official: bool = False) -> list[str]:
        """Puts `exec` before a command, or nothing, for the official client."""
        exec_ = [sys.executable, "-m", "tallymark", "exec", *self._store, "--"]
        return [*([] if official else exec_), *command]

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Starts a server; its output goes to a log."""
        with (self.directory / f"{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(*command),
                cwd=APPS,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def run(self, *command: str, official: bool = False) -> str:
        """Runs a program to its end and gives what it printed."""
        done = subprocess.run(
            self.command(*command, official=official),
            cwd=APPS,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def end(self) -> None:
        """Ends all servers with all their children, and shows what they wrote."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for log in sorted(self.directory.glob("*.log")):
            print(log.read_text(errors="replace"))


def ask(url: str, method: str = "GET", accept: str = "*/*") -> tuple[int, str, str]:
    """Gives status, content type and body, over a connection of its own: any worker may get it."""
    request = urllib.request.Request(url, headers={"Accept": accept}, method=method)
    try:
        with _opener.open(request, timeout=DEADLINE) as response:
            return response.status, response.headers["Content-Type"], response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def parse(content_type: str, text: str) -> dict[str, float]:
    """Reads an exposition, `name{label="value"}` to value; no series may be in it twice."""
    if content_type.startswith("application/openmetrics-text"):
        families = prometheus_client.openmetrics.parser.text_string_to_metric_families(text)
    else:
        families = prometheus_client.parser.text_string_to_metric_families(text)
    samples: dict[str, float] = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            series = f"{sample.name}{{{labels}}}" if labels else sample.name

            assert series not in samples, f"{series} is exposed twice"

            samples[series] = sample.value
    return samples


def scrape(url: str, accept: str = "*/*") -> dict[str, float]:
    """Reads a page of metrics."""
    status, content_type, text = ask(url, accept=accept)

    assert 200 == status, text

    return parse(content_type, text)


def send_load(url: str, plan: Sequence[tuple[str, str, int]], workers: int = 2) -> int:
    """
    Sends a plan's requests, each of them once and several at a time, as often as it takes until
    so many workers have answered.

    Args:
        url: The server.

        plan: Method, path and expected status of each request. The body of a success is the id of
            the worker's process.

        workers: How many workers there are.

    Returns:
        How often the plan was sent.
    """
    answered: set[str] = set()
    for rounds in range(1, 51):
        with ThreadPoolExecutor(4) as clients:
            answers = clients.map(lambda one: ask(url + one[1], method=one[0]), plan)
        for (method, path, expected), (status, _, body) in zip(plan, answers, strict=True):
            assert expected == status, f"{method} {path}: {status} {body}"

            if status == 200:
                answered.add(body)
        if len(answered) >= workers:
            return rounds
    raise AssertionError(f"only {answered} ever answered")


def assert_totals(url: str, expected: Mapping[str, float], accept: str = "*/*") -> None:
    """
    Asserts that the totals are these, whichever worker is asked.

    Some libraries count when the answer has been sent already, so a total may be late; it may
    never be too great.

    Args:
        url: The page of metrics.

        expected: The value of each series, and for `name{*}` the sum of all series of that name.

        accept: The format to ask for.
    """
    deadline = time.monotonic() + DEADLINE
    while True:
        found = _found(url, expected, accept)
        for series, total in expected.items():
            grows = series.partition("{")[0].endswith(("_total", "_count"))

            assert not grows or (found[series] or 0) <= total, f"{series} is {found[series]}"

        if expected == found or time.monotonic() > deadline:
            break
        time.sleep(0.05)

    for _ in range(8):
        assert expected == found

        found = _found(url, expected, accept)


def _found(url: str, expected: Mapping[str, float], accept: str) -> dict[str, float | None]:
    page = scrape(url, accept)
    found = {series: page.get(series) for series in expected}
    for series in expected:
        name, all_of_it, _ = series.partition("{*}")
        if all_of_it:
            found[series] = sum(page[one] for one in page if one.partition("{")[0] == name)
    return found
