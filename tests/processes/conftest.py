"""A host of its own for every test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    """A directory that every user may enter, with no store in it yet."""
    directory = Path(tempfile.mkdtemp(prefix="tallymark-"))
    directory.chmod(0o755)
    host = Host(directory)
    yield host
    host.close()
    shutil.rmtree(directory)
