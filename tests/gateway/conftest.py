"""Running gateways, and a Redis, for the tests of ``tallymark serve``; ended with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The Redis of these tests is that of the tests of stores.
for beside in ("processes", "stores"):
    sys.path.insert(0, str(Path(__file__).parent.parent / beside))
pytest.register_assert_rewrite("gateways")

from gateways import Gateway  # noqa: E402
from servers import Redis  # noqa: E402


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
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis of its own for the test, which keeps nothing on disk."""
    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The URL of a file that is not there yet."""
    return f"file:{tmp_path / 'metrics.tally'}"
