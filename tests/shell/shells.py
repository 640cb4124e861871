"""A shell as the tests have it: bash in a directory, with the command on its path and a store."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from host import PATIENCE, Scrape


class Shell:
    """A directory with a store, in which scripts are run."""

    def __init__(self, tallymark: str, directory: Path) -> None:
        self.tallymark = tallymark
        self.directory = directory
        self.store = f"file:{directory}/metrics.tally"
        self._running: list[subprocess.Popen[str]] = []

    def environment(self, **changes: str) -> dict[str, str]:
        """Give what scripts find in their environment."""
        path = f"{Path(self.tallymark).parent}:{os.environ['PATH']}"
        own = {"PATH": path, "TALLYMARK_STORE": self.store, "HOME": str(self.directory)}
        return {**os.environ, **own, **changes}

    def start(
        self, script: str, *, stderr: int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a script; it is killed at the end of the test."""
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=self.directory,
            env=self.environment(**environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def run(
        self, script: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        process = self.start(script, **environment)
        stdout, stderr = process.communicate(stdin, timeout=PATIENCE)
        return subprocess.CompletedProcess(script, process.returncode, stdout, stderr)

    def do(self, script: str, stdin: str = "", **environment: str) -> str:
        """Run a script that must end well and say nothing on stderr; give its stdout."""
        ended = self.run(script, stdin, **environment)

        assert (0, "") == (ended.returncode, ended.stderr), ended
        return ended.stdout

    def shown(self, store: str | None = None) -> Scrape:
        """Give what is in the store."""
        return Scrape(self.do(f"tallymark show '{store or self.store}'"))

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
