"""What is at which path, for whom, and what the server says of itself."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import socket
import sqlite3
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from gateways import HOST, Answer, Gateway
from servers import Redis, wait_until

Serve = Callable[..., Gateway]


def test_a_scrape_shows_every_store_and_what_was_pushed(
    serve: Serve, store: str, tmp_path: Path, tallymark: str
) -> None:
    """Series of the same name and labels of two stores are one, added up."""
    other = f"file:{tmp_path / 'other.tally'}"
    for url, amount in ((store, 1), (other, 2)):
        subprocess.run([tallymark, "inc", "jobs_total", str(amount), "--store", url], check=True)
    server = serve(store, other)
    assert server.push("mine 3\n", "job/other") == 200

    found = server.metrics()

    assert found["jobs_total{}"] == 3
    assert found["mine{instance=,job=other}"] == 3


def test_what_was_pushed_is_kept_beside_the_first_store(
    serve: Serve, store: str, tmp_path: Path
) -> None:
    """And shown by a server that has that store first."""
    other = f"file:{tmp_path / 'other.tally'}"
    server = serve(store, other)
    assert server.push("x 1\n", "job/a") == 200
    server.stop()

    assert serve(other, store).metrics() == {}
    assert serve(store).metrics() == {"x{instance=,job=a}": 1}


def test_another_store_that_is_away_takes_only_its_series_with_it(
    serve: Serve, store: str, redis: Redis, tmp_path: Path
) -> None:
    """The scrape says so; what was pushed is there."""
    server = serve(store, f"redis://{HOST}:{redis.port}/0?spool={tmp_path}/spool.tally")
    assert server.push("x 1\n", "job/a") == 200
    redis.kill()

    assert server.metrics() == {"x{instance=,job=a}": 1}
    wait_until(
        lambda: "\ntallymark_store_up 0.0\n" in server.ask("GET", "/metrics").text,
        "the scrape says that the store is away",
    )
    assert server.ask("GET", "/-/ready").status == 200


def test_a_store_is_named_once(tallymark: str, store: str) -> None:
    """Twice, it would be added up with itself."""
    done = subprocess.run(
        [tallymark, "serve", store, store], capture_output=True, text=True, timeout=60
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert "named twice" in done.stderr


def test_a_scrape_comes_in_the_format_and_the_coding_that_is_asked_for(serve: Serve) -> None:
    """Formats and codings are those of every endpoint, and protobuf."""
    server = serve()
    server.push("# TYPE jobs_total counter\njobs_total 1\n")

    openmetrics = server.ask("GET", "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    packed = server.ask("GET", "/metrics?name[]=jobs_total", Accept_Encoding="gzip")
    protobuf = server.ask(
        "GET",
        "/metrics",
        Accept="application/vnd.google.protobuf;"
        "proto=io.prometheus.client.MetricFamily;encoding=delimited",
    )

    assert openmetrics.text.endswith("# EOF\n")
    assert (
        b"# HELP jobs_total \n# TYPE jobs_total counter\n"
        b'jobs_total{instance="",job="test"} 1.0\n' == gzip.decompress(packed.body)
    )
    assert protobuf.headers["content-type"].startswith("application/vnd.google.protobuf")
    assert b"jobs_total" in protobuf.body


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/nothing", 404, "/metrics/job/"),
        ("GET", "/metrics/job/a", 405, "PUT,POST,DELETE"),
        ("POST", "/metrics", 405, "GET,HEAD"),
        ("PUT", "/-/quit", 403, "--web.enable-lifecycle"),
        ("PUT", "/api/v1/admin/wipe", 404, "--web.enable-admin-api"),
        ("PUT", "/metrics/job@base64/=", 400, "job"),
        ("GET", "/-/healthy", 200, "OK"),
        ("GET", "/-/ready", 200, "OK"),
        ("GET", "/", 200, "<!doctype html>"),
        ("GET", "/api/v1/families", 200, "families"),
        ("GET", "/api/v1/metrics", 200, "success"),
        ("GET", "/api/v1/status", 200, "start_time"),
        ("BREW", "/metrics", 405, "GET,HEAD"),
    ],
)
def test_every_path_answers_or_says_what_would(
    serve: Serve, method: str, path: str, status: int, words: str
) -> None:
    """A wrong request is answered with what to do."""
    answer = serve().ask(method, path)

    assert (status, True) == (answer.status, words in answer.text), answer


def test_head_is_get_without_the_body(serve: Serve) -> None:
    """Whatever the path."""
    server = serve()
    for path in ("/", "/metrics?name[]=tallymark_build_info", "/-/healthy", "/api/v1/status"):
        head, get = server.ask("HEAD", path), server.ask("GET", path)

        assert (200, b"") == (head.status, head.body)
        assert get.headers["content-length"] == head.headers["content-length"], path


def test_options_lists_the_methods(serve: Serve) -> None:
    """Without credentials, since browsers ask before they have any."""
    server = serve()

    assert server.ask("OPTIONS", "/metrics").headers["allow"] == "GET,HEAD,OPTIONS"
    assert "DELETE" in server.ask("OPTIONS", "/metrics/job/a").headers["allow"]


def test_the_page_is_sent_once_and_asked_for_by_its_tag(serve: Serve) -> None:
    """It runs nothing but its own scripts."""
    server = serve()
    page = server.ask("GET", "/")

    again = server.ask("GET", "/", If_None_Match=page.headers["etag"])

    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert (304, b"") == (again.status, again.body)


def test_a_prefix_and_a_path_move_everything(serve: Serve) -> None:
    """The prefix comes from the URL that clients know."""
    server = serve("--web.external-url=https://metrics.example/push/", "--web.telemetry-path=/all")

    assert server.ask("POST", "/push/metrics/job/a", "x 1\n").status == 200
    assert 'x{instance="",job="a"} 1.0' in server.ask("GET", "/push/all").text
    assert server.ask("GET", "/metrics").status == 404
    assert [server.ask("GET", path).headers["location"] for path in ("/", "/push")] == [
        "/push/"
    ] * 2
    assert server.ask("GET", "/push/-/healthy").status == 200
    assert "/push/all" in server.said()


def test_the_metrics_may_be_at_the_root(serve: Serve) -> None:
    """And from where they would be there is a way to them."""
    server = serve("--web.telemetry-path=/", "--web.route-prefix=push")

    assert "tallymark_build_info" in server.ask("GET", "/push/").text
    moved = server.ask("GET", "/push/metrics")
    assert (302, "./") == (moved.status, moved.headers["location"])
    assert f"http://{server.address}/push/\n" in server.said()


def test_a_body_has_its_room_until_it_is_done(serve: Serve, store: str, tmp_path: Path) -> None:
    """Also if its client was told that it takes too long."""
    server = serve(store, "--web.max-body=1KiB", "--web.max-bodies=1KiB", "--web.answer-timeout=1s")
    assert server.push("x 1\n") == 200
    with contextlib.closing(sqlite3.connect(tmp_path / "metrics.tally.groups")) as other:
        other.execute("BEGIN IMMEDIATE")
        late = server.ask("POST", "/metrics/job/a", "x 1\n")
        again = server.ask("POST", "/metrics/job/a", "x 1\n")
        other.rollback()

    assert (503, True) == (late.status, "may still be" in late.text)
    assert (503, True) == (again.status, "room" in again.text)
    wait_until(lambda: server.push("x 1\n") == 200, "there is room again")


def test_clients_end_the_server_if_they_may(serve: Serve) -> None:
    """It says goodbye first."""
    server = serve("--web.enable-lifecycle")

    assert server.ask("GET", "/-/quit").status == 405
    assert "Goodbye" in server.ask("PUT", "/-/quit").text
    assert server.process.wait(60) == 0


def test_clients_wipe_the_groups_if_they_may(serve: Serve) -> None:
    """All of them."""
    server = serve("--web.enable-admin-api")
    server.push("x 1\n", "job/a")
    server.push("x 1\n", "job/b")

    assert server.ask("PUT", "/api/v1/admin/wipe").status == 202
    assert server.metrics() == {}


def test_it_is_not_ready_while_its_store_is_away_and_healthy_all_the_time(
    serve: Serve, redis: Redis, tmp_path: Path
) -> None:
    """What it says is what a scrape would be told."""
    server = serve(f"redis://{HOST}:{redis.port}/0?spool={tmp_path}/spool.tally")
    assert server.ask("GET", "/-/ready").status == 200
    redis.kill()

    ready, scrape = server.ask("GET", "/-/ready"), server.ask("GET", "/metrics")

    assert (ready.status, scrape.status) == (503, 500)
    assert str(redis.port) in ready.text
    assert server.ask("GET", "/-/healthy").status == 200

    redis.start()
    wait_until(lambda: server.ask("GET", "/-/ready").status == 200, "the server is ready again")


def test_it_counts_what_it_does_under_the_names_of_the_pushgateway(serve: Serve) -> None:
    """And what it refuses, by reason."""
    server = serve("--web.max-body=1KiB")
    server.push("x 1\n")
    server.push("not a metric\n")
    server.push("x" * 2000)
    server.ask("DELETE", "/metrics/job/test")
    server.ask("BREW", "/coffee")

    text = server.ask("GET", "/metrics").text

    for line in (
        'pushgateway_http_requests_total{code="200",handler="push",method="post"} 1.0',
        'pushgateway_http_requests_total{code="400",handler="push",method="post"} 1.0',
        'pushgateway_http_requests_total{code="413",handler="push",method="post"} 1.0',
        'pushgateway_http_requests_total{code="202",handler="delete",method="delete"} 1.0',
        'pushgateway_http_requests_total{code="404",handler="other",method="other"} 1.0',
        'pushgateway_http_push_size_bytes_count{method="post"} 2.0',
        'pushgateway_http_push_size_bytes_sum{method="post"} 17.0',
        'pushgateway_http_push_duration_seconds_count{method="post"} 2.0',
        'tallymark_http_refused_total{reason="body_size"} 1.0',
    ):
        assert line in text, f"{line} is not in {text}"


def test_a_push_cannot_take_the_name_of_a_metric_of_the_server(serve: Serve) -> None:
    """Nor break a scrape by trying."""
    server = serve()

    assert (
        server.push("# TYPE tallymark_http_connections counter\ntallymark_http_connections 1\n")
        == 400
    )
    assert server.ask("GET", "/metrics").status == 200


def test_more_requests_than_may_come_are_told_when_to_come_again(serve: Serve) -> None:
    """As many as in a second come at once."""
    server = serve("--web.max-requests-per-second=2")
    answers: list[Answer] = []
    for _ in range(10):
        answers.append(server.ask("GET", "/-/healthy"))
        if answers[-1].status == 429:
            break

    assert answers[-1].status == 429
    assert answers[-1].headers["retry-after"] == "1"


def test_a_push_that_has_begun_is_answered_before_the_end(serve: Serve, store: str) -> None:
    """And is there after the restart."""
    server = serve(store)
    head = f"POST /metrics/job/last HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode() + b"x ")
        wait_until(lambda: server.sample("tallymark_http_bodies_bytes") > 0, "the push has begun")
        ended = threading.Thread(target=server.stop)
        ended.start()
        wait_until(lambda: _is_refused(server), "the server takes no more clients")

        client.sendall(b"1\n")

        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    ended.join()
    assert server.process.returncode == 0
    server.start()
    assert server.metrics() == {"x{instance=,job=last}": 1}


def test_a_second_signal_ends_it_at_once(serve: Serve) -> None:
    """As a program ends that knows nothing of signals."""
    server = serve()
    head = f"POST /metrics/job/last HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode() + b"x ")
        wait_until(lambda: server.sample("tallymark_http_bodies_bytes") > 0, "the push has begun")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _is_refused(server), "the server takes no more clients")

        server.process.send_signal(signal.SIGINT)

        assert server.process.wait(60) == -signal.SIGINT


def _is_refused(server: Gateway) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # The listener went in the middle of the handshake.
        return False
    return False


def test_logs_are_json_if_they_shall_be(serve: Serve) -> None:
    """One object a line, after the line that says where it serves."""
    server = serve("--log.format=json", "--web.max-connections=1")
    with server.connect(), server.connect() as second:
        assert second.recv(1) == b""

    wait_until(lambda: len(server.said().splitlines()) == 2, "the server has said something")

    line = json.loads(server.said().splitlines()[1])
    assert line["level"] == "warn" and "turned away" in line["msg"]


def test_sockets_may_come_from_systemd(tallymark: str) -> None:
    """Which passes them as file 3 and the following ones."""
    with socket.create_server((HOST, 0)) as passed:
        script = (
            f'LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" serve --web.systemd-socket 3<&{passed.fileno()}'
        )
        with subprocess.Popen(
            ["bash", "-c", script, tallymark],
            pass_fds=[passed.fileno()],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as server:
            port = passed.getsockname()[1]
            with urllib.request.urlopen(f"http://{HOST}:{port}/-/healthy", timeout=60) as answer:
                assert answer.status == 200
            server.terminate()
            assert server.wait(60) == 0


def test_without_systemd_there_are_no_sockets_of_it(tallymark: str) -> None:
    """And the command says what else there is."""
    done = subprocess.run(
        [tallymark, "serve", "--web.systemd-socket"], capture_output=True, text=True, timeout=60
    )

    assert (1, "") == (done.returncode, done.stdout)
    assert "LISTEN_FDS" in done.stderr and "--web.listen-address" in done.stderr


def test_flags_of_the_pushgateway_are_taken(serve: Serve, tmp_path: Path) -> None:
    """With what they are for done in our way."""
    arguments = [
        f"--persistence.file={tmp_path / 'groups.tally'}",
        "--persistence.interval=5m",
        "--push.disable-consistency-check",
        "--push.enable-utf8-names",
        "--web.telemetry-path=/metrics",
        "--web.route-prefix=/",
        "--log.level=info",
        "--log.format=logfmt",
    ]
    server = serve(*arguments)
    assert server.push("x 1\n", "job/a/U__a_2e_b/c") == 200
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    server.start()

    assert 'a_b="c"' in server.ask("GET", "/metrics").text
