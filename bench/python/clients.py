"""The ways of counting that are compared, each in a process of its own.

A `Worker` has one client loaded and does a task when it is told to, so that the rounds of several
workers can be interleaved and none sees the memory, the environment or the files of another.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_WORKER = Path(__file__).with_name("worker.py")
_VARIABLES = (
    "PROMETHEUS_DISABLE_CREATED_SERIES",
    "PROMETHEUS_MULTIPROC_DIR",
    "TALLYMARK_STORE",
    "prometheus_multiproc_dir",
)
_ROOM = 2 << 30
"""What the shared directories may need, in bytes."""


@dataclass(frozen=True)
class Client:
    """
    A package, and whether its processes share their numbers.

    Sharing is asked for as the official client's users do, by ``PROMETHEUS_MULTIPROC_DIR``.
    """

    title: str
    package: str
    shared: bool


OFFICIAL = Client("official", "prometheus_client", shared=False)
MEMORY = Client("tallymark", "tallymark", shared=False)
OFFICIAL_SHARED = Client("official multiprocess", "prometheus_client", shared=True)
FILE = Client("tallymark file", "tallymark", shared=True)
CLIENTS = (OFFICIAL, MEMORY, OFFICIAL_SHARED, FILE)


def shared_place() -> str:
    """
    Give where the shared directories are made: memory if there is room, so that no disk is timed.
    """
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM:
        return str(memory)
    return tempfile.gettempdir()


class Worker:
    """
    A process with one client loaded, and a directory of its own if its numbers are shared.

    Args:
        client: What it counts with.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        environment = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
        self.directory = Path(tempfile.mkdtemp(prefix="tallymark-bench-", dir=shared_place()))
        if client.shared:
            environment["PROMETHEUS_MULTIPROC_DIR"] = str(self.directory)
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), client.package],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, task: str, **arguments: object) -> Any:
        """
        Have a task done, and wait for what it gives.

        Args:
            task: A function of `worker.Tasks`.

            arguments: Its arguments.

        Raises:
            RuntimeError: The worker has ended; it has told why on stderr.
        """
        assert self._process.stdin and self._process.stdout
        try:
            print(json.dumps([task, arguments]), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker of {self.client.title!r} has ended in {task}")
        return json.loads(answer)

    def disk(self) -> tuple[int, int]:
        """Give how many files its directory has, and how many bytes they take."""
        status = [path.stat() for path in self.directory.iterdir()]
        return len(status), sum(one.st_blocks * 512 for one in status)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        shutil.rmtree(self.directory)
