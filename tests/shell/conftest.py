"""Shells and servers for the tests of what is counted from shells, ended with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("shells")

from shells import Shell  # noqa: E402


@pytest.fixture
def shell(tallymark: str, tmp_path: Path) -> Iterator[Shell]:
    """A shell with a store that is not there yet."""
    shell = Shell(tallymark, tmp_path)
    yield shell
    shell.close()
