"""What every test may use: a registry of its own, a clock that stands still, a command, a Redis."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tallymark

# Tests of all folders use the hosts and scrapes of the one, and the servers of the other.
for folder in ("processes", "stores"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
pytest.register_assert_rewrite("host", "servers")

if TYPE_CHECKING:
    from servers import Redis

ROOT = Path(__file__).parents[1]


@pytest.fixture
def registry() -> tallymark.CollectorRegistry:
    """A registry that nothing else has joined."""
    return tallymark.CollectorRegistry()


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The time is 1234.5 until the test calls this with another one."""

    def set_time(now: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now)

    set_time(1234.5)
    return set_time


@pytest.fixture(scope="session", name="tallymark")
def command() -> str:
    """The command of that name, built by cargo."""
    subprocess.run(
        ["cargo", "build", "--quiet", "--package", "tallymark-cli"], cwd=ROOT, check=True
    )
    return str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug" / "tallymark")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of its own for the test, which keeps nothing on disk."""
    from servers import Redis

    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    server.kill()
