"""What the tests of the ecosystem's libraries share: programs on one store, and a redis-server.

They run in an environment of their own, which has these libraries: see ``scripts/ecosystem``.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("running")

from running import HOST, Programs, free_port, wait_for_port  # noqa: E402

if importlib.util.find_spec("django_prometheus") is None:
    # Another environment: there is nothing here that could run, and scripts/test runs the other.
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Programs that count in one file."""
    programs = Programs(tmp_path)
    programs.share_file()
    yield programs
    programs.end()


@pytest.fixture(params=["file", "directory"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Programs]:
    """Programs that share what they count, told so by `exec`, or by the official client's way."""
    programs = Programs(tmp_path)
    if request.param == "file":
        programs.share_file()
    else:
        programs.share_directory()
    yield programs
    programs.end()


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    """The port of a redis-server that nobody else uses and that keeps nothing."""
    port = free_port()
    options = ["--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(["redis-server", *options], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)
