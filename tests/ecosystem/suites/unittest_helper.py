"""The base class of prometheus-flask-exporter's tests, which its source distribution has not got.

Written anew, from what the tests ask of it: an application, a client for it, and assertions on a
series that is named by its labels, in any order.
"""

import re
import unittest
from importlib.metadata import version
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics


class BaseTestCase(unittest.TestCase):
    """An application of its own for every test."""

    def setUp(self) -> None:
        """Makes it."""
        self.app = Flask(__name__)
        self.app.testing = True
        self.client = self.app.test_client()

    def metrics(self, **options: Any) -> PrometheusMetrics:
        """Measures the application, in a registry of its own."""
        registry = CollectorRegistry(auto_describe=True)
        return PrometheusMetrics(self.app, registry=registry, **options)

    def assumeMinimumFlaskVersion(self, least: str) -> None:
        """Skips the test with a Flask that is older."""
        if self._flask() < self._parts(least):
            self.skipTest(f"for Flask {least} or newer")

    def assumeBeforeFlaskVersion(self, first: str) -> None:
        """Skips the test with this Flask or a newer one."""
        if self._flask() >= self._parts(first):
            self.skipTest(f"for a Flask before {first}")

    def assertMetric(
        self, name: str, value: object, *labels: tuple[str, object], endpoint: str = "/metrics"
    ) -> None:
        """The series is there, and its value begins with what a pattern matches."""
        found = self._values(name, labels, endpoint)
        if not found or not re.match(str(value), found[0]):
            self.fail(f"{name} {labels} should be {value} and is {found}")

    def assertAbsent(
        self, name: str, *labels: tuple[str, object], endpoint: str = "/metrics"
    ) -> None:
        """The series is not there."""
        self.assertEqual([], self._values(name, labels, endpoint))

    def _values(
        self, name: str, labels: tuple[tuple[str, object], ...], endpoint: str
    ) -> list[str]:
        wanted = {label: str(value) for label, value in labels}
        found = []
        for line in self.client.get(endpoint).text.splitlines():
            series = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if series and series[1] == name:
                if wanted == dict(re.findall(r'(\w+)="([^"]*)"', series[2] or "")):
                    found.append(series[3])
        return found

    def _flask(self) -> tuple[int, ...]:
        return self._parts(version("flask"))

    def _parts(self, text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split("."))
