"""Choosing a store from Python, and the official client's multiprocess functions on top of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from tallymark import CollectorRegistry, Counter, Gauge, _tallymark, generate_latest, use_store
from tallymark.core import REGISTRY, GaugeMetricFamily, Metric
from tallymark.multiprocess import MultiProcessCollector, mark_process_dead


def run(program: str, *arguments: str, **environment: str) -> str:
    """Run a program in a Python of its own; give what it prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    ).stdout


def test_memory_is_the_store_unless_another_is_chosen() -> None:
    """Nothing is shared without being asked."""
    assert "memory:\n" == run("import tallymark._tallymark as t; print(t.store_url())")


def test_choosing_memory_keeps_what_was_counted(registry: CollectorRegistry) -> None:
    """A change of the store carries the numbers over."""
    hits = Counter("hits", "h", registry=registry)
    hits.inc(2)
    use_store("memory:")
    hits.inc(3)

    assert 5 == registry.get_sample_value("hits_total")
    assert "memory:" == _tallymark.store_url()


@pytest.mark.parametrize("url", ["", "nonsense", "carrier-pigeon:coop", "memory:x"])
def test_an_unknown_store_is_an_error(url: str) -> None:
    """And the one in use stays."""
    with pytest.raises(ValueError):
        use_store(url)

    assert "memory:" == _tallymark.store_url()


def test_leaving_the_store_loses_nothing(registry: CollectorRegistry) -> None:
    """It happens at exit, and what is counted afterwards counts too."""
    hits = Counter("hits", "h", registry=registry)
    hits.inc()
    _tallymark.leave()
    hits.inc()

    assert 2 == registry.get_sample_value("hits_total")


