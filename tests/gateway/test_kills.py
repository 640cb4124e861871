"""Servers that are killed, doubled and replaced: what was acknowledged is there, once."""

from __future__ import annotations

import http.client
import itertools
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from gateways import HOST, Gateway
from servers import Redis, wait_until

Serve = Callable[..., Gateway]

PUSHERS = 4


class Pushers:
    """Clients that push a job each time, until they are told to stop."""

    def __init__(self, server: Gateway, retry: bool) -> None:
        self._server = server
        self._retry = retry
        # Of these clients alone, also when others are gone.
        self._name = uuid.uuid4()
        self._stop = threading.Event()
        self.acknowledged = 0
        self.tried = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(name,)) for name in range(PUSHERS)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, name: int) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            with self._lock:
                self.tried += 1
            # Who retries gives up only with an acknowledgement.
            while not self._push(f"{self._name}-{name}-{number}"):
                if not self._retry:
                    break

    def _push(self, push: str) -> bool:
        try:
            status = self._server.push("jobs_total 1\n", "job/batch", Tallymark_Push_Id=push)
        except (OSError, http.client.HTTPException):
            # Away, or gone before it had answered.
            return False
        if status == 200:
            with self._lock:
                self.acknowledged += 1
        return status == 200

    def stop(self) -> None:
        """Let them end what they do."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_what_was_acknowledged_is_there_after_a_kill(
    serve: Serve, redis: Redis, store: str, tmp_path: Path, kind: str
) -> None:
    """And nothing that nobody pushed."""
    url = store if kind == "file" else f"redis://{HOST}:{redis.port}/0?spool={tmp_path}/s.tally"
    server = serve(url, "--push.aggregate")
    acknowledged = tried = 0
    for _ in range(4):
        pushers = Pushers(server, retry=False)
        wait_until(lambda: pushers.acknowledged > 25, "jobs have pushed")  # noqa: B023
        server.kill()
        pushers.stop()
        acknowledged, tried = acknowledged + pushers.acknowledged, tried + pushers.tried
        server.start()

        total = server.metrics()["jobs_total{instance=,job=batch}"]

        assert acknowledged <= total <= tried


def test_who_pushes_until_it_is_acknowledged_counts_once(serve: Serve, store: str) -> None:
    """By the id that every attempt has."""
    server = serve(store, "--push.aggregate")
    pushers = Pushers(server, retry=True)
    for _ in range(4):
        before = pushers.acknowledged
        wait_until(lambda: pushers.acknowledged > before + 25, "jobs have pushed")  # noqa: B023
        server.kill()
        server.start()
    pushers.stop()

    assert pushers.acknowledged == pushers.tried
    assert {"jobs_total{instance=,job=batch}": pushers.tried} == server.metrics()


def test_two_servers_over_one_redis_are_one(serve: Serve, redis: Redis, tmp_path: Path) -> None:
    """Each shows what was pushed to the other, and goes on without it."""
    urls = [f"redis://{HOST}:{redis.port}/0?spool={tmp_path}/{name}.tally" for name in "ab"]
    one, other = (serve(url, "--push.aggregate") for url in urls)
    for pushed, server in enumerate([one, other] * 10, 1):
        assert server.push("jobs_total 1\n", "job/batch") == 200

        expected = {"jobs_total{instance=,job=batch}": pushed}
        assert expected == one.metrics() == other.metrics()

    both = [Pushers(one, retry=False), Pushers(other, retry=False)]
    wait_until(lambda: min(pushers.acknowledged for pushers in both) > 20, "jobs have pushed")
    for pushers in both:
        pushers.stop()
    total = 20 + sum(pushers.acknowledged for pushers in both)
    assert {"jobs_total{instance=,job=batch}": total} == one.metrics() == other.metrics()

    one.kill()
    assert other.ask("DELETE", "/metrics/job/batch").status == 202
    one.start()
    assert {} == one.metrics() == other.metrics()
