"""``tallymark push``: real servers have what was sent."""

from __future__ import annotations

import http.client
import http.server
import json
import pickle
import re
import shutil
import socket
import struct
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import snappy
from host import Scrape
from servers import FREE, wait_until
from shells import Shell

TEXT = """\
# HELP hits_total Hits.
# TYPE hits_total counter
hits_total{path="/a b",zone="é"} 3
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1.0"} 1
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_count 2
wait_seconds_sum 2.5
# TYPE odd gauge
odd NaN
"""


class Server:
    """A server of Debian's on a free port."""

    def __init__(self, directory: Path, program: str, *options: str) -> None:
        found = shutil.which(program)
        assert found, f"no {program} on PATH: run scripts/debian {program}"
        self.port = next(FREE)
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = directory / f"{program}.log"
        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([found, listen, *options], stdout=log, stderr=log)
        wait_until(self._is_ready, f"{program} is ready")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            return self.get("/-/ready")[0] == 200
        except OSError:
            return False

    def get(self, path: str) -> tuple[int, str]:
        """Ask for a path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pushgateway(tmp_path: Path) -> Iterator[Server]:
    """Debian's Pushgateway."""
    server = Server(tmp_path, "prometheus-pushgateway")
    yield server
    server.close()


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Server]:
    """Debian's Prometheus, which takes remote write."""
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"]
    server = Server(tmp_path, "prometheus", *options, "--web.enable-remote-write-receiver")
    yield server
    server.close()


def _values(server: Server, name: str) -> dict[tuple[tuple[str, str], ...], str]:
    query = urllib.parse.urlencode({"query": name})
    found = json.loads(server.get(f"/api/v1/query?{query}")[1])["data"]["result"]
    return {
        tuple(sorted((k, v) for k, v in one["metric"].items() if k != "__name__")): one["value"][1]
        for one in found
    }


def test_a_pushgateway_has_the_group(pushgateway: Server, shell: Shell) -> None:
    """From stdin, with labels of any value; put replaces it, post adds to it, delete removes it."""
    push = f"tallymark push - --gateway {pushgateway.url} --job 'a/b' --label zone= --label x='1 %'"
    shell.do(push, TEXT)
    shown = Scrape(pushgateway.get("/metrics")[1])
    assert {("", "a/b", "/a b", "1 %", ""): 3.0} == shown.values("hits_total")

    shell.do(f"{push} --method post", "other 1\n")
    both = pushgateway.get("/metrics")[1]
    assert "\nhits_total{" in both
    assert "\nother{" in both

    shell.do(push, "other 2\n")
    one = pushgateway.get("/metrics")[1]
    assert "\nhits_total{" not in one
    assert "\nother{" in one

    shell.do(f"{push.replace(' - ', ' ')} --method delete")
    assert "\nother{" not in pushgateway.get("/metrics")[1]


def test_a_store_is_pushed_whole(pushgateway: Server, shell: Shell) -> None:
    """Much of it, so that it travels compressed."""
    shell.do("for i in {1..30}; do tallymark inc many i=$i $i; done")
    shell.do(f"tallymark push --gateway {pushgateway.url} --job it")

    shown = Scrape(pushgateway.get("/metrics")[1]).values("many_total")
    assert 30 == len(shown)
    assert sum(range(31)) == sum(shown.values())


def test_what_a_gateway_refuses_is_told(pushgateway: Server, shell: Shell) -> None:
    """In its words."""
    push = f"tallymark push - --gateway {pushgateway.url} --job it"
    ended = shell.run(push, "a 1 1234\n")
    assert 1 == ended.returncode
    assert "answered 400" in ended.stderr
    assert "must not have timestamps" in ended.stderr

    ended = shell.run(push, "a one\n")
    assert (1, True) == (ended.returncode, "line 1" in ended.stderr)

    ended = shell.run(push.replace(pushgateway.url, "http://user:secret@127.0.0.1:1"), "a 1\n")
    assert (1, False) == (ended.returncode, "secret" in ended.stderr)
    assert "127.0.0.1:1" in ended.stderr