@pytest.mark.parametrize("directory", [None, "", "/not/there", __file__])
def test_the_collector_needs_a_directory(
    directory: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the argument or from the environment, with the official client's words."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.delenv("prometheus_multiproc_dir", raising=False)
    if directory is not None:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", directory)
    message = "env PROMETHEUS_MULTIPROC_DIR is not set or not a directory"

    with pytest.raises(ValueError, match=message):
        MultiProcessCollector(CollectorRegistry())
    with pytest.raises(ValueError, match=message):
        MultiProcessCollector(None, path=directory)


def test_the_old_name_of_the_variable_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one warning."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setenv("prometheus_multiproc_dir", str(tmp_path))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MultiProcessCollector(None)
        MultiProcessCollector(None)

    assert [DeprecationWarning] == [warning.category for warning in caught]
    assert str(tmp_path) == os.environ.pop("PROMETHEUS_MULTIPROC_DIR")


WHOLE = """
import urllib.request
from tallymark import CollectorRegistry, Counter, Gauge, generate_latest, start_http_server
from tallymark.multiprocess import MultiProcessCollector

Counter("loose", "h", registry=None).inc(2)
Gauge("elsewhere", "h", multiprocess_mode="sum", registry=CollectorRegistry()).set(3)
shown = CollectorRegistry()
server, _ = start_http_server(0, "127.0.0.1", shown)
collector = MultiProcessCollector(shown)
text = generate_latest(shown)
assert b"loose_total 2.0\\n" in text, text
assert b"# HELP elsewhere h\\n# TYPE elsewhere gauge\\nelsewhere 3.0\\n" in text, text
restricted = generate_latest(shown.restricted_registry(["elsewhere"]))
assert restricted == b"# HELP elsewhere h\\n# TYPE elsewhere gauge\\nelsewhere 3.0\\n", restricted
assert shown.get_sample_value("elsewhere") == 3
assert "elsewhere" in [family.name for family in collector.collect()]
url = f"http://127.0.0.1:{server.server_port}/metrics"
with urllib.request.urlopen(url) as answer:
    assert b"elsewhere 3.0\\n" in answer.read()
"""


def test_the_collector_shows_the_metrics_of_other_registries_and_of_none(tmp_path: Path) -> None:
    """A registry for the scrape, as the official client's manual has it, served too."""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    environment.pop("TALLYMARK_STORE", None)
    result = subprocess.run(
        [sys.executable, "-c", WHOLE], env=environment, capture_output=True, timeout=60
    )

    assert (0, b"") == (result.returncode, result.stderr)


def test_metrics_beside_the_collector_appear_once(tmp_path: Path) -> None:
    """In the official client's multiprocess mode they appear twice."""
    shown = CollectorRegistry()
    Gauge("before", "h", registry=shown)
    MultiProcessCollector(shown, path=tmp_path)
    MultiProcessCollector(shown, path=str(tmp_path))
    Counter("after", "h", registry=shown)
    text = generate_latest(shown)

    assert 1 == text.count(b"# TYPE before gauge")
    assert 1 == text.count(b"# TYPE after_total counter")


def test_the_collector_claims_no_names(tmp_path: Path) -> None:
    """Whatever the store holds, this process may declare it too, also in the default registry."""
    Gauge("in_default_registry", "h")
    collector = MultiProcessCollector(REGISTRY, path=tmp_path)
    try:
        again = Gauge("in_default_registry_too", "h")
        text = generate_latest()

        assert 1 == text.count(b"# TYPE in_default_registry gauge")
        assert 1 == text.count(b"# TYPE in_default_registry_too gauge")
        REGISTRY.unregister(again)
    finally:
        REGISTRY.unregister(collector)
        REGISTRY.unregister(REGISTRY._names_to_collectors["in_default_registry"])


def test_custom_collectors_of_other_registries_are_not_shown(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    """They are no part of the store."""

    class Custom:
        def collect(self) -> list[Metric]:
            return [GaugeMetricFamily("custom", "h", value=1)]

    registry.register(Custom())
    shown = CollectorRegistry()
    MultiProcessCollector(shown, path=tmp_path)

    assert b"custom" not in generate_latest(shown)


def test_unregistering_the_collector_leaves_the_registry_its_own(tmp_path: Path) -> None:
    """As if it had never been there."""
    shown = CollectorRegistry()
    Gauge("own", "h", registry=shown)
    before = generate_latest(shown)
    shown.unregister(MultiProcessCollector(shown, path=tmp_path))

    assert before == generate_latest(shown)


WORKER = """
import sys
from tallymark import Counter, CollectorRegistry, Gauge, generate_latest
from tallymark.multiprocess import MultiProcessCollector
jobs = Counter("jobs", "h", ["worker"])
jobs.labels(sys.argv[1]).inc(int(sys.argv[1]))
Counter("shared", "h").inc(int(sys.argv[1]))
Counter("only_in_" + sys.argv[1], "h").inc()
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_a_deployment_shows_all_its_processes(tmp_path: Path) -> None:
    """Those that have ended, and what only they have declared, included."""
    directory = str(tmp_path)
    run(WORKER, "2", PROMETHEUS_MULTIPROC_DIR=directory)
    lines = run(WORKER, "3", PROMETHEUS_MULTIPROC_DIR=directory).splitlines()

    assert {
        'jobs_total{worker="2"} 2.0',
        'jobs_total{worker="3"} 3.0',
        "shared_total 5.0",
        "only_in_2_total 1.0",
        "only_in_3_total 1.0",
    } <= set(lines)
    assert 1 == lines.count("# TYPE shared_total counter")


def test_a_dead_process_may_be_reported_at_any_time() -> None:
    """In a signal handler that interrupts itself, with or without a directory."""
    reported = []

    def handler(number: int, frame: object) -> None:
        mark_process_dead(len(reported), path="/not/there")
        reported.append(number)
        if len(reported) < 3:
            os.kill(os.getpid(), signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, handler)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        mark_process_dead(4711)
    finally:
        signal.signal(signal.SIGUSR1, former)

    assert 3 == len(reported)
