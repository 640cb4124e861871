"""A running ``tallymark serve``: started on a free port, asked, looked at, killed."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from servers import wait_until

HOST = "127.0.0.1"

# A minute is many times what any step takes on two busy cores.
PATIENCE = 60.0

CHUNK = 64 * 1024


class Answer(NamedTuple):
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def values(text: str) -> dict[str, float]:
    """Give the samples of an exposition, by name and sorted labels, without those of the server."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if not sample.name.startswith(("pushgateway_", "tallymark_", "push_")):
                labels = ",".join(
                    f"{name}={value}" for name, value in sorted(sample.labels.items())
                )
                found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


class Gateway:
    """A server, also while it does not run."""

    def __init__(self, command: str, log: Path, *arguments: object) -> None:
        self._command = [command, "serve", *map(str, arguments)]
        self._log = log
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self.start()

    def start(self) -> None:
        """Start it, after it was stopped on the port that it had, and wait until it serves."""
        with self._log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*self._command, f"--web.listen-address={HOST}:{self.port}"],
                stdin=subprocess.DEVNULL,
                stderr=stderr,
            )
        wait_until(self._serves, "the server says where it serves")

    def _serves(self) -> bool:
        assert self.process.poll() is None, self.said()
        found = re.search(r"serving .* at (https?)://[^:]*:(\d+)", self.said())
        if found:
            self.port = int(found[2])
        return bool(found)

    def said(self) -> str:
        """Give what it has written to stderr since it was started."""
        return self._log.read_text()

    @property
    def address(self) -> str:
        """Its host and port."""
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The URL of its page, without the slash."""
        return f"{'https' if self.tls else 'http'}://{self.address}"

    def connect(self) -> socket.socket:
        """Open a connection, and say nothing."""
        return socket.create_connection((HOST, self.port), timeout=PATIENCE)

    def ask(
        self, method: str, path: str, body: bytes | str | None = None, **headers: str
    ) -> Answer:
        """Ask on a connection of its own; in names of headers ``_`` is ``-``."""
        if self.tls:
            client: http.client.HTTPConnection = http.client.HTTPSConnection(
                HOST, self.port, timeout=PATIENCE, context=self.tls
            )
        else:
            client = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            client.request(method, path, body, named)
            answer = client.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            client.close()

    def push(self, body: str, path: str = "job/test", method: str = "POST", **headers: str) -> int:
        """Push a body, and give the status."""
        return self.ask(method, f"/metrics/{path}", body, **headers).status

    def metrics(self) -> dict[str, float]:
        """Scrape it; without its own metrics."""
        answer = self.ask("GET", "/metrics")
        assert answer.status == 200, answer

        return values(answer.text)

    def sample(self, name: str) -> float:
        """Give the sum over the samples of a name, also of its own metrics."""
        families = text_string_to_metric_families(self.ask("GET", "/metrics").text)
        samples = (sample for family in families for sample in family.samples)
        return sum(sample.value for sample in samples if sample.name == name)

    def peak(self) -> int:
        """Give how many bytes of memory it had at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found

        return int(found[1]) * 1024

    def stop(self) -> int:
        """Ask it to stop, and wait until it has; give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill it as a lack of memory does; start it again with `start`."""
        self.process.kill()
        self.process.wait(PATIENCE)
