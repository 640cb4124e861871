"""Runs of the command that looks, and programs that count meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 120.0

# The end of a program that does as it is told.
OBEY = """
print("ready", flush=True)
for line in __import__("sys").stdin:
    exec(line)
    print("done", flush=True)
"""


class Run(NamedTuple):
    """How a run ended."""

    code: int
    out: str
    err: str


class Looker:
    """Runs the command ``tallymark``; ``url`` is the store of the test."""

    def __init__(self, command: str, url: str) -> None:
        self.command = command
        self.url = url

    def __call__(self, *words: str, stdin: str = "") -> Run:
        """Run it with these arguments."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("TALLYMARK_")}
        # The Python that it starts is the one of the tests.
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
        ended = subprocess.run(
            [self.command, *words],
            input=stdin,
            capture_output=True,
            text=True,
            env=environ,
            timeout=PATIENCE,
        )
        return Run(ended.returncode, ended.stdout, ended.stderr)

    def ok(self, *words: str, stdin: str = "") -> str:
        """Run it, and give what it prints; it must succeed."""
        run = self(*words, stdin=stdin)

        assert run.code == 0, run

        return run.out

    def json(self, *words: str, stdin: str = "") -> Any:
        """Run it with ``--json``, however it ends."""
        return json.loads(self(*words, "--json", stdin=stdin).out)

    def values(self, family: str, url: str | None = None) -> dict[str, float]:
        """Give the values of a family's series by their labels' values, joined."""
        shown = self.json("show", url or self.url, "--name", family)
        assert len(shown["families"]) <= 1, shown
        series = [one for family in shown["families"] for one in family["series"]]
        return {",".join(one["labels"].values()): one["value"] for one in series}


class Program:
    """A Python program that counts in a store, and then does as it is told, line by line."""

    def __init__(self, url: str, text: str) -> None:
        program = f"from tallymark import *\n{textwrap.dedent(text)}\n{OBEY}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TALLYMARK_STORE": url},
        )
        self._hear("ready")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, line: str) -> None:
        """Have it run a line of Python, and wait until it has."""
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self._hear("done")

    def end(self) -> None:
        """Have it end, and wait until it has."""
        self._process.communicate(timeout=PATIENCE)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self._process.kill()
        self._process.communicate()

    def _hear(self, word: str) -> None:
        assert self._process.stdout

        assert self._process.stdout.readline() == word + "\n", "it ended"
