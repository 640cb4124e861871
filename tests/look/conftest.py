"""Stores, programs and servers to look at with the command, ended with the tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("looking")

from looking import Looker, Program  # noqa: E402


@pytest.fixture
def look(tallymark: str, tmp_path: Path) -> Looker:
    """Runs the command, on a store that is not there yet."""
    return Looker(tallymark, f"file:{tmp_path / 'metrics.tally'}")


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    """Makes programs that count in a store: of its URL and of Python text."""
    made: list[Program] = []

    def make(url: str, text: str) -> Program:
        made.append(Program(url, text))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def serve(tallymark: str) -> Iterator[Callable[[str], str]]:
    """Serves stores: gives the address for a store's URL."""
    made: list[subprocess.Popen[str]] = []

    def start(url: str) -> str:
        command = [tallymark, "serve", url, "--web.listen-address", "127.0.0.1:0"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        made.append(process)
        assert process.stderr
        told = ""
        for line in process.stderr:
            told += line
            if "http://" in line:
                return "http://" + line.split("http://", 1)[1].split("/", 1)[0].strip()
        raise AssertionError(f"it ended:\n{told}")

    yield start
    for process in made:
        process.terminate()
        process.communicate()
