"""The two that are compared: a process with one of them loaded, which does tasks when told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

_WORKER = Path(__file__).with_name("worker.py")


class Side:
    """
    A process that counts in a database.

    Args:
        package: ``prometheus_distributed_client`` or ``tallymark``.

        place: The URL of a Redis database, or the path of an SQLite database; Tallymark's store.
    """

    def __init__(self, package: str, place: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TALLYMARK_")}
        environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
        self._package = package
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), package, place],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, task: str, **arguments: object) -> None:
        """Have a task begun."""
        assert self._process.stdin
        print(json.dumps([task, arguments]), file=self._process.stdin, flush=True)

    def hear(self) -> Any:
        """
        Wait for what the task gives.

        Raises:
            RuntimeError: The process has ended; it has told why on stderr.
        """
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker of {self._package} has ended")
        return json.loads(answer)

    def ask(self, task: str, **arguments: object) -> Any:
        """Have a task done, and wait for what it gives."""
        self.tell(task, **arguments)
        return self.hear()

    def __enter__(self) -> Side:
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


def of_redis(port: int, directory: Path) -> tuple[Side, Side]:
    """Give both, in one server; Tallymark's spool is in the directory."""
    url = f"redis://127.0.0.1:{port}"
    return (
        Side("prometheus_distributed_client", f"{url}/0"),
        Side("tallymark", f"{url}/1?prefix=bench&spool={directory}/redis.tally"),
    )
