"""gunicorn for the tests, and a client that knows whether it was answered."""

from __future__ import annotations

import socket
import sys
import textwrap
import threading
from collections import Counter

from host import Host, Worker


class Closed(Exception):
    """The connection was closed before any byte of the answer."""


def get(address: str | tuple[str, int], path: str = "/") -> str:
    """
    Give the body of an answer.

    Raises:
        Closed: There was no answer at all.
        AssertionError: It broke off, or was no success.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    received = b""
    with socket.socket(family) as connection:
        connection.settimeout(30)
        try:
            connection.connect(address)
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode()
            )
            while block := connection.recv(1 << 16):
                received += block
        except (ConnectionResetError, BrokenPipeError):
            assert not received, received
    if not received:
        raise Closed
    head, _, body = received.decode().partition("\r\n\r\n")
    status, *headers = head.split("\r\n")
    assert " 200 " in status, received.decode()
    length = [line.split(":")[1] for line in headers if line.lower().startswith("content-length")]
    assert [len(body.encode())] == [int(one) for one in length], received.decode()
    return body


class Gunicorn:
    """gunicorn with an application that says which process answered."""

    def __init__(self, host: Host, app: str, config: str, *options: str, **names: str) -> None:
        self.address = str(host.directory / "socket")
        (host.directory / "app.py").write_text(textwrap.dedent(app))
        hook = "def when_ready(server):\n    print('ready', flush=True)\n"
        (host.directory / "settings.py").write_text(hook + textwrap.dedent(config))
        command = [sys.executable, "-m", "gunicorn", "-c", "settings.py", "-b"]
        self.process: Worker = host.command(
            [*command, f"unix:{self.address}", *options, "app:app"], **names
        )
        self.process.hear("ready")
        self.answered: Counter[str] = Counter()
        self.unanswered = 0

    def load(self, requests: int, clients: int = 4) -> None:
        """Make that many requests, and count the answers by the process that gave them."""
        lock = threading.Lock()
        troubles: list[BaseException] = []

        def client() -> None:
            try:
                for _ in range(requests // clients):
                    self.request(lock)
            except BaseException as trouble:
                troubles.append(trouble)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if troubles:
            raise troubles[0]

    def request(self, lock: threading.Lock) -> None:
        """Make one request."""
        try:
            pid = get(self.address)
        except Closed:
            with lock:
                self.unanswered += 1
        else:
            with lock:
                self.answered[pid] += 1

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.process.terminate()
        self.process.end(None)


def bound_port() -> socket.socket:
    """Give a socket that keeps a port for those who share it, and takes no connections itself."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(("127.0.0.1", 0))
    return kept
