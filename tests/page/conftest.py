"""Debian's Chromium, pages in it, and real servers to show."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("browser", "serving", "steps")

from browser import Browser, Page  # noqa: E402
from serving import Served  # noqa: E402

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests: each has pages that know nothing of the others'."""
    subprocess.run([ROOT / "scripts" / "debian", "chromium"], check=True)
    browser = Browser(tmp_path_factory.mktemp("chromium") / "profile")
    yield browser
    browser.close()


@pytest.fixture
def serve(tallymark: str, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers with options, in memory unless a store is named."""
    started: list[Served] = []

    def start(*options: object) -> Served:
        log = tmp_path / f"server-{len(started)}.log"
        started.append(Served(tallymark, log, *options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def page(chromium: Browser, serve: Callable[..., Served]) -> Iterator[Page]:
    """
    A page that must not complain of anything; a test that makes it do so clears its `problems`.

    It is closed before the servers are, which it would miss.
    """
    page = chromium.page()
    yield page
    page.close()

    assert page.problems == []


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    """A server in memory, to which a test pushes what it wants to see."""
    return serve()
