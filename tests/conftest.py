"""What every test of the product may use: a registry of its own, and a clock that stands still."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import tallymark


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
