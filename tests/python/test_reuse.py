"""Defining a metric twice, emptying a registry, and tests that begin at zero."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tallymark import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    get_or_create,
)
from tallymark.core import GaugeMetricFamily
from tallymark.testing import isolated_metrics


def test_the_same_definition_gives_the_same_metric(registry: CollectorRegistry) -> None:
    """With what it has counted, whatever the help text says now."""
    first = get_or_create(Counter, "hits", "Hits.", ["path"], registry=registry)
    first.labels("/").inc()
    second = get_or_create(Counter, "hits", "Page hits.", ["path"], registry=registry)

    assert first is second
    assert 1 == registry.get_sample_value("hits_total", {"path": "/"})


def test_namespace_and_unit_belong_to_the_name(registry: CollectorRegistry) -> None:
    """It is the full name that is looked for."""
    first = get_or_create(Gauge, "size", "S.", namespace="disk", unit="bytes", registry=registry)

    assert first is get_or_create(Gauge, "disk_size_bytes", "S.", registry=registry)


@pytest.mark.parametrize(
    ("metric", "arguments"),
    [
        (Gauge, {}),
        (Histogram, {"labelnames": ["path"]}),
        (Histogram, {"buckets": [1, 2, 3]}),
    ],
)
def test_another_definition_is_refused(
    metric: type, arguments: dict[str, object], registry: CollectorRegistry
) -> None:
    """Another class, other labels, other buckets."""
    Histogram("hits", "Hits.", buckets=[1, 2], registry=registry)
    arguments = {"buckets": [1, 2], **arguments} if metric is Histogram else arguments

    with pytest.raises(ValueError, match=r"hits|Duplicated"):
        get_or_create(metric, "hits", "Hits.", registry=registry, **arguments)


def test_what_is_refused_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    """Another process's metric of the name would be hidden for good."""
    program = """
from tallymark import Counter, Gauge, REGISTRY, generate_latest, get_or_create
counter = Counter("x", "X.", ["l"])
try:
    get_or_create(Gauge, "x", "X.")
except ValueError:
    counter.labels("a").inc(3)
    print("tallymark_damaged" in generate_latest().decode())
"""
    environment = {**os.environ, "TALLYMARK_STORE": f"file:{tmp_path / 'metrics.tally'}"}

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.check_output(command, env=environment, text=True)

    shown = run(program), run("import tallymark; print(tallymark.generate_latest().decode())")

    assert "True\n" == shown[0]
    assert 'x_total{l="a"} 3.0\n' in shown[1]


def test_the_registry_may_be_given_by_position(registry: CollectorRegistry) -> None:
    """As the class takes it."""
    arguments: Any = ("hits", "Hits.", (), "", "", "", registry)

    assert get_or_create(Counter, *arguments) is get_or_create(Counter, *arguments)


def test_a_subclass_is_found_by_its_own_class(registry: CollectorRegistry) -> None:
    """It is not taken for its base."""

    class Requests(Counter):
        pass

    own = get_or_create(Requests, "hits", "Hits.", registry=registry)

    assert own is get_or_create(Requests, "hits", "Hits.", registry=registry)
    with pytest.raises(ValueError):
        get_or_create(Counter, "hits", "Hits.", registry=registry)


def test_a_module_that_is_reloaded_keeps_its_metrics(tmp_path: Path) -> None:
    """In the default registry."""
    (tmp_path / "app.py").write_text(
        "from tallymark import Counter, get_or_create\n"
        "HITS = get_or_create(Counter, 'hits', 'Hits.')\n"
        "HITS.inc()\n"
    )
    program = (
        "import importlib, app; importlib.reload(app); import tallymark;"
        "print(tallymark.REGISTRY.get_sample_value('hits_total'))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "2.0\n" == shown.stdout


def test_a_cleared_registry_is_free_for_everything(registry: CollectorRegistry) -> None:
    """Names and collectors, but not its target_info."""
    registry.set_target_info({"env": "test"})
    Counter("hits", "Hits.", registry=registry).inc()
    Info("build", "Build.", registry=registry)
    registry.clear()

    assert [] == registry.collectors()[1:]
    assert ["target"] == [family.name for family in registry.collect()]
    assert 0 == Gauge("hits", "Hits.", registry=registry)._value.get()


def test_a_reset_starts_everything_at_zero(registry: CollectorRegistry) -> None:
    """Children in hand go on counting."""
    counter = Counter("hits", "Hits.", ["path"], registry=registry)
    child = counter.labels("/")
    child.inc(exemplar={"trace": "1"})
    histogram = Histogram("latency", "L.", registry=registry)
    histogram.observe(2)
    gauge = Gauge("queue", "Q.", registry=registry)
    gauge.set(4)
    info = Info("build", "B.", registry=registry)
    info.info({"version": "1"})
    state = Enum("state", "S.", states=["off", "on"], registry=registry)
    state.state("on")
    registry.reset()

    assert 0 == registry.get_sample_value("latency_count")
    assert 0 == gauge._value.get()
    assert ({}, 0) == (info._value, state._value)
    assert child._value.get_exemplar() is None
    child.inc()
    assert 1 == registry.get_sample_value("hits_total", {"path": "/"})


def test_isolation_brings_back_what_was_unregistered(registry: CollectorRegistry) -> None:
    """And takes away what was registered, custom collectors included."""

    class Custom:
        def collect(self) -> list[GaugeMetricFamily]:
            return [GaugeMetricFamily("custom", "C.", value=1)]

    first, custom = Counter("first", "F.", registry=registry), Custom()
    with isolated_metrics(registry):
        registry.unregister(first)
        registry.register(custom)
        Counter("second", "S.", registry=registry)

    assert [first] == registry.collectors()


def test_isolation_ends_with_an_exception_too(registry: CollectorRegistry) -> None:
    """A failing test leaves nothing behind either."""
    counter = Counter("hits", "Hits.", registry=registry)
    with pytest.raises(KeyError), isolated_metrics(registry):
        counter.inc()
        Gauge("queue", "Q.", registry=registry)
        raise KeyError

    assert [counter] == registry.collectors()
    assert 0 == counter._value.get()


TESTS = """
from tallymark import REGISTRY, Counter

HITS = Counter("hits", "Hits.", ["path"])
CHILD = HITS.labels("/")

def test_one(isolated_metrics):
    CHILD.inc()
    HITS.labels("/other").inc()
    Counter("mine", "M.")
    assert 1 == isolated_metrics.get_sample_value("hits_total", {"path": "/"})

def test_two(isolated_metrics):
    assert 0 == isolated_metrics.get_sample_value("hits_total", {"path": "/"})
    assert isolated_metrics.get_sample_value("hits_total", {"path": "/other"}) is None
    assert isolated_metrics.get_sample_value("mine_total") is None
    CHILD.inc()
    assert 1 == REGISTRY.get_sample_value("hits_total", {"path": "/"})
"""


def test_pytest_isolates_each_test(tmp_path: Path) -> None:
    """By one line in conftest.py."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tallymark.pytest_plugin"]\n')
    (tmp_path / "test_app.py").write_text(TESTS)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert 0 == result.returncode, result.stdout
    assert "2 passed" in result.stdout


def test_the_default_registry_lists_its_collectors() -> None:
    """In the order of registration."""
    assert "GCCollector" in [type(collector).__name__ for collector in REGISTRY.collectors()]
