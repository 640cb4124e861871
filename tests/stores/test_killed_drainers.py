"""Processes that are killed while they drain: whoever drains next goes on where they were."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from host import Scrape
from ledgers import Ledger, RedisLedger, Site, SqliteLedger
from proxy import Proxy

# Counts until it is told to end, or is killed, and drains as often as it can.
WRITER = """
import time
hits = Counter("hits", "Hits.", ["path"])
seconds = Histogram("seconds", "Seconds.", buckets=[1])
done = threading.Event()

def count():
    turn = 0
    while not done.is_set():
        hits.labels(turn % 50).inc()
        seconds.observe(0.5)
        turn += 1
        if turn % 20 == 0:
            time.sleep(0.002)

threading.Thread(target=count).start()
say("started")
hear()
done.set()
for message in messages():
    print(message, file=sys.stderr)
"""


def kill_at_random(hosts: list[Site], workers: int, kills: int, seed: int) -> None:
    """Have processes count on hosts, and kill one after the other; let those left end in peace."""
    chance = random.Random(seed)
    running = [hosts[number % len(hosts)].start(WRITER) for number in range(workers)]
    for _ in range(kills):
        number = chance.randrange(workers)
        running[number].hear("started")
        # The moment of its death is what is drawn.
        time.sleep(chance.uniform(0, 0.05))
        running[number].kill()
        running[number] = hosts[number % len(hosts)].start(WRITER)
    for worker in running:
        worker.hear("started")
        worker.end()


def assert_stored(hosts: list[Site], found: Scrape) -> None:
    """Make sure that the store has exactly what the spools say that was counted."""
    spools = [host.scrape(TALLYMARK_STORE=f"file:{host.spool}") for host in hosts]
    for name in ("hits_total", "seconds_count", "seconds_sum"):
        counted = sum(sum(spool.values(name).values()) for spool in spools)

        assert counted > 0
        assert counted == sum(found.values(name).values()), name


def test_processes_of_one_host_that_are_killed_leave_an_exact_store(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """One of them drains at a time; any may die in the middle of it."""
    host = site(ledger, interval=0.01)
    kill_at_random([host], workers=4, kills=25, seed=1)
    host.drain()

    assert_stored([host], site(ledger, "observer").scrape())


def test_processes_that_are_killed_behind_a_bad_network_leave_an_exact_store(
    redis: RedisLedger, site: Callable[..., Site], proxy: Callable[[int], Proxy]
) -> None:
    """What the dead one has sent may arrive when the next one has sent it again."""
    between = proxy(redis.server.port)
    hosts = [
        site(RedisLedger(redis.server, between.port), name, interval=0.01, timeout=0.3)
        for name in ("a", "b")
    ]
    between.chaos(seed=7)
    kill_at_random(hosts, workers=4, kills=25, seed=2)
    between.pass_on()
    for host in hosts:
        host.drain()

    assert between.counts()["request late"] > 0
    assert_stored(hosts, site(redis, "observer").scrape())


def test_eight_hosts_killed_at_random_leave_an_exact_and_sound_sqlite_file(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """All write as often as they can; nobody hears that the file is locked."""
    hosts = [site(sqlite, f"host-{number}", interval=0.01) for number in range(8)]
    kill_at_random(hosts, workers=8, kills=40, seed=3)
    for host in hosts:
        host.drain()
    with closing(sqlite3.connect(sqlite.path)) as database:
        integrity = database.execute("PRAGMA integrity_check").fetchall()
    said = "".join(host.errors() for host in hosts)

    assert [("ok",)] == integrity
    assert "locked" not in said
    assert "Traceback" not in said
    assert_stored(hosts, site(sqlite, "observer").scrape())
