"""
The same requests to Debian's Pushgateway and to ours have the same statuses and the same effect.

What differs on purpose is listed with the reason in ``DIFFERENCES``, and must differ.
"""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families
from servers import FREE, HOST, wait_until


class Ask(NamedTuple):
    """A request."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def put(path: str, body: str = "m 1\n", **headers: str) -> Ask:
    return Ask("PUT", f"/metrics/job{path}", body.encode(), named(headers))


def post(path: str, body: str = "m 1\n", **headers: str) -> Ask:
    return Ask("POST", f"/metrics/job{path}", body.encode(), named(headers))


def delete(path: str) -> Ask:
    return Ask("DELETE", f"/metrics/job{path}")


def named(headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())


HISTOGRAM = '# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\nh_sum 4.5\nh_count 3\n'
SUMMARY = '# TYPE s summary\ns{quantile="0.5"} 1\ns{quantile="0.9"} 2\ns_sum 3\ns_count 7\n'
DELIMITED = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
# A gauge "up" with one metric, whose value is 1.
UP = b"\x13\x0a\x02up\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"

CASES: dict[str, list[Ask]] = {
    "a push": [put("/a")],
    "every type": [put("/a", f"# TYPE c_total counter\nc_total 5\n{HISTOGRAM}{SUMMARY}u -1\n")],
    "a counter without _total": [put("/a", "# TYPE jobs counter\njobs 1\n")],
    "special numbers": [put("/a", 'm{l="1"} NaN\nm{l="2"} +Inf\nm{l="3"} -1e-300\n')],
    "put replaces": [put("/a", "m 1\nn 1\n"), put("/a", "n 2\n")],
    "post replaces families": [put("/a", "m 1\nn 1\n"), post("/a", 'n{l="1"} 2\n')],
    "an empty put": [put("/a"), put("/a", "")],
    "an empty post": [put("/a"), post("/a", "")],
    "an empty post first": [post("/a", "")],
    "delete": [put("/a"), put("/b"), delete("/a"), delete("/never")],
    "labels": [put("/a/x/1"), put("/a/x/2", "m 2\n"), put("/a/y/1"), put("/a/x/1/y/1")],
    "labels in another order": [put("/a/x/1/y/2"), put("/a/y/2/x/1", "m 2\n")],
    "a label twice": [put("/a/x/1/x/2")],
    "job again": [put("/a/job/b")],
    "labels of the body": [put("/a/x/1", 'm{x="2",job="b",instance="i",z=""} 1\n')],
    "an instance": [put("/a/instance/i"), put("/a", 'm{instance="j"} 1\n')],
    "an empty value": [put("/a/x@base64/="), put("/a/y/")],
    "base64": [put("@base64/YS9i"), put("@base64/YQ=="), put("/a/x@base64/Lw")],
    "an empty job": [put("@base64/=")],
    "encoded": [put("/a%20b/x/%C3%A9"), put("/c/x/+")],
    "an encoded slash": [put("/a%2Fb"), put("/a%2Fb/c")],
    "an odd path": [put("/a/b"), put("/a/b/c/"), put("/a/")],
    "label names": [put("/a/__b/c"), put("/a/b-c/d"), put("/a/@base64/Lw"), put("/a/x@base32/f")],
    "other paths": [
        Ask("PUT", "/metrics/jobs/a"),
        Ask("PUT", "/metrics/foo/a"),
        Ask("PUT", "/metrics/job"),
    ],
    "other methods": [Ask("GET", "/metrics/job/a"), Ask("PATCH", "/metrics/job/a")],
    "options": [Ask("OPTIONS", "/metrics/job/a"), Ask("OPTIONS", "/api/v1/metrics")],
    "no line feed": [put("/a", "m 1")],
    "no number": [put("/a", "m x\n")],
    "two types": [put("/a", "# TYPE m counter\n# TYPE m counter\nm 1\n")],
    "a late type": [put("/a", "m 1\n# TYPE m counter\n")],
    "an unknown type": [put("/a", "# TYPE m thing\nm 1\n")],
    "__name__": [put("/a", 'm{__name__="n"} 1\n')],
    "a quantile that is no number": [put("/a", '# TYPE s summary\ns{quantile="x"} 1\n')],
    "families apart": [put("/a", 'm{l="1"} 1\nn 1\nm{l="2"} 1\n')],
    "only a type": [put("/a", "# TYPE c counter\n# HELP d Nothing.\n")],
    "a timestamp": [put("/a", "m 1 1234\n")],
    "a series twice": [put("/a", "m 1\nm 2\n")],
    "a series twice by the path": [put("/a", 'm{job="x"} 1\nm{job="y"} 2\n')],
    "refused after a push": [put("/a"), put("/a", "m 1\nm 2\n")],
    "a push after one refused": [put("/a", "m 1\nm 2\n"), put("/a")],
    "types of two groups": [put("/a", "# TYPE m counter\nm 1\n"), put("/b"), put("/a"), put("/b")],
    "a type of its own": [put("/a", "# TYPE m counter\nm 1\n"), post("/a")],
    "a series of another group": [put("/a", 'm{x="1"} 1\n'), put("/a/y/1", 'm{x="1"} 1\n')],
    "suffixes": [
        put("/a", "# TYPE m summary\nm_sum 1\n"),
        put("/b", "m_count 1\n"),
        put("/b", "m_bucket 1\n"),
        put("/a", "# TYPE m histogram\nm_sum 1\n"),
    ],
    "suffixes of one body": [put("/a", "k_count 1\n# TYPE k summary\nk_sum 1\n")],
    "help texts": [put("/a", "# HELP m One.\nm 1\n"), put("/b", "# HELP m Two.\nm 1\n")],
    "stamps": [put("/a", '# TYPE push_time_seconds counter\npush_time_seconds{l="1"} 1\n')],
    "a label of the type": [put("/a/quantile/1", SUMMARY)],
    "protobuf": [Ask("PUT", "/metrics/job/a", UP, (("Content-Type", DELIMITED),))],
    "text as protobuf": [put("/a", Content_Type=DELIMITED)],
    "other protobuf": [put("/a", Content_Type=DELIMITED.replace("delimited", "text"))],
    "other types": [put("/a", Content_Type="application/x-www-form-urlencoded")],
    "gzip": [
        Ask("PUT", "/metrics/job/a", gzip.compress(b"m 1\n"), (("Content-Encoding", "gzip"),))
    ],
    "no gzip": [put("/a", Content_Encoding="gzip")],
    "identity": [put("/a", Content_Encoding="identity")],
    "the wipe": [put("/a"), Ask("PUT", "/api/v1/admin/wipe")],
    "the wipe by other methods": [
        Ask("GET", "/api/v1/admin/wipe"),
        Ask("POST", "/api/v1/admin/wipe"),
    ],
    "other paths of the API": [Ask("GET", "/api/v1/nothing"), Ask("PUT", "/api/v1/metrics")],
    # After this Debian's 1.5.1 gives no answer to a push to an empty job any more.
    "no base64": [put("@base64/a!")],
    # Those that differ.
    "no job": [put("/")],
    "slashes": [put("/a//b")],
    "a series that a path has": [put("/a", 'm{x="1"} 1\n'), put("/a/x/1")],
    "an instance that is empty": [put("/a"), put("/a/instance@base64/=", "n 1\n")],
    "no UTF-8": [put("/%ff")],
    "a reserved label": [put("/a", 'm{__x="1"} 1\n')],
    "br": [put("/a", Content_Encoding="br")],
    "OpenMetrics": [
        put(
            "/a",
            "# TYPE m counter\nm_total 1\n# EOF\n",
            Content_Type="application/openmetrics-text",
        )
    ],
    "a bucket twice": [put("/a", '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 1\n')],
    "a histogram without a count": [put("/a", '# TYPE h histogram\nh_bucket{le="+Inf"} 3\n')],
    "a bucket without a bound": [put("/a", "# TYPE h histogram\nh_bucket 5\n")],
    "UTF-8 names": [put("/a", '{"m.n"} 1\n')],
}

DIFFERENCES = {
    "no job": "404 where the Pushgateway redirects",
    "slashes": "400 where the Pushgateway redirects",
    "no UTF-8": "the Pushgateway keeps the group, and every later scrape and push fails",
    "an instance that is empty": "the Pushgateway keeps the stamps, and every later scrape fails",
    "a reserved label": "malformed here, and leaves no stamp",
    "br": "the Pushgateway reads the packed bytes as text",
    "OpenMetrics": "the Pushgateway reads it as text",
    "a bucket twice": "one bucket is refused here, and shown twice there",
    "a histogram without a count": "the bucket +Inf is the count here, there it is 0",
    "a bucket without a bound": "refused here, left out there",
    "UTF-8 names": "this Pushgateway is older than they are",
}


class Gateway:
    """A server that takes pushes."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, ask: Ask) -> tuple[int, str]:
        """Give the status and the body of an answer."""
        connection = HTTPConnection(HOST, self.port, timeout=60)
        try:
            connection.request(ask.method, ask.path, ask.body, dict(ask.headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self) -> object:
        """Give what has been pushed: types and samples, of stamps whether there are any."""
        status, text = self.ask(Ask("GET", "/metrics"))
        if status != 200:
            return status
        shown = []
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {name: number(name, value) for name, value in sample.labels.items()}
                value = float(sample.value)
                if sample.name.startswith("push_"):
                    value = float(value > 0)
                if "job" in labels:
                    shown.append((family.type, sample.name, sorted(labels.items()), repr(value)))
        return sorted(shown, key=repr)

    def after(self, case: list[Ask]) -> tuple[list[int], object]:
        """Give the statuses of requests, and the metrics after them."""
        assert self.ask(Ask("PUT", "/api/v1/admin/wipe"))[0] == 202
        return [self.ask(ask)[0] for ask in case], self.metrics()


def number(label: str, value: str) -> object:
    """Read a bound, which may be written in several ways."""
    return float(value) if label in ("le", "quantile") else value


@contextmanager
def running(command: str, *arguments: str, directory: Path) -> Iterator[Gateway]:
    port = next(FREE)
    listen = f"--web.listen-address={HOST}:{port}"
    with (directory / Path(command).name).open("wb") as log:
        process = subprocess.Popen(
            [command, *arguments, listen, "--web.enable-admin-api"], stdout=log, stderr=log
        )
    gateway = Gateway(port)

    def answers() -> bool:
        assert process.poll() is None, (directory / Path(command).name).read_text()
        try:
            return gateway.ask(Ask("GET", "/-/ready"))[0] == 200
        except ConnectionError:
            return False

    try:
        wait_until(answers, f"{command} answers")
        yield gateway
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Debian's Pushgateway."""
    with running("prometheus-pushgateway", directory=tmp_path_factory.mktemp("theirs")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def ours(tallymark: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The command, serving a store in memory."""
    with running(tallymark, "serve", directory=tmp_path_factory.mktemp("ours")) as gateway:
        yield gateway


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIFFERENCES])
def test_the_same_requests_have_the_same_effect(name: str, theirs: Gateway, ours: Gateway) -> None:
    """Statuses are the same, and so are the metrics that are shown."""
    expected = theirs.after(CASES[name])

    assert ours.after(CASES[name]) == expected


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences_are_those_that_are_listed(name: str, theirs: Gateway, ours: Gateway) -> None:
    """What is said to differ does, and ours can be scraped after all of them."""
    found = ours.after(CASES[name])

    assert isinstance(found[1], list)
    assert found != theirs.after(CASES[name])
