"""The standard collectors show what the system knows, and nothing where it knows nothing."""

from __future__ import annotations

import gc
import os
import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tallymark import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector
from tallymark.core import DuplicateTimeseries

FIELDS = ["S", *["0"] * 10, "1521", "200", *["0"] * 6, "7675", "56274944", "1981"]


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A proc file system with one process, whose name is meant to confuse."""
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1418183276\n")
    process = tmp_path / "7"
    (process / "fd").mkdir(parents=True)
    for number in range(5):
        (process / "fd" / str(number)).touch()
    (process / "stat").write_text("7 (a) b (c) " + " ".join(FIELDS))
    (process / "limits").write_text(
        "Limit   Soft Limit  Hard Limit  Units\nMax open files  2048  4096  files\n"
    )
    return tmp_path


def collector_of(proc: Path, registry: CollectorRegistry, pid: object = "7\n") -> ProcessCollector:
    """Give a collector of the process, on a system with the usual units."""
    collector = ProcessCollector(proc=str(proc), pid=lambda: pid, registry=registry)  # type: ignore[arg-type,return-value]
    collector._ticks = 100
    collector._pagesize = 4096
    return collector


def test_a_process_shows_its_standard_families(proc: Path, registry: CollectorRegistry) -> None:
    """In the order, and with the units, of every Prometheus client."""
    collector_of(proc, registry)

    assert [
        ("process_virtual_memory_bytes", 56274944.0),
        ("process_resident_memory_bytes", 1981 * 4096.0),
        ("process_start_time_seconds", 1418183276 + 76.75),
        ("process_cpu_seconds_total", 17.21),
        ("process_open_fds", 5.0),
        ("process_max_fds", 2048.0),
    ] == [(sample.name, sample.value) for f in registry.collect() for sample in f.samples]


def test_a_namespace_comes_first(proc: Path, registry: CollectorRegistry) -> None:
    """Joined with an underscore."""
    ProcessCollector(namespace="n", proc=str(proc), pid=lambda: 7, registry=registry)

    assert 2048 == registry.get_sample_value("n_process_max_fds")


def test_an_unlimited_number_of_files_is_infinite(proc: Path, registry: CollectorRegistry) -> None:
    """It has no number."""
    (proc / "7" / "limits").write_text("Max open files  unlimited  unlimited  files\n")
    collector_of(proc, registry)

    assert float("inf") == registry.get_sample_value("process_max_fds")


def test_what_may_not_be_read_is_left_out(proc: Path, registry: CollectorRegistry) -> None:
    """The rest is shown: of another user's process, memory without files."""
    (proc / "7" / "limits").unlink()
    collector_of(proc, registry)

    assert registry.get_sample_value("process_open_fds") is None
    assert 17.21 == registry.get_sample_value("process_cpu_seconds_total")


def test_a_process_that_has_gone_shows_nothing(proc: Path, registry: CollectorRegistry) -> None:
    """And fails no scrape."""
    collector_of(proc, registry, pid=8)

    assert [] == list(registry.collect())


def test_without_a_proc_file_system_nothing_is_shown_or_claimed(tmp_path: Path) -> None:
    """So that another collector may provide the families there."""
    registry = CollectorRegistry(auto_describe=True)
    collector_of(tmp_path, registry)
    Gauge("process_open_fds", "h", registry=registry)

    assert ["process_open_fds"] == [family.name for family in registry.collect()]


def test_names_are_claimed_without_opening_a_file(
    proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registration is part of an import."""
    registry = CollectorRegistry(auto_describe=True)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda *_: pytest.fail("a file was opened"))
        collector_of(proc, registry)

    with pytest.raises(DuplicateTimeseries):
        Gauge("process_open_fds", "h", registry=registry)


def test_this_process_is_the_default(registry: CollectorRegistry) -> None:
    """With plausible values."""
    ProcessCollector(registry=registry)
    value = registry.get_sample_value

    assert len(os.listdir("/proc/self/fd")) == pytest.approx(value("process_open_fds"), abs=2)
    assert 1_000_000 < (value("process_resident_memory_bytes") or 0)
    assert 0 < (value("process_cpu_seconds_total") or 0) < 3600
    assert Path("/proc/self").stat().st_mtime == pytest.approx(
        value("process_start_time_seconds"), abs=60
    )


def test_the_platform_is_one_series(registry: CollectorRegistry) -> None:
    """Whose labels say it."""
    PlatformCollector(registry=registry)
    major, minor, patchlevel = platform.python_version_tuple()

    assert 1 == registry.get_sample_value(
        "python_info",
        {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        },
    )


def test_java_is_described_too(registry: CollectorRegistry) -> None:
    """Where Python runs on it."""
    java = SimpleNamespace(
        python_version_tuple=lambda: ("2", "7", "3"),
        python_version=lambda: "2.7.3",
        python_implementation=lambda: "Jython",
        system=lambda: "Java",
        java_ver=lambda: ("1.8", "vendor", ("VM", "25", "Oracle"), ("os", "1", "x86")),
    )
    family, *_ = PlatformCollector(registry=None, platform=java).collect()
    labels = family.samples[0].labels

    assert ["1.8", "25", "Oracle", "VM"] == [
        labels[f"jvm_{part}"] for part in ("version", "release", "vendor", "name")
    ]


def test_what_the_garbage_collector_did_is_counted(registry: CollectorRegistry) -> None:
    """By generation, and scrapes add nothing of their own."""
    GCCollector(registry=registry)

    def collected() -> float:
        return (
            registry.get_sample_value("python_gc_objects_collected_total", {"generation": "0"})
            or 0.0
        )

    gc.collect()
    gc.disable()
    try:
        before = collected()
        gc.collect(0)

        assert before == collected()

        cycle: list[Any] = []
        cycle.append(cycle)
        del cycle
        gc.collect(0)

        assert before + 1 == collected()
    finally:
        gc.enable()


def test_other_interpreters_get_no_garbage_collector(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their counters mean something else, or are not there."""
    monkeypatch.setattr(platform, "python_implementation", lambda: "PyPy")
    GCCollector(registry=registry)

    assert [] == list(registry.collect())
