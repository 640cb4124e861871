"""What every test may use: a registry of its own, a clock that stands still, the command."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tallymark

# Of several folders' tests, so that it is done before the first of them imports it.
pytest.register_assert_rewrite("servers")

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
