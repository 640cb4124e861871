"""A pytest plugin that writes down, as JSON, which client was tested and how every test ended.

The file is named by ``OUTCOMES``. It has no opinion of what it sees.
"""

import json
import os

import prometheus_client
import pytest

_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keeps the worst of a test's three phases."""
    if report.when == "call" or not report.passed:
        _outcomes[report.nodeid] = report.outcome


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A file that cannot be imported is an outcome, too."""
    if report.failed:
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Writes all down."""
    with open(os.environ["OUTCOMES"], "w") as file:
        json.dump({"client": prometheus_client.__name__, "outcomes": _outcomes}, file)
