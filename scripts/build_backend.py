"""Builds what pip installs: maturin's wheel with the command ``tallymark`` in it.

pip and other front ends call the functions of this module by their names, which PEP 517 and PEP 660
give. maturin does all that it can: the native module, the metadata, the source distribution. It
makes one thing of a crate, though, and the command is another crate: cargo builds it here, and
maturin takes it along as a script, so that the environment's ``bin`` gets the program itself and no
Python has to start before it.

``maturin build`` and ``maturin develop`` by themselves know nothing of this: what they make has no
command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import maturin
from maturin import (  # noqa: F401
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

ROOT = Path(__file__).resolve().parent.parent
# What lies in this folder goes to the environment's bin.
SCRIPTS = ROOT / "python" / "tallymark.data" / "scripts"

Settings = Mapping[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel; give its file's name."""
    with _command():
        return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel that points at the sources; the command in it is as it was built now."""
    with _command():
        return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


@contextlib.contextmanager
def _command() -> Iterator[None]:
    """Have the command where maturin finds it, and nowhere afterwards: it would go stale there."""
    program = _build_command()
    SCRIPTS.mkdir(exist_ok=True)
    try:
        # A copy has the permissions of the file, and maturin writes them into the wheel.
        shutil.copy(program, SCRIPTS / "tallymark")
        yield
    finally:
        shutil.rmtree(SCRIPTS)


def _build_command() -> str:
    # Only `cargo rustc` can strip one program without compiling everything below it anew.
    cargo = [
        "cargo",
        "rustc",
        "--locked",
        "--release",
        "--package",
        "tallymark-cli",
        "--bin",
        "tallymark",
    ]
    messages = ["--message-format", "json-render-diagnostics", "--", "-C", "strip=symbols"]
    built = subprocess.run(
        [*cargo, *messages], cwd=ROOT, env=_with_rust(), stdout=subprocess.PIPE, check=False
    )
    if built.returncode != 0:
        sys.exit(f"the command tallymark was not built: {' '.join(cargo)} said why")
    artifacts = [json.loads(line).get("executable") for line in built.stdout.splitlines()]
    return next(path for path in reversed(artifacts) if path)


def _with_rust() -> Mapping[str, str]:
    """Where there is no cargo, get one as maturin does, which has asked pip for the means."""
    if shutil.which("cargo"):
        return os.environ
    from puccinialin import setup_rust

    return {**os.environ, **setup_rust()}
