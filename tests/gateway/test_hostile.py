"""What clients do wrong, or on purpose: bounded memory, a clear answer, and nobody else waits."""

from __future__ import annotations

import gzip
import io
import random
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from gateways import CHUNK, HOST, Gateway, wait_until

Serve = Callable[..., Gateway]

MIB = 1 << 20

# What a server of these tests may take, debug build and all: its limits are 16 MiB for a body and
# 64 MiB for one that is unpacked.
MEMORY = 256 * MIB


def zeros(size: int) -> Iterator[bytes]:
    """Give a body without end, nearly."""
    for _ in range(size // CHUNK):
        yield bytes(CHUNK)


def is_well(server: Gateway) -> bool:
    """Whether others are answered."""
    return (
        server.push("alive 1\n", "job/other") == 200
        and "alive" in server.ask("GET", "/metrics").text
    )


@pytest.mark.parametrize("chunked", [True, False])
def test_a_push_of_200_megabytes_is_refused_unread(serve: Serve, chunked: bool) -> None:
    """A client that sends all of it before it reads anything reads why."""
    server = serve()
    size = 200 * MIB
    headers = {} if chunked else {"Content_Length": str(size)}

    answer = server.ask("POST", "/metrics/job/a", zeros(size), **headers)  # type: ignore[arg-type]

    assert answer.status == 413
    assert "at most 16777216 bytes" in answer.text
    assert is_well(server)
    assert server.peak() < MEMORY


def gzip_bomb() -> bytes:
    """Pack 256 MiB into one."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for piece in zeros(256 * MIB):
            file.write(piece)
    return packed.getvalue()


def varint(number: int) -> bytes:
    """Write a number as protobuf and snappy do."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def snappy_bomb(size: int) -> bytes:
    """Pack zeros: one as it is, and then copies of it, 64 at a time."""
    return varint(1 + size // 64 * 64) + b"\x00\x00" + b"\xfe\x01\x00" * (size // 64)


@pytest.mark.parametrize(
    ("encoding", "bomb"),
    [
        ("gzip", gzip_bomb),
        ("snappy", lambda: snappy_bomb(200 * MIB)),
        # This one only says that it is large.
        ("snappy", lambda: varint(4_000_000_000) + b"\x00\x00"),
    ],
    ids=["gzip", "snappy", "announced"],
)
def test_a_bomb_does_not_go_off(serve: Serve, encoding: str, bomb: Callable[[], bytes]) -> None:
    """It is unpacked as far as is allowed, and no further."""
    server = serve()

    answer = server.ask("POST", "/metrics/job/a", bomb(), Content_Encoding=encoding)

    assert answer.status in (400, 413) and answer.text.strip(), answer
    assert is_well(server)
    assert server.peak() < MEMORY


def test_bodies_that_come_slowly_keep_nobody_waiting(serve: Serve) -> None:
    """And are given up after a time, with an answer."""
    server = serve("--web.body-timeout=2s")
    head = f"POST /metrics/job/slow HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(50)]
        for client in slow:
            client.sendall(head.encode() + b"x")

        assert is_well(server)

        for client in slow:
            assert client.recv(100).startswith(b"HTTP/1.1 408 ")
    assert 'reason="body_time"} 50.0' in server.ask("GET", "/metrics").text


def test_bodies_that_fill_the_room_are_not_waited_for(serve: Serve) -> None:
    """One more is told to come again, and can when they have gone."""
    server = serve("--web.max-body=1MiB", "--web.max-bodies=1MiB")
    head = f"POST /metrics/job/slow HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {MIB}\r\n\r\n"
    with server.connect() as client:
        client.sendall(head.encode() + b"x" * (MIB - 1))

        wait_until(lambda: server.sample("tallymark_http_bodies_bytes") == MIB, "the room is full")

        refused = server.ask("POST", "/metrics/job/a", "x 1\n")

        assert (503, "1") == (refused.status, refused.headers["retry-after"])
        assert server.ask("GET", "/metrics").status == 200

    wait_until(lambda: server.push("x 1\n") == 200, "there is room again")


def test_answers_that_are_not_taken_are_given_up(serve: Serve) -> None:
    """A byte a second is not taking it."""
    server = serve("--web.write-timeout=2s")
    many = "".join(f'x{{number="{number:0100}"}} {number}\n' for number in range(50_000))
    assert server.push(many) == 200
    with ExitStack() as stack:
        slow = []
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(60)
            client.connect((HOST, server.port))
            client.sendall(f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            assert client.recv(1) == b"H"
            slow.append(client)

        assert is_well(server)
        wait_until(
            lambda: server.ask("GET", "/metrics?name[]=tallymark_http_connections").text.endswith(
                " 1.0\n"
            ),
            "the server has given them up",
        )
    assert is_well(server)


def test_a_thousand_idle_connections_keep_nobody_waiting(serve: Serve) -> None:
    """Those who have said nothing, and those who have stopped in the middle of a head."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    server = serve("--web.header-timeout=1m")
    with ExitStack() as stack:
        for number in range(1000):
            client = stack.enter_context(server.connect())
            if number % 2:
                client.sendall(b"GET /metr")

        assert is_well(server)
        assert server.sample("tallymark_http_connections") == 1001
    assert server.peak() < MEMORY


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("x\n", {}),
        ("x 1", {}),
        ("x one\n", {}),
        ("x{ 1\n", {}),
        ('x{a="b" 1\n', {}),
        ("x 1 1\n", {}),
        ("# TYPE x counter\n# TYPE x gauge\nx 1\n", {}),
        ("x 1\nx 2\n", {}),
        ("\xff\xfe 1\n".encode("latin-1"), {}),
        ("\0\n", {}),
        ("x 1\n", {"Content_Encoding": "gzip"}),
        (gzip.compress(b"x 1\n")[:-9], {"Content_Encoding": "gzip"}),
        ("x 1\n", {"Content_Encoding": "snappy"}),
        ("x 1\n", {"Content_Encoding": "br"}),
        (
            b"\xff\xff\xff\xff\x0f",
            {
                "Content_Type": "application/vnd.google.protobuf; "
                "proto=io.prometheus.client.MetricFamily; encoding=delimited"
            },
        ),
        ("x 1\n# EOF\nx 2\n", {"Content_Type": "application/openmetrics-text; version=1.0.0"}),
    ],
)
def test_a_body_that_is_no_metrics_is_refused_with_a_reason(
    serve: Serve, body: str | bytes, headers: dict[str, str]
) -> None:
    """And changes nothing."""
    server = serve()
    if isinstance(body, str):
        body = body.encode()

    answer = server.ask("POST", "/metrics/job/a", body, **headers)

    assert 400 <= answer.status < 500 and answer.text.strip(), answer
    assert server.metrics() == {}


def test_bytes_that_are_no_requests_end_nothing(serve: Serve) -> None:
    """Of any kind, and requests with any byte broken."""
    server = serve()
    luck = random.Random(5)
    body = gzip.compress(b"x 1\n")
    good = (
        f"POST /metrics/job/a HTTP/1.1\r\nHost: {HOST}\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
    for number in range(400):
        wrong = bytearray(good)
        if number % 4:
            for _ in range(luck.randint(1, 4)):
                wrong[luck.randrange(len(wrong))] = luck.randrange(256)
        else:
            wrong = bytearray(luck.randbytes(luck.randrange(2000)))
        with server.connect() as client:
            try:
                client.sendall(wrong[: luck.randint(1, len(wrong) or 1)])
                client.shutdown(socket.SHUT_WR)
                while client.recv(CHUNK):
                    pass
            except ConnectionError:
                # It may be told of by a reset, having sent more than was read.
                pass

    assert is_well(server)
    assert server.process.poll() is None
    assert server.peak() < MEMORY
