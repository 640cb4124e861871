"""Tallymark beside prometheus-distributed-client: run ``python bench/distributed``, for tables.

It needs that package, redis-py and a redis-server: ``scripts/ecosystem`` installs them, and its
Python runs this: ``.venv-ecosystem/bin/python bench/distributed``. Both count in the same server
and on the same disk; figures are medians of rounds in which they take turns. It asserts nothing:
what is slow on a busy machine is no error.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "python"))

import calls
import locks
import machine
import scrapes
from clients import shared_place

_ROUNDS = 5


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="bench/distributed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    rounds = parser.parse_args().rounds
    print(machine.heading(), flush=True)
    theirs = f"prometheus-distributed-client {version('prometheus-distributed-client')}"
    print(f"\nBeside {theirs}, redis-py {version('redis')}.", flush=True)
    with _directory() as directory:
        with _redis(directory) as port:
            calls.run(rounds, port, directory)
            scrapes.run(rounds, port, directory)
    locks.run(rounds)
    print(f"\nWhen they were done: {machine.load()}.", flush=True)


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="tallymark-bench-", dir=shared_place()))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def _redis(directory: Path) -> Iterator[int]:
    """Have a server, which keeps nothing, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(["redis-server", *options], cwd=directory, stdout=subprocess.DEVNULL)
    try:
        while server.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.05)
        yield port
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
