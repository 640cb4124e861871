"""A running ``tallymark serve``, and pushes to it."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 60.0
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# One family of each type that most programs have.
SHOP = """\
# HELP orders Orders taken.
# TYPE orders counter
orders_total{payment="card"} 120
orders_total{payment="cash"} 5
# HELP wait_seconds How long a customer waited.
# UNIT wait_seconds seconds
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1"} 50
wait_seconds_bucket{le="2"} 90
wait_seconds_bucket{le="4"} 100
wait_seconds_bucket{le="+Inf"} 100
wait_seconds_sum 150
wait_seconds_count 100
# TYPE stock_bytes gauge
stock_bytes 1610612736
# TYPE build info
build_info{version="4.2"} 1
# TYPE door stateset
door{door="open"} 0
door{door="closed"} 1
"""


class Served:
    """A server on a free port."""

    def __init__(self, command: str, log: Path, *options: object) -> None:
        self._command = [command, "serve", *map(str, options)]
        self._log = log
        self.url = "http://127.0.0.1:0/"
        self.start()

    def start(self) -> None:
        """Start it, after it was stopped on the port that it had."""
        address = self.url.removeprefix("http://").rstrip("/")
        with self._log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*self._command, "--web.listen-address", address],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        deadline = time.monotonic() + PATIENCE
        while not (said := re.search(r"serving .* at (http://[^/]+)", self._log.read_text())):
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"it does not serve: {self._log.read_text()}"
            time.sleep(0.02)
        self.url = said[1] + "/"

    def push(self, exposition: str, path: str = "job/test", **headers: str) -> None:
        """Push lines of OpenMetrics, without the last one."""
        headers = {"content-type": OPENMETRICS, **headers}
        self.ask(f"metrics/{path}", "POST", (exposition + "# EOF\n").encode(), headers)

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        """Give the answer to a request."""
        request = urllib.request.Request(self.url + path, body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                read: bytes = answer.read()
        except urllib.error.HTTPError as refusal:
            refusal.close()
            raise
        return read

    def stop(self) -> None:
        """End it, if that has not been done."""
        self._process.terminate()
        self._process.wait(PATIENCE)
