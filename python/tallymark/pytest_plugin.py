"""The fixture `isolated_metrics` for pytest.

A line in ``conftest.py`` brings it: ``pytest_plugins = ["tallymark.pytest_plugin"]``. What it does
is in ``testing``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import testing
from .registry import CollectorRegistry


@pytest.fixture
def isolated_metrics() -> Iterator[CollectorRegistry]:
    """
    The default registry with all metrics at zero; what the test registers or labels is gone at its
    end. See ``tallymark.testing``.
    """
    with testing.isolated_metrics() as registry:
        yield registry
