"""The environment variables of the official client have the same effect on both packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = """
from {package} import CollectorRegistry, Counter, generate_latest, metrics, validation
registry = CollectorRegistry()
Counter("plain", "h", registry=registry)
try:
    Counter("with.dot", "h", registry=registry)
except ValueError as error:
    print(error)
print(metrics._use_created, validation.get_legacy_validation())
print([line for line in generate_latest(registry).decode().splitlines() if "e+" not in line])
"""

DIRECTORY = """
import os, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from {package} import CollectorRegistry, multiprocess
    try:
        multiprocess.MultiProcessCollector(CollectorRegistry())
    except ValueError as error:
        print(error)
for warning in caught:
    print(warning.category.__name__, warning.message)
print(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
"""


def told(program: str, **environment: str) -> list[str]:
    """Give what a program prints with each package, in an environment."""
    return [
        subprocess.check_output(
            [sys.executable, "-c", program.format(package=package)],
            env={**os.environ, **environment},
            text=True,
        )
        for package in ("prometheus_client", "tallymark")
    ]


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "t", "yes", "0", "false", ""])
def test_switches_are_read_alike(value: str) -> None:
    """Both at once: no ``_created`` samples, and names of ASCII only."""
    theirs, ours = told(
        NAMES, PROMETHEUS_DISABLE_CREATED_SERIES=value, PROMETHEUS_LEGACY_NAME_VALIDATION=value
    )

    assert theirs == ours
    assert (value in ("true", "TRUE", "1", "t")) == ours.startswith("invalid metric name with.dot")


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize("there", [True, False])
def test_the_directory_of_multiprocess_mode_is_read_alike(
    name: str, there: bool, tmp_path: Path
) -> None:
    """Its old name gives a warning; a directory that is not there is an error."""
    theirs, ours = told(DIRECTORY, **{name: str(tmp_path if there else tmp_path / "not there")})

    assert theirs == ours
    assert ("DeprecationWarning" in ours) == name.islower()
    assert ("env PROMETHEUS_MULTIPROC_DIR is not set" in ours) == (not there)


def test_without_a_directory_there_is_no_multiprocess_collector() -> None:
    """It says which variable it wants."""
    theirs, ours = told(DIRECTORY)

    assert theirs == ours
