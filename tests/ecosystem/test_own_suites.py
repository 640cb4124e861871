"""The libraries' own tests pass on tallymark as they pass on the official client, one by one.

They are those of the source distributions that ``scripts/ecosystem`` has put beside the
environment. Tests that fail on the official client too have reasons of their own, such as a
database driver that is not installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from running import HERE, Programs

SOURCES = Path(sys.prefix) / "sources"

# Each with its tests, and how many of them passed when its version was chosen.
SUITES = [
    ("django_prometheus", "django_prometheus/tests", 9),
    ("opentelemetry_exporter_prometheus", "tests", 38),
    ("prometheus_async", "tests", 49),
    ("prometheus_flask_exporter", "tests", 72),
    ("prometheus_summary", "tests", 6),
    ("starlette_exporter", "tests", 62),
]


def unpack(library: str, directory: Path) -> Path:
    """Unpacks a source distribution, and adds what its tests need and it has not got."""
    (archive,) = SOURCES.glob(f"{library}-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    (unpacked,) = directory.iterdir()
    if library == "starlette_exporter":
        (unpacked / "tests" / "static").mkdir()
        (unpacked / "tests" / "static" / "test.txt").write_text("served as it is\n")
    return unpacked


@pytest.mark.parametrize(("library", "tests", "passed"), SUITES)
def test_a_librarys_own_tests_end_as_they_do_on_the_official_client(
    tmp_path: Path, library: str, tests: str, passed: int
) -> None:
    """In memory, as they are written for one process."""
    (tmp_path / "source").mkdir()
    source = unpack(library, tmp_path / "source")
    results = {}
    for client in ("prometheus_client", "tallymark"):
        programs = Programs(tmp_path)
        outcomes = tmp_path / f"{client}.json"
        programs.environment.update(
            OUTCOMES=str(outcomes),
            PYTHONPATH=str(HERE / "suites"),
            TALLYMARK_STORE="memory:",
        )
        command = [
            "python",
            "-m",
            "pytest",
            "-q",
            "-p",
            "outcomes",
            "-p",
            "no:cacheprovider",
            tests,
        ]
        done = subprocess.run(
            programs.command(*command, official=client == "prometheus_client"),
            cwd=source,
            env=programs.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        print(done.stdout, done.stderr)
        results[client] = json.loads(outcomes.read_text())

        assert client == results[client]["client"]

    official = results["prometheus_client"]["outcomes"]

    assert passed == list(official.values()).count("passed")
    assert official == results["tallymark"]["outcomes"]
