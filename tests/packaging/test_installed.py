"""What `pip install` brings: the package, and the command itself on PATH."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VERSION = re.findall(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[0]


def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command says on stdout; it must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The bin of a fresh virtual environment, into which this directory was installed."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=venv.parent)
    pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "install", ROOT, cwd=venv.parent)
    yield venv / "bin"
    run(*pip, "uninstall", "--yes", "tallymark", cwd=venv.parent)

    assert not (venv / "bin" / "tallymark").exists()


def test_the_command_is_the_program_itself(environment: Path, tmp_path: Path) -> None:
    """No Python starts before it."""
    command = environment / "tallymark"

    assert command.read_bytes()[:4] == b"\x7fELF"
    assert run(command, "--version", cwd=tmp_path) == f"tallymark {VERSION}\n"


def test_the_command_and_the_package_share_a_store(environment: Path, tmp_path: Path) -> None:
    """What Python counts, the command shows."""
    store = f"file:{tmp_path / 'metrics.tally'}"
    count = "import tallymark; tallymark.Counter('visits', 'Visits.').inc(3)"
    run(environment / "python", "-c", count, cwd=tmp_path, TALLYMARK_STORE=store)

    assert "visits_total 3.0\n" in run(environment / "tallymark", "show", store, cwd=tmp_path)


def test_the_package_s_own_command_line_stays(environment: Path, tmp_path: Path) -> None:
    """`python -m tallymark`, and `exec` from either side."""
    name = "import prometheus_client; print(prometheus_client.__name__)"
    python = environment / "python"
    for command in ([python, "-m", "tallymark"], [environment / "tallymark"]):
        assert run(*command, "exec", "--", python, "-c", name, cwd=tmp_path) == "tallymark\n"


def test_exec_hands_on_the_store_the_arguments_and_the_exit_code(
    environment: Path, tmp_path: Path
) -> None:
    """As if the program had been started by itself."""
    script = 'echo "$TALLYMARK_STORE $1"; exit 7'
    words = ["exec", "--store", "file:/x", "--", "sh", "-c", script, "sh", "--help"]
    done = subprocess.run([environment / "tallymark", *words], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (7, "file:/x --help\n")


def test_exec_without_python_says_what_is_missing(tallymark: str, tmp_path: Path) -> None:
    """The command of cargo has no Python beside it, and here there is none on PATH."""
    done = subprocess.run(
        [tallymark, "exec", "--", "true"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "pip install tallymark" in done.stderr


def test_the_source_distribution_has_what_the_wheel_is_built_of(tmp_path: Path) -> None:
    """The command's sources and the build backend too, and nothing that was built."""
    build = f"import build_backend; build_backend.build_sdist({str(tmp_path)!r})"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    run(sys.executable, "-c", build, cwd=ROOT, PYTHONPATH=str(ROOT / "scripts"), PATH=path)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        names = packed.getnames()
        packed.extractall(tmp_path, filter="data")
    top = tmp_path / f"tallymark-{VERSION}"
    found = run("cargo", "metadata", "--no-deps", "--format-version=1", "--locked", cwd=top)

    members = {package["name"] for package in json.loads(found)["packages"]}
    assert {"tallymark-cli", "tallymark-python"} <= members
    assert f"{top.name}/scripts/build_backend.py" in names
    assert f"{top.name}/python/tallymark.data/platlib/tallymark_stand_in.pth" in names
    assert not [name for name in names if "tallymark.data/scripts" in name or name.endswith(".so")]


def test_building_leaves_no_command_in_the_sources(environment: Path) -> None:
    """The next build would take it for its own."""
    assert (environment / "tallymark").exists()
    assert not (ROOT / "python" / "tallymark.data" / "scripts").exists()
