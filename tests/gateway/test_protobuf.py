"""What is served as protobuf means the same as the text, to those who read it in Go."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import FREE, HOST

PATIENCE = 90.0
PROTOBUF = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

# A family of each type, with what might be lost on the way.
PROGRAM = """
from tallymark import Counter, Enum, Gauge, Histogram, Info, Summary

calls = Counter("app_calls", 'Calls, "all"\\nof them.', ["path", "code"])
calls.labels('/"a"\\\\b\\n', "200").inc(12345678.5)
calls.labels("/é", "500").inc()
Counter("app_empty", "Nothing.", ["path"])
Gauge("app_load", "Load.").set(float("-inf"))
Gauge("app_nothing", "").set(-0.0)
wait = Histogram("app_wait_seconds", "Waiting.", ["zone"], buckets=[0.1, 1, 2.5])
for seconds in [0.05, 0.1, 2, 7]:
    wait.labels("x").observe(seconds)
Summary("app_size_bytes", "Sizes.").observe(3.5)
Info("app_build", "Build.").info({"version": "1.0", "branch": "main"})
Enum("app_mode", "Mode.", states=["on", "off"]).state("off")
"""

Series = dict[tuple[str, frozenset[tuple[str, str]]], str]


def number(value: float | str) -> str:
    """A number that may be compared with another, whatever it is; Go's text has no minus zero."""
    return repr(float(value) + 0.0)


def fetch(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> bytes:
    """What a server answers, directly."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, headers=named, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE) as answer:
        content: bytes = answer.read()
    return content


def series(text: str, *without: str) -> Series:
    """
    The application's series of an exposition as text.

    Since when something counts is no series in protobuf.
    """
    found: Series = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("app_") and not sample.name.endswith("_created"):
                labels = ((k, v) for k, v in sample.labels.items() if k not in without)
                found[sample.name, frozenset(labels)] = number(sample.value)
    return found


def wait_for(ask: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer; none within the time fails."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            if answer := ask():
                return answer
        assert time.monotonic() < deadline, f"not within {PATIENCE:.0f} seconds: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def url(tallymark: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of metrics that a program left in a store."""
    store = f"file:{tmp_path_factory.mktemp('store') / 'metrics.tally'}"
    environment = {**os.environ, "TALLYMARK_STORE": store}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    server = subprocess.Popen(
        [tallymark, "serve", store, "--listen", f"{HOST}:0"], stderr=subprocess.PIPE, text=True
    )
    assert server.stderr
    said = ""
    while not (found := re.search(rf"http://{re.escape(HOST)}:\d+", said)):
        line = server.stderr.readline()
        assert line, f"the server ended: {said}"
        said += line
    # What else it has to say must not fill the pipe.
    rest = threading.Thread(target=server.stderr.read)
    rest.start()
    yield f"{found[0]}/metrics"
    server.kill()
    server.wait()
    rest.join()
    server.stderr.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts servers of Debian's; gives the URL of each."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> str:
        path = shutil.which(name)
        assert path, f"no {name} on PATH: run scripts/debian {name}"
        address = f"{HOST}:{next(FREE)}"
        with (tmp_path / f"{name}.log").open("wb") as log:
            command = [path, f"--web.listen-address={address}", *arguments]
            processes.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))
        return f"http://{address}"

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def relay(url: str) -> Iterator[tuple[str, list[str]]]:
    """A server that passes scrapes on, and tells what type of content it was given."""
    types: list[str] = []

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {"Accept": self.headers["Accept"]}
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(urllib.request.Request(url, headers=headers)) as answer:
                body = answer.read()
                types.append(answer.headers["Content-Type"])
            self.send_response(200)
            self.send_header("Content-Type", types[-1])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{HOST}:{server.server_port}", types
        server.shutdown()


def test_prometheus_scrapes_protobuf_and_finds_what_the_text_says(
    url: str, run: Callable[..., str], relay: tuple[str, list[str]], tmp_path: Path
) -> None:
    """Asked for native histograms, it asks for protobuf; it must have every series and no other."""
    target, types = relay
    scrape = {"job_name": "job", "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": "500ms"}, "scrape_configs": [scrape]}
    (tmp_path / "prometheus.json").write_text(json.dumps(config))
    prometheus = run(
        "prometheus",
        f"--config.file={tmp_path / 'prometheus.json'}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        "--enable-feature=native-histograms",
    )
    query = urllib.parse.urlencode({"query": '{__name__=~"app_.*"}'})

    result = wait_for(
        lambda: json.loads(fetch(f"{prometheus}/api/v1/query?{query}"))["data"]["result"],
        "a scrape",
    )

    found: Series = {}
    for one in result:
        labels = {k: v for k, v in one["metric"].items() if k not in ("instance", "job")}
        name = labels.pop("__name__")
        found[name, frozenset(labels.items())] = number(one["value"][1])
    assert found == series(fetch(url, Accept="text/plain").decode())
    assert types
    assert all(one.startswith(PROTOBUF) for one in types)


def test_a_pushgateway_takes_what_is_served_as_protobuf(url: str, run: Callable[..., str]) -> None:
    """The Go library reads it, checks it as a whole, and writes it as text."""
    gateway = run("prometheus-pushgateway")
    # Not what the server tells of itself: some of it has names that are the Pushgateway's own.
    families = text_string_to_metric_families(fetch(url, Accept="text/plain").decode())
    names = {sample.name for family in families for sample in family.samples}
    asked = [("name[]", name) for name in sorted(names) if name.startswith("app_")]
    body = fetch(f"{url}?{urllib.parse.urlencode(asked)}", Accept=PROTOBUF)
    wait_for(lambda: fetch(f"{gateway}/-/ready"), "the Pushgateway")

    fetch(f"{gateway}/metrics/job/job", "PUT", body, Content_Type=PROTOBUF)

    found = series(fetch(f"{gateway}/metrics").decode(), "instance", "job")
    expected = series(fetch(url, Accept="text/plain").decode())
    # Go spells bounds in its own way.
    assert canonical(found) == canonical(expected)


def canonical(found: Series) -> Series:
    """The series, with every bound as the same text."""
    return {
        (name, frozenset((k, number(v) if k == "le" else v) for k, v in labels)): value
        for (name, labels), value in found.items()
    }
