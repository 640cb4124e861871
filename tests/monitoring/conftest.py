"""Applications and Prometheus servers for the tests of a file, ended with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scraping import Exposition, Prometheus


@pytest.fixture(scope="module")
def serve_text() -> Iterator[Callable[[Callable[[int], str]], Exposition]]:
    """Serves the text that a function gives for the number of a scrape."""
    served: list[Exposition] = []

    def serve(text: Callable[[int], str]) -> Exposition:
        served.append(Exposition(text))
        return served[-1]

    yield serve
    for one in served:
        one.close()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Prometheus]]:
    """Starts a Prometheus, for a target and perhaps with rules."""
    started: list[Prometheus] = []

    def start(target: str, rules: Path | None = None) -> Prometheus:
        directory = tmp_path_factory.mktemp("prometheus") / "state"
        started.append(Prometheus(directory, target, rules))
        return started[-1]

    yield start
    for one in started:
        one.close()
