"""Shells and servers for the tests of what is counted from shells, ended with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Scrapes are those of the tests of processes, servers those of the tests of stores.
for folder in ("processes", "stores"):
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))
pytest.register_assert_rewrite("shells")

from servers import Redis  # noqa: E402
from shells import Shell  # noqa: E402


@pytest.fixture
def shell(tallymark: str, tmp_path: Path) -> Iterator[Shell]:
    """A shell with a store that is not there yet."""
    shell = Shell(tallymark, tmp_path)
    yield shell
    shell.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis, which runs."""
    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    server.kill()
