"""Both packages side by side: the same code runs on each, and what comes out is compared."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

MODULES = (
    "asgi",
    "bridge.graphite",
    "context_managers",
    "core",
    "decorator",
    "exposition",
    "gc_collector",
    "metrics",
    "metrics_core",
    "mmap_dict",
    "openmetrics.exposition",
    "openmetrics.parser",
    "parser",
    "platform_collector",
    "process_collector",
    "registry",
    "samples",
    "utils",
    "validation",
)


def load(package: str) -> SimpleNamespace:
    """
    Give a package with its modules as attributes: ``openmetrics`` is the exposition of that name,
    ``openmetrics_parser`` its parser, ``bridge_graphite`` the bridge to Graphite.
    """
    client = SimpleNamespace(package=importlib.import_module(package))
    for name in MODULES:
        module = importlib.import_module(f"{package}.{name}")
        setattr(client, name.removesuffix(".exposition").replace(".", "_"), module)
    return client


OFFICIAL = load("prometheus_client")
OURS = load("tallymark")


def outcome(program: Callable[..., Any], *arguments: Any) -> Any:
    """Run it; give what it returns, or the type and the text of what it raises."""
    try:
        return program(*arguments)
    except Exception as error:
        return type(error).__name__, str(error.args[0]) if error.args else ""


@pytest.fixture
def same(stopped_clock: Callable[[float], None]) -> Iterator[Callable[..., Any]]:
    """Run a program on both packages, assert that the outcomes are equal, and give ours."""
    del stopped_clock

    def run(program: Callable[..., Any], *arguments: Any) -> Any:
        theirs = outcome(program, OFFICIAL, *arguments)
        ours = outcome(program, OURS, *arguments)

        assert theirs == ours
        return ours

    yield run
    # One program switches it off.
    for package in (OFFICIAL, OURS):
        package.metrics.enable_created_metrics()


@pytest.fixture
def official() -> SimpleNamespace:
    """The official package alone."""
    return OFFICIAL


@pytest.fixture
def ours(same: Callable[..., Any]) -> SimpleNamespace:
    """Our package alone, in the same circumstances."""
    del same
    return OURS
