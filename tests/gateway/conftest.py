"""Running gateways for the tests of ``tallymark serve``; ended with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("gateways")

from gateways import Gateway  # noqa: E402


@pytest.fixture
def serve(tallymark: str, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts servers with arguments."""
    started: list[Gateway] = []

    def start(*arguments: object) -> Gateway:
        started.append(Gateway(tallymark, tmp_path / f"serve-{len(started)}.log", *arguments))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a file that is not there yet."""
    return f"file:{tmp_path / 'metrics.tally'}"
