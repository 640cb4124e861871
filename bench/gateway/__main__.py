"""
How long a push takes beside what is stored already: one group, and a thousand, of ten families.

    python bench/gateway target/release/tallymark

Debian's Pushgateway does the same beside it, if it is there. Every server is a process of its own,
asked in turn, round by round, on a connection that stays; a figure is the median of 200 pushes.
"""

from __future__ import annotations

import http.client
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FAMILIES = 10
SIZES = [1, 1000]
ROUNDS = 200
BODY = "".join(f"# TYPE family_{n}_total counter\nfamily_{n}_total {n}\n" for n in range(FAMILIES))


class Server:
    """A gateway with so many groups in it."""

    def __init__(self, name: str, groups: int, command: list[str]) -> None:
        self.name = f"{name}, {groups} group{'s' if groups > 1 else ''}"
        self._process = subprocess.Popen(
            [*command, "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr
        for line in self._process.stderr:
            found = re.search(r"(?:address=|at http://)127\.0\.0\.1:(\d+)", line)
            if found:
                break
        else:
            raise SystemExit(f"{command[0]} does not serve")
        self._connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
        self.times: list[float] = []
        for group in range(groups):
            self.push(group)

    def push(self, group: int) -> float:
        """Push to a group; give the seconds."""
        start = time.perf_counter()
        self._connection.request("POST", f"/metrics/job/bench/group/{group}", BODY)
        answer = self._connection.getresponse()
        answer.read()
        took = time.perf_counter() - start
        assert answer.status == 200, answer.status
        return took

    def measure(self) -> None:
        """Push to a group that is there."""
        self.times.append(self.push(0))

    def end(self) -> None:
        """End it."""
        self._connection.close()
        self._process.kill()
        self._process.communicate()


def main(tallymark: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as place:
        commands = {
            "tallymark in memory": lambda n: [tallymark, "serve"],
            "tallymark in a file": lambda n: [tallymark, "serve", f"file:{Path(place, str(n))}"],
            "tallymark, added up": lambda n: [tallymark, "serve", "--push.aggregate"],
        }
        rival = shutil.which("prometheus-pushgateway")
        if rival:
            commands["Pushgateway"] = lambda n: [rival, "--persistence.file="]
        servers = [Server(name, n, make(n)) for name, make in commands.items() for n in SIZES]
        for _ in range(ROUNDS):
            for server in servers:
                server.measure()
        print(f"a push of {FAMILIES} families of one series, median of {ROUNDS}")
        for one, many in zip(servers[::2], servers[1::2], strict=True):
            small, large = (statistics.median(server.times) * 1e3 for server in (one, many))
            print(f"{one.name:32} {small:8.3f} ms")
            print(f"{many.name:32} {large:8.3f} ms   {large / small:5.2f} times")
        for server in servers:
            server.end()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "target/release/tallymark")