def test_updates_may_go_to_a_gateway(pushgateway: Server, shell: Shell) -> None:
    """To the group in the URL's path; this gateway adds nothing up, so the last one stays."""
    store = f"{pushgateway.url}/metrics/job/shell"
    shell.do("tallymark inc jobs queue=a 2; tallymark observe t 0.3", TALLYMARK_STORE=store)
    shell.do("tallymark run -- true", TALLYMARK_STORE=pushgateway.url)

    shown = Scrape(pushgateway.get("/metrics")[1])
    assert {("", "shell", "a"): 2.0} == shown.values("jobs_total")
    assert {("", "shell"): 1.0} == shown.values("t_count")
    assert {("", "true"): 1.0} == shown.values("job_runs_total")


def _serve(shell: Shell, options: str = "") -> str:
    """Start our gateway, and give its URL."""
    server = shell.start(f"exec tallymark serve memory: --web.listen-address 127.0.0.1:0 {options}")
    assert server.stderr
    said = ""
    while not (url := re.search(r"http://[0-9.:]+", said)):
        said = server.stderr.readline()
        assert said, "it ended"
    return url.group()


@pytest.mark.parametrize(
    ("options", "twice"),
    [("", 3.0), ("--method post", 3.0), ("--header 'tallymark-push: delta'", 6.0)],
)
def test_pushed_again_is_counted_once(options: str, twice: float, shell: Shell) -> None:
    """By a gateway that adds up what nobody says anything of; unless a header says to add."""
    url = _serve(shell, "--push.aggregate")
    for _ in range(2):
        shell.do(f"tallymark push - --gateway {url} --job it {options}", "hits_total 3\n")

    assert {("", "it"): twice} == shell.shown(f"{url}/metrics").values("hits_total")


def test_what_is_counted_in_our_gateway_adds_up(shell: Shell) -> None:
    """Counters and observations; a gauge is what was set last."""
    url = _serve(shell)
    shell.do(
        "for i in 1 2 3; do"
        " tallymark inc jobs $i; tallymark observe t 0.3; tallymark set x $i; done",
        TALLYMARK_STORE=f"{url}/metrics/job/shell",
    )
    shell.do("for i in 1 2; do tallymark run -- true; done", TALLYMARK_STORE=url)

    shown = shell.shown(f"{url}/metrics")
    assert {("", "shell"): 6.0} == shown.values("jobs_total")
    assert {("", "shell"): 3.0} == shown.values("t_count")
    assert {("", "shell"): 3.0} == shown.values("x")
    assert {("", "true"): 2.0} == shown.values("job_runs_total")


