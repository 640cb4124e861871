"""A running ``tallymark serve``, and pushes to it."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

PATIENCE = 60.0
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Served:
    """A server on a free port."""

    def __init__(self, command: str, log: Path, *options: object) -> None:
        address = ["--web.listen-address", "127.0.0.1:0"]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [command, "serve", *map(str, options), *address],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        deadline = time.monotonic() + PATIENCE
        while not (said := re.search(r"serving .* at (http://[^/]+)", log.read_text())):
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"it does not serve: {log.read_text()}"
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
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            read: bytes = answer.read()
        return read

    def families(self) -> dict[str, Any]:
        """Give what the page reads, by the families' names."""
        document = json.loads(self.ask("api/v1/families"))
        return {family["name"]: family for family in document["families"]}

    def stop(self) -> None:
        """End it, if that has not been done."""
        self._process.terminate()
        self._process.wait(PATIENCE)
