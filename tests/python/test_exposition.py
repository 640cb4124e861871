"""
What `tallymark.exposition` does itself: negotiation, compression, files, and whatever has
`collect()`.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from http.server import HTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import tallymark
from tallymark import CollectorRegistry, Counter, Gauge, Histogram, MetricsHandler, generate_latest
from tallymark.core import GaugeMetricFamily, Metric
from tallymark.exposition import choose_encoder, gzip_accepted, write_to_textfile


class Bare:
    """Something with `collect()` and nothing else."""

    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return iter(self.families)


class Failing:
    """A collector that raises."""

    def collect(self) -> Iterable[Metric]:
        raise LookupError("the disk is gone")


def test_anything_with_collect_can_be_written() -> None:
    """It need not be a registry."""
    assert b"# HELP g h\n# TYPE g gauge\ng 1.0\n" == generate_latest(
        Bare(GaugeMetricFamily("g", "h", value=1))
    )


def test_what_a_collector_raises_goes_through(registry: CollectorRegistry) -> None:
    """The exception is the collector's own."""
    registry.register(Failing())

    with pytest.raises(LookupError, match="the disk is gone"):
        generate_latest(registry)


def test_a_value_that_is_no_number_names_the_family(registry: CollectorRegistry) -> None:
    """So that somebody finds it among hundreds."""
    family = GaugeMetricFamily("g", "h", labels=[])
    family.add_metric([], "many")  # type: ignore[arg-type]
    registry.register(Bare(family))

    with pytest.raises(ValueError) as caught:
        generate_latest(registry)

    assert family is caught.value.args[-1]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (
            "text/plain;version=0.0.4;q=0.5, application/openmetrics-text;version=1.0.0;q=0.7",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "application/openmetrics-text;q=0, text/plain",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("application/openmetrics-text;version=abc", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.9.9",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        (
            "application/openmetrics-text;version=9.9.9",
            "application/openmetrics-text; version=2.0.0; charset=utf-8; escaping=underscores",
        ),
    ],
)
def test_weights_and_odd_versions_are_understood(accept: str, content_type: str) -> None:
    """And the content type says what is sent, not what was asked for."""
    encode, answered = choose_encoder(accept)

    assert content_type == answered
    assert encode(CollectorRegistry()) in (b"", b"# EOF\n")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0.001", True),
        ("zstd, gzip;q=0.1", True),
        ("GZip", True),
        ("xgzip", False),
    ],
)
def test_gzip_can_be_refused(header: str, expected: bool) -> None:
    """A weight of zero is a no."""
    assert expected is gzip_accepted(header)


def test_created_series_can_be_switched_off_and_on(registry: CollectorRegistry) -> None:
    """By function or by assigning the flag, at any time."""
    Counter("hits", "h", registry=registry)
    Histogram("size", "h", buckets=(1,), registry=registry)
    tallymark.disable_created_metrics()
    try:
        without = generate_latest(registry)
        tallymark.metrics._use_created = True
        with_created = generate_latest(registry)
    finally:
        tallymark.enable_created_metrics()

    assert b"_created" not in without
    assert 2 == with_created.count(b"_created gauge")


@pytest.mark.parametrize(
    ("value", "shown"), [("true", False), ("1", False), ("T", False), ("false", True), ("", True)]
)
def test_the_environment_switches_created_series_off(value: str, shown: bool) -> None:
    """Read when the module is imported."""
    program = "import tallymark.metrics; print(tallymark.metrics._use_created)"
    environment = {**os.environ, "PROMETHEUS_DISABLE_CREATED_SERIES": value}
    output = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)

    assert f"{shown}\n" == output


def test_importing_starts_no_thread_and_opens_no_file() -> None:
    """A library that is only imported has no business there."""
    program = [
        "import os, sys, threading",
        "import asyncio, gzip, http.server, platform, socketserver, ssl, wsgiref.simple_server",
        "opened = []",
        "note = lambda event, args: event == 'open' and opened.append(str(args[0]))",
        "counted = lambda: [len(os.listdir(f'/proc/self/{what}')) for what in ('fd', 'task')]",
        "before = counted()",
        "sys.addaudithook(note)",
        "import tallymark",
        "others = [path for path in opened if not path.endswith(('.py', '.pyc', '.so'))]",
        "assert (before, 1, []) == (counted(), threading.active_count(), others), others",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(program)], check=True)


def test_a_text_file_is_written_whole_and_nothing_else_is_left(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    """The new file takes the place of the old one in one step."""
    Gauge("g.h", "h", registry=registry).set(1)
    path = tmp_path / "job.prom"
    path.write_text("old")
    write_to_textfile(str(path), registry)

    assert '# HELP "g.h" h\n# TYPE "g.h" gauge\n{"g.h"} 1.0\n' == path.read_text()
    assert ["job.prom"] == os.listdir(tmp_path)

    write_to_textfile(str(path), registry, escaping="underscores")

    assert "# HELP g_h h\n# TYPE g_h gauge\ng_h 1.0\n" == path.read_text()


def test_a_text_file_may_grow_elsewhere(tmp_path: Path, registry: CollectorRegistry) -> None:
    """The collector that watches the directory sees nothing of it."""
    (tmp_path / "growing").mkdir()
    (tmp_path / "shown").mkdir()
    path = tmp_path / "shown" / "job.prom"
    write_to_textfile(str(path), registry, tmpdir=str(tmp_path / "growing"))

    assert "" == path.read_text()
    assert [] == os.listdir(tmp_path / "growing")


def test_a_text_file_stays_if_its_successor_cannot_be_written(
    tmp_path: Path, registry: CollectorRegistry
) -> None:
    """And the beginning of that one is removed."""
    registry.register(Failing())
    path = tmp_path / "job.prom"
    path.write_text("old")

    with pytest.raises(LookupError):
        write_to_textfile(str(path), registry)

    assert "old" == path.read_text()
    assert ["job.prom"] == os.listdir(tmp_path)


@pytest.fixture
def handler_url(registry: CollectorRegistry) -> Iterable[str]:
    """Where an `http.server` with our handler listens."""
    Gauge("g", "h", registry=registry).set(1)
    Gauge("other", "h", registry=registry)
    server = HTTPServer(("127.0.0.1", 0), MetricsHandler.factory(registry))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


def answer(url: str, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
    """Give the headers and the body of an answer."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with urlopen(Request(url, method=method, headers=names), timeout=30) as response:
        return response.headers, response.read()


def test_a_handler_answers_get_and_head(handler_url: str) -> None:
    """With the length of the body, which HEAD leaves out."""
    headers, body = answer(handler_url + "?name[]=g")

    assert b"# HELP g h\n# TYPE g gauge\ng 1.0\n" == body
    assert str(len(body)) == headers["Content-Length"]

    headers, nothing = answer(handler_url + "?name[]=g", "HEAD")

    assert b"" == nothing
    assert str(len(body)) == headers["Content-Length"]


def test_a_handler_negotiates(handler_url: str) -> None:
    """Format and compression."""
    headers, body = answer(
        handler_url, Accept="application/openmetrics-text", Accept_Encoding="gzip"
    )

    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" == headers["Content-Type"]
    assert gzip.decompress(body).endswith(b"# EOF\n")
