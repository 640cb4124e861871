"""A host for the tests: a directory with a store in it, and processes that come and go.

Workers are scripts in processes of their own. They and the test take turns by lines through pipes,
never by waiting: a worker calls ``say`` and ``hear``, the test `Worker.hear` and `Worker.say`. What
hangs is killed after a minute, and fails with what it last wrote.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from prometheus_client.parser import text_string_to_metric_families

# A minute is many times what any step takes on two busy cores.
PATIENCE = 60.0

# What every script may use without a word.
PRELUDE = """
import atexit, gc, json, logging, os, resource, signal, subprocess, sys, threading
import tallymark, tallymark.core
from tallymark import *

def say(*words):
    print(*words, flush=True)

def hear():
    return sys.stdin.readline().rstrip("\\n")

def wait_for(child):
    status = os.waitpid(child, 0)[1]
    assert status == 0, f"a child ended with status {status}"

def own(name, **labels):
    return REGISTRY.get_sample_value(name, {k: str(v) for k, v in labels.items()})

def own_values(name):
    samples = [one for family in REGISTRY.collect() for one in family.samples if one.name == name]
    return [one.value for one in samples]

class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []
    def emit(self, record):
        self.records.append(record)

records = Records()
logging.getLogger("tallymark").addHandler(records)

def messages():
    return [f"{r.levelname} {r.getMessage()}" for r in records.records]

"""

SCRAPE = "import sys, tallymark; sys.stdout.buffer.write(tallymark.generate_latest())"


class Scrape:
    """The samples of one exposition, as the official client's parser reads them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = [one for family in self.families.values() for one in family.samples]

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Give the values of a sample name by label values, in the order of the labels' names."""
        found: dict[tuple[str, ...], float] = {}
        for one in self._samples:
            if one.name != name:
                continue
            labels = tuple(one.labels[label] for label in sorted(one.labels))
            assert labels not in found, f"{name}{one.labels} appears twice"
            found[labels] = one.value
        return found

    def value(self, name: str, *labels: object) -> float | None:
        """Give one sample's value, None if there is no such sample."""
        return self.values(name).get(tuple(str(label) for label in labels))


class Worker:
    """A process that runs a script."""

    def __init__(self, process: subprocess.Popen[str], stderr: Path) -> None:
        self.process = process
        self._stderr = stderr
        self._watchdog = threading.Timer(PATIENCE, self._kill_all)
        self._watchdog.daemon = True
        self._watchdog.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def say(self, *words: object) -> None:
        """Send a line to the worker."""
        pipe = self._pipe(self.process.stdin)
        pipe.write(" ".join(str(word) for word in words) + "\n")
        pipe.flush()

    def hear(self, expected: str | None = None) -> str:
        """Wait for the worker's next line, and give it."""
        line = self._pipe(self.process.stdout).readline()
        if not line:
            status = self.process.wait()
            raise AssertionError(
                f"the worker ended with {status} or hung; it wrote:\n{self.stderr}"
            )
        line = line.rstrip("\n")
        assert expected is None or expected == line, f"{line}\n{self.stderr}"
        return line

    def ask(self, *words: object) -> str:
        """Send a line, and give the answer."""
        self.say(*words)
        return self.hear()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self._watchdog.cancel()

    def end(self, status: int | None = 0) -> str:
        """Let the worker go on to its end, and give what else it says."""
        self._pipe(self.process.stdin).close()
        rest = self._pipe(self.process.stdout).read()
        found = self.process.wait(PATIENCE)
        self._watchdog.cancel()
        assert status is None or status == found, f"ended with {found}:\n{self.stderr}"
        return rest

    def close(self) -> None:
        """Make sure that nothing is left of it."""
        self._watchdog.cancel()
        self._kill_all()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass

    def _kill_all(self) -> None:
        # Its children too: they have the other ends of the pipes.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


class Host:
    """A directory, a store in it, and the processes that the test starts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "metrics.tally"
        self.environment: dict[str, str] = {"TALLYMARK_STORE": f"file:{self.store}"}
        self.prefix: list[str] = []
        self._started: list[Worker] = []

    def start(
        self, script: str, *arguments: object, prefix: Iterable[str] | None = None, **names: str
    ) -> Worker:
        """
        Start a script.

        Args:
            script: Python, with `PRELUDE` before it.

            arguments: Its ``sys.argv[1:]``.

            prefix: A command that runs the rest of its arguments.

            names: What to add to the environment.
        """
        command = [sys.executable, "-c", PRELUDE + textwrap.dedent(script)]
        return self.command([*command, *map(str, arguments)], prefix=prefix, **names)

    def command(
        self, command: list[str], *, prefix: Iterable[str] | None = None, **names: str
    ) -> Worker:
        """Start any command; as `start`."""
        errors = self.directory / f"stderr-{len(self._started)}"
        prefix = self.prefix if prefix is None else list(prefix)
        with errors.open("w") as stderr:
            process = subprocess.Popen(
                [*prefix, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**clean_environment(), **self.environment, **names},
                cwd=self.directory,
                start_new_session=True,
            )
        worker = Worker(process, errors)
        self._started.append(worker)
        return worker

    def run(self, script: str, *arguments: object, status: int | None = 0, **names: Any) -> str:
        """Run a script to its end, and give what it says."""
        return self.start(script, *arguments, **names).end(status)

    def run_all(self, scripts: Iterable[str], status: int | None = 0) -> list[str]:
        """Run scripts to their end, four at a time."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda script: self.run(script, status=status), scripts))

    def scrape(self, **names: str) -> Scrape:
        """Read the store in a process that declares nothing."""
        return Scrape(self.command([sys.executable, "-c", SCRAPE], **names).end())

    def close(self) -> None:
        """Kill what is left."""
        for worker in self._started:
            worker.close()


def clean_environment() -> dict[str, str]:
    """Give this process's environment without the variables that choose a store."""
    names = ("TALLYMARK_STORE", "PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
    return {name: value for name, value in os.environ.items() if name not in names}


class Sandbox:
    """
    A mount namespace, in which file systems can be small, full or read-only.

    Root makes one as it is; anybody else becomes root of a user namespace first.
    """

    def __init__(self, host: Host, mount: str) -> None:
        for tool in ("unshare", "nsenter", "mount"):
            assert shutil.which(tool), f"these tests need {tool}, of util-linux and mount"
        ways = [["-m"], ["-r", "-m"]] if os.geteuid() == 0 else [["-r", "-m"]]
        for way in ways:
            keeper = host.command(
                ["unshare", *way, "sh", "-c", f"({mount}) && echo ready && read line || true"],
                prefix=[],
            )
            if keeper.process.stdout and keeper.process.stdout.readline() == "ready\n":
                user = ["-U", "--preserve-credentials"] if "-r" in way else []
                self.prefix = ["nsenter", "-t", str(keeper.pid), "-m", *user, "--"]
                return
        raise AssertionError(
            "cannot mount anything here: run the tests as root with CAP_SYS_ADMIN, or allow"
            f" unprivileged user namespaces\n{keeper.stderr}"
        )

    def run(self, *command: str) -> None:
        """Run a command in the namespace."""
        subprocess.run([*self.prefix, *command], check=True, timeout=PATIENCE)