@pytest.mark.parametrize("answer", [504, None])
def test_what_a_gateway_may_have_counted_is_counted_once(answer: int | None, shell: Shell) -> None:
    """The answer to the first push is lost on the way; the second is known by its number."""
    url = _serve(shell)
    ids: list[str] = []

    class Lossy(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            ids.append(self.headers["Tallymark-Push-Id"])
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
            server.request("POST", self.path, body, dict(self.headers))
            status = server.getresponse().status
            server.close()
            if len(ids) == 1 and answer is None:
                self.close_connection = True
                return
            self.send_response(answer if len(ids) == 1 and answer else status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Lossy) as lossy:
        thread = threading.Thread(target=lossy.serve_forever)
        thread.start()
        store = f"http://127.0.0.1:{lossy.server_port}/metrics/job/shell"
        ended = shell.run("tallymark inc jobs 2; tallymark inc jobs", TALLYMARK_STORE=store)
        lossy.shutdown()
        thread.join()

    assert (0, "") == (ended.returncode, ended.stderr)
    assert (3, 2) == (len(ids), len(set(ids)))
    assert {("", "shell"): 3.0} == shell.shown(f"{url}/metrics").values("jobs_total")


def test_prometheus_has_what_was_written(prometheus: Server, shell: Shell) -> None:
    """Its API gives the numbers, with the job and the labels."""
    url = f"{prometheus.url}/api/v1/write"
    shell.do(f"tallymark push - --remote-write {url} --job it --label zone=none --label e=", TEXT)

    hits = (("job", "it"), ("path", "/a b"), ("zone", "é"))
    assert {hits: "3"} == _values(prometheus, "hits_total")
    rest = (("job", "it"), ("zone", "none"))
    assert {rest: "2.5"} == _values(prometheus, "wait_seconds_sum")
    buckets = {
        dict(labels)["le"]: v for labels, v in _values(prometheus, "wait_seconds_bucket").items()
    }
    assert {"1.0": "1", "+Inf": "2"} == buckets
    assert {rest: "NaN"} == _values(prometheus, "odd")


def test_many_series_are_written_in_parts(prometheus: Server, shell: Shell) -> None:
    """More than one request takes."""
    text = "".join(f'many{{n="{n}"}} {n}\n' for n in range(5_000))
    shell.do(f"tallymark push - --remote-write {prometheus.url}/api/v1/write", text)

    assert {(): "5000"} == _values(prometheus, "count(many)")
    assert {(): str(sum(range(5_000)))} == _values(prometheus, "sum(many)")


def test_a_receiver_that_is_none_is_told_of(pushgateway: Server, shell: Shell) -> None:
    """With what would be one."""
    ended = shell.run(f"tallymark push - --remote-write {pushgateway.url}/x", "a 1\n")

    assert 1 == ended.returncode
    assert "404" in ended.stderr
    assert "/api/v1/write" in ended.stderr


class Receiver(http.server.BaseHTTPRequestHandler):
    """Answers as it was told to, and keeps what it was asked: no receiver of 2.0 is in Debian."""

    answers: list[tuple[int, dict[str, str]]]
    requests: list[tuple[Message, bytes]]

    def do_POST(self) -> None:
        """Take one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.headers, body))
        status, headers = self.answers.pop(0)
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


TWO = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
ONE = "application/x-protobuf"
WRITTEN = {"X-Prometheus-Remote-Write-Samples-Written": "1"}


@pytest.mark.parametrize(
    ("answers", "types", "code"),
    [
        ([(204, WRITTEN)], [TWO], 0),
        ([(204, {}), (204, {})], [TWO, ONE], 0),
        ([(415, {}), (204, {})], [TWO, ONE], 0),
        ([(503, {}), (500, {}), (204, WRITTEN)], [TWO, TWO, TWO], 0),
        ([(429, {"Retry-After": "0"}), (204, WRITTEN)], [TWO, TWO], 0),
        ([(429, {"Retry-After": str(2**64 - 1)})], [TWO], 1),
        ([(400, {}), (400, {})], [TWO, ONE], 1),
        ([(401, {})], [TWO], 1),
    ],
)
def test_a_receiver_gets_the_version_it_knows(
    answers: list[tuple[int, dict[str, str]]], types: list[str], code: int, shell: Shell
) -> None:
    """And the same again while it is in trouble, but not when it refuses."""

    class Own(Receiver):
        pass

    Own.answers, Own.requests = list(answers), []
    with http.server.HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://me:pass%20word@127.0.0.1:{server.server_port}/w"
        ended = shell.run(f"tallymark push - --remote-write {url} --header 'X-Own: it'", "a 1\n")
        server.shutdown()
        thread.join()

    assert code == ended.returncode
    assert types == [headers["Content-Type"] for headers, _ in Own.requests]
    for headers, body in Own.requests:
        version = "2.0.0" if headers["Content-Type"] == TWO else "0.1.0"
        assert version == headers["X-Prometheus-Remote-Write-Version"]
        assert ("snappy", "it") == (headers["Content-Encoding"], headers["X-Own"])
        assert "Basic bWU6cGFzcyB3b3Jk" == headers["Authorization"]
        assert b"__name__" in snappy.uncompress(body)


def test_each_push_begins_anew(shell: Shell) -> None:
    """With the token that is in the file then, and with 2.0 though 1.0 was refused, too."""
    token = shell.directory / "token"
    token.write_text("0\n")
    (shell.directory / "metrics.txt").write_text("a 1\n")

    class Own(Receiver):
        def do_POST(self) -> None:
            token.write_text(f"{len(self.requests) + 1}\n")
            super().do_POST()

    Own.answers, Own.requests = [(400, {}), (400, {}), *[(204, WRITTEN)] * 1000], []
    with http.server.HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/w"
        push = f"tallymark push metrics.txt --remote-write {url} --token-file token"
        pushing = shell.start(f"exec {push} --every 0.1")
        wait_until(lambda: len(Own.requests) >= 3, "it was pushed again")
        pushing.kill()
        pushing.wait()
        server.shutdown()
        thread.join()

    asked = [(it["Content-Type"], it["Authorization"]) for it, _ in Own.requests[:3]]
    assert [(TWO, "Bearer 0"), (ONE, "Bearer 1"), (TWO, "Bearer 2")] == asked


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--timeout 1e19", "not a number of seconds"),
        ("--token-file token", "one too many"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: str, words: str, shell: Shell) -> None:
    """Before anything is sent."""
    (shell.directory / "token").write_text("x")
    url = "http://me:secret@127.0.0.1:1/w"
    ended = shell.run(f"tallymark push - --remote-write {url} {options}", "a 1\n")

    assert (2, True) == (ended.returncode, words in ended.stderr), ended
    assert "secret" not in ended.stderr


@pytest.mark.parametrize(
    "script",
    [
        "push - --gateway localhost:9091 --job it",
        "push - --gateway http://localhost --job ''",
        "push - --gateway http://localhost --job it --label a-b=1",
        "push - --graphite localhost",
        "inc x --store http://",
        "show http://",
    ],
)
def test_addresses_and_groups_that_make_no_sense_end_with_2(script: str, shell: Shell) -> None:
    """As other arguments that are not understood."""
    assert 2 == shell.run(f"tallymark {script}", "a 1\n").returncode


def test_a_long_refusal_is_told_from_its_beginning(shell: Shell) -> None:
    """More than is read of it; no byte of it moves the cursor."""

    class Own(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = b"too \x1b[2Jmuch" + b"\xff" * 100_000
            self.send_response(413)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        ended = shell.run(f"tallymark push - --gateway {url} --job it", "a 1\n")
        server.shutdown()
        thread.join()

    assert (1, True) == (ended.returncode, "answered 413: too \\u{1b}[2Jmuch" in ended.stderr)


def test_carbon_gets_lines_and_pickles(shell: Shell) -> None:
    """The same from both; what is no number is left out. What carbon keeps is below."""
    with socket.create_server(("127.0.0.1", 0)) as carbon:
        push = f"tallymark push - --graphite 127.0.0.1:{carbon.getsockname()[1]} --prefix shop"

        def sent(options: str) -> bytes:
            shell.do(f"{push} {options}", TEXT)
            connection, _ = carbon.accept()
            with connection, connection.makefile("rb") as bytes_:
                return bytes_.read()

        lines, pickled, tagged = sent(""), sent("--pickle"), sent("--tags --label job=it")
    found = {path: float(value) for path, value, _ in map(str.split, lines.decode().splitlines())}
    (length,) = struct.unpack("!I", pickled[:4])

    assert 3.0 == found["shop.hits_total.path._a_b.zone._"]
    assert 5 == len(found)
    assert length == len(pickled) - 4
    assert found == {path: value for path, (_, value) in pickle.loads(pickled[4:])}
    assert b"shop.hits_total;job=it;path=_a_b;zone=_ 3.0 " in tagged


@pytest.mark.parametrize("receiver", ["LINE", "PICKLE"])
def test_carbon_keeps_it(receiver: str, shell: Shell, tmp_path: Path) -> None:
    """In Debian's carbon, of both ports."""
    program = shutil.which("carbon-cache")
    assert program, "no carbon-cache on PATH: run scripts/debian carbon-cache"
    port = next(FREE)
    other = "PICKLE" if receiver == "LINE" else "LINE"
    (tmp_path / "carbon.conf").write_text(
        f"[cache]\nSTORAGE_DIR = {tmp_path}\nLOCAL_DATA_DIR = {tmp_path}/data\n"
        f"CONF_DIR = {tmp_path}\nLOG_DIR = {tmp_path}\nPID_DIR = {tmp_path}\nUSER =\n"
        "MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = False\n"
        f"{receiver}_RECEIVER_INTERFACE = 127.0.0.1\n{receiver}_RECEIVER_PORT = {port}\n"
        f"{other}_RECEIVER_PORT = 0\nCACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = 0\n"
    )
    (tmp_path / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
    options = [f"--config={tmp_path}/carbon.conf", f"--pidfile={tmp_path}/pid", "start"]
    log = tmp_path / "carbon.log"
    with log.open("wb") as out:
        carbon = subprocess.Popen(
            [program, "--nodaemon", "--logfile=-", *options], stdout=out, stderr=out
        )
    try:
        wait_until(lambda: f"starting on {port}" in log.read_text(), "carbon listens")
        pickled = "--pickle" if receiver == "PICKLE" else ""
        shell.do(f"tallymark push - --graphite 127.0.0.1:{port} {pickled}", TEXT)
        place = tmp_path / "data" / "hits_total" / "path" / "_a_b" / "zone" / "_.wsp"
        fetch = ["whisper-fetch", "--drop=nulls", place]
        wait_until(
            lambda: (
                place.exists() and b"3.000000" in subprocess.run(fetch, capture_output=True).stdout
            ),
            "carbon has written it",
        )
    finally:
        carbon.kill()
        carbon.wait()
