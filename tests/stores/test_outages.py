"""Stores that die, hang, fill up, refuse and forget: programs count on, and at last all is there.

While a store is in trouble, no update raises or waits, `flush` says what the matter is, and a
scrape is answered. When it is well again, what was counted meanwhile comes in, and what it has lost
is told to it again by the hosts.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass

import pytest
from host import Sandbox
from ledgers import (
    App,
    ClusterLedger,
    Ledger,
    RedisLedger,
    Site,
    SqliteLedger,
    assert_turns,
)
from proxy import Proxy
from servers import Cluster, Redis, wait_until

# What flush says of an outage: the type of its error, or none where it need not notice.
TIMEOUT, GONE, DENIED, ANY = "TimeoutError", "ConnectionError", "PermissionError", "OSError"


@dataclass
class Outage:
    """A trouble of a Redis, how `flush` calls it, and whether the store can be read meanwhile."""

    trouble: Callable[[Redis], AbstractContextManager[None]]
    error: str
    readable: bool


@contextmanager
def hangs(server: Redis) -> Iterator[None]:
    server.hang()
    yield
    server.go_on()


@contextmanager
def is_gone_and_comes_back_empty(server: Redis) -> Iterator[None]:
    server.kill()
    yield
    server.start()
    assert 0 == server.ask("DBSIZE")


@contextmanager
def is_out_of_memory(server: Redis) -> Iterator[None]:
    server.ask("CONFIG SET", "maxmemory", 1)
    yield
    server.ask("CONFIG SET", "maxmemory", 0)


@contextmanager
def is_a_replica_of_nobody(server: Redis) -> Iterator[None]:
    server.ask("REPLICAOF", "127.0.0.1", 1)
    yield
    server.ask("REPLICAOF", "NO", "ONE")


@contextmanager
def asks_for_a_password(server: Redis) -> Iterator[None]:
    server.ask("ACL SETUSER", "default", "resetpass", ">other")
    server.ask("CLIENT KILL", "USER", "default")
    yield
    server.ask("ACL SETUSER", "default", "nopass")


@contextmanager
def permits_nothing(server: Redis) -> Iterator[None]:
    server.ask("ACL SETUSER", "default", "-@all")
    yield
    server.ask("ACL SETUSER", "default", "+@all")


@contextmanager
def forgets_its_scripts(server: Redis) -> Iterator[None]:
    server.ask("SCRIPT FLUSH")
    server.ask("FUNCTION FLUSH")
    yield


@contextmanager
def forgets_everything(server: Redis) -> Iterator[None]:
    server.ask("FLUSHALL")
    yield


OUTAGES = [
    Outage(hangs, TIMEOUT, readable=False),
    Outage(is_gone_and_comes_back_empty, GONE, readable=False),
    Outage(is_out_of_memory, ANY, readable=True),
    Outage(is_a_replica_of_nobody, ANY, readable=True),
    Outage(asks_for_a_password, DENIED, readable=False),
    Outage(permits_nothing, DENIED, readable=False),
    Outage(forgets_its_scripts, "", readable=True),
    Outage(forgets_everything, "", readable=True),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda outage: outage.trouble.__name__)
def test_a_program_counts_on_when_its_redis(
    outage: Outage, redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """Twice each outage, since the second one must be no other."""
    app = App(site(redis, timeout=0.3))
    for _ in range(2):
        app.more()
        app.flushed()
        before = len(app.messages())
        with outage.trouble(redis.server):
            app.more()
            first, second = app.flush(0.5), app.flush(0.5)
            app.more()
            scraped = app.scrape()
            if outage.error:
                assert_says(first, outage.error, redis)
                assert_says(second, outage.error, redis)
                # Another reason, such as an end of the connection before the refusal, is news, too.
                said = app.messages()[before:]
                assert 1 <= len(said) <= 2, app.messages()
                assert len(set(said)) == len(said)
            assert float(outage.readable) == scraped.value("tallymark_store_up")
        app.more()
        app.flushed()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(redis, "observer").scrape())
    assert_turns(turns, app.scrape())


def assert_says(error: list[object] | None, name: str, ledger: Ledger) -> None:
    """Make sure that `flush` raised an `OSError` that names the store."""
    assert error, "flush noticed nothing"
    found, is_os_error, text = error
    assert is_os_error, error
    assert name in (found, "OSError"), error
    assert ledger.where.partition("://")[2].rpartition("/")[0] in str(text)


def test_a_program_counts_on_when_its_network_swallows_everything(
    redis: RedisLedger, site: Callable[..., Site], proxy: Callable[[int], Proxy]
) -> None:
    """Neither an answer nor an end of the connection comes; then no connection is taken at all."""
    between = proxy(redis.server.port)
    ledger = RedisLedger(redis.server, between.port)
    app = App(site(ledger, timeout=0.3))
    app.flushed()
    between.blackhole()
    app.more()
    assert_says(app.flush(0.5), TIMEOUT, ledger)
    between.refuse()
    app.more()
    assert_says(app.flush(0.5), GONE, ledger)
    between.pass_on()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(redis, "observer").scrape())


def test_a_redis_that_is_killed_and_reads_its_log_again_is_gone_on_with(
    server: Callable[..., Redis], site: Callable[..., Site]
) -> None:
    """It has all that it has answered; batches whose answers were lost come again."""
    redis = server("--appendonly", "yes", "--appendfsync", "always")
    redis.start()
    ledger = RedisLedger(redis)
    app = App(site(ledger, timeout=0.3, interval=0.01))
    for _ in range(5):
        app.more()
        redis.kill()
        app.more()
        redis.start()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(ledger, "observer").scrape())


def test_a_redis_that_comes_back_with_an_older_log_is_told_what_it_missed(
    server: Callable[..., Redis], site: Callable[..., Site]
) -> None:
    """The log is a copy from three batches ago, as after a crash of a machine."""
    redis = server("--appendonly", "yes", "--appendfsync", "always")
    redis.start()
    ledger = RedisLedger(redis)
    host = site(ledger, sync="true")
    count = 'Counter("hits", "Hits.", ["turn"]).labels(sys.argv[1]).inc(); tallymark.flush(30)'
    log, copy = redis.directory / "appendonlydir", redis.directory / "copy"
    for turn in (0, 0, 1):
        host.run(count, turn)
    shutil.copytree(log, copy)
    for turn in (1, 2, 2):
        host.run(count, turn)
    redis.kill()
    shutil.rmtree(log)
    copy.rename(log)
    redis.start()
    older = redis.ask("DBSIZE")
    host.run("tallymark.flush(30)")
    told = site(ledger, "observer").scrape()
    host.run(count, 3)

    assert older > 0
    assert {("0",): 2, ("1",): 2, ("2",): 2} == told.values("hits_total")
    assert {("0",): 2, ("1",): 2, ("2",): 2, ("3",): 1} == site(ledger, "observer").scrape().values(
        "hits_total"
    )


def test_a_replica_that_takes_the_place_of_its_primary_is_told_what_it_missed(
    server: Callable[..., Redis], site: Callable[..., Site], proxy: Callable[[int], Proxy]
) -> None:
    """The primary has taken batches that never came to the replica, and dies."""
    primary, replica = server(), server()
    primary.start()
    replica.start()
    between = proxy(primary.port)
    ledger = RedisLedger(primary, between.port)
    app = App(site(ledger, timeout=0.3))
    app.more()
    app.flushed()
    replica.ask("REPLICAOF", "127.0.0.1", primary.port)
    wait_until(lambda: is_in_step(primary, replica), "the replica has what the primary has")
    replica.ask("REPLICAOF", "NO", "ONE")
    for _ in range(3):
        app.more()
        app.flushed()
    primary.kill()
    between.lead_to(replica.port)
    app.more()
    app.flushed()
    app.more()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(RedisLedger(replica), "observer").scrape())


def is_in_step(primary: Redis, replica: Redis) -> bool:
    """Whether a replica has caught up."""
    found = replica.ask("INFO", "replication")
    return (
        found.get("master_link_status") == "up"
        and found["slave_repl_offset"] >= primary.ask("INFO", "replication")["master_repl_offset"]
    )


def test_a_redis_that_evicts_is_told_again_what_it_threw_away(
    redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """Its policy may take any key; the log says that this is no good."""
    app = App(site(redis, timeout=0.3))
    app.flushed()
    redis.server.ask("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    kept = redis.server.ask("INFO", "memory")["used_memory"]
    redis.server.ask("CONFIG SET", "maxmemory", kept - 50_000)
    wait_until(
        lambda: app.more(20) and redis.server.ask("INFO", "stats")["evicted_keys"] > 0,
        "something is evicted",
    )
    app.more()
    app.flush(0.5)
    redis.server.ask("CONFIG SET", "maxmemory", 0)
    app.more()
    app.flushed()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(redis, "observer").scrape())


@contextmanager
def a_master_hangs(cluster: Cluster) -> Iterator[None]:
    cluster.nodes[1].hang()
    yield
    cluster.nodes[1].go_on()


@contextmanager
def a_master_comes_back_empty(cluster: Cluster) -> Iterator[None]:
    cluster.nodes[2].kill()
    yield
    cluster.nodes[2].start()


@contextmanager
def slots_move_twice(cluster: Cluster) -> Iterator[None]:
    first, second, third = cluster.nodes
    assert cluster.migrate(first, second) > 0
    assert cluster.migrate(second, third) > 0
    yield


@pytest.mark.parametrize(
    "trouble",
    [a_master_hangs, a_master_comes_back_empty, slots_move_twice],
    ids=lambda trouble: trouble.__name__,
)
def test_a_program_counts_on_when_in_its_cluster(
    trouble: Callable[[Cluster], AbstractContextManager[None]],
    nodes: Cluster,
    site: Callable[..., Site],
) -> None:
    """What the other masters hold goes on, and what the one has missed comes to it later."""
    nodes.start()
    ledger = ClusterLedger(nodes)
    app = App(site(ledger, timeout=0.5, interval=0.01))
    app.more()
    app.flushed()
    assert all(node.ask("DBSIZE") for node in nodes.nodes), "the keys are spread"
    with trouble(nodes):
        app.more()
        app.flush(0.5)
        app.more()
    wait_until(nodes.agrees, "the nodes are a cluster again")
    app.more()
    app.flushed()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(ledger, "observer").scrape())


def test_a_sqlite_file_that_somebody_locks_is_waited_for_without_the_program(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """The lock is as exclusive as they come; readers do not wait for it."""
    app = App(site(sqlite, timeout=0.3))
    app.flushed()
    with closing(sqlite3.connect(sqlite.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        app.more()
        [name, is_os_error, text] = app.flush(0.5)
        scraped = app.scrape()
        other.execute("ROLLBACK")
    turns = app.stop()
    app.flushed()

    assert "TimeoutError" == name and is_os_error
    assert str(sqlite.path) in text
    assert 1 == scraped.value("tallymark_store_up")
    assert not [one for one in [*app.messages(), text] if "database is locked" in one]
    assert_turns(turns, site(sqlite, "observer").scrape())


def test_a_sqlite_file_that_was_deleted_is_made_and_filled_again(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """Also by a process that has the old one open, and could write into nowhere."""
    app = App(site(sqlite))
    for _ in range(2):
        app.more()
        app.flushed()
        for path in sqlite.path.parent.iterdir():
            path.unlink()
        app.more()
        app.flushed()
    turns = app.stop()
    app.flushed()

    assert_turns(turns, site(sqlite, "observer").scrape())


def test_a_sqlite_file_that_was_put_back_to_an_older_state_is_told_what_it_missed(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """A copy from three batches ago, made as SQLite makes copies."""
    host = site(sqlite, sync="true")
    count = 'Counter("hits", "Hits.", ["turn"]).labels(sys.argv[1]).inc(); tallymark.flush(30)'
    for turn in (0, 0, 1):
        host.run(count, turn)
    copy = sqlite.path.with_name("copy")
    with closing(sqlite3.connect(sqlite.path)) as now, closing(sqlite3.connect(copy)) as then:
        now.backup(then)
    for turn in (1, 2, 2):
        host.run(count, turn)
    for path in sqlite.path.parent.glob("metrics.db*"):
        path.unlink()
    copy.rename(sqlite.path)
    host.run("tallymark.flush(30)")
    told = site(sqlite, "observer").scrape()
    host.run(count, 3)

    assert {("0",): 2, ("1",): 2, ("2",): 2} == told.values("hits_total")
    assert {("0",): 2, ("1",): 2, ("2",): 2, ("3",): 1} == site(sqlite, "observer").scrape().values(
        "hits_total"
    )


def test_a_full_disk_below_sqlite_stops_no_program(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """The spool is on another one."""
    host = site(sqlite)
    disk = sqlite.path.parent
    sandbox = Sandbox(host, f"mount -t tmpfs -o size=1m tmpfs {disk}")
    host.prefix = sandbox.prefix
    app = App(host)
    app.more()
    app.flushed()
    sandbox.run("sh", "-c", f"cat /dev/zero > {disk}/filler || true")
    host.run("more = Counter('more', 'More.', ['n'])\nfor n in range(2000): more.labels(n).inc()")
    app.more()
    [_, is_os_error, text] = app.flush(1)
    app.more()
    sandbox.run("mount", "-o", "remount,size=16m", str(disk))
    turns = app.stop()
    app.flushed()
    observer = site(sqlite, "observer")
    observer.prefix = sandbox.prefix
    found = observer.scrape()

    assert is_os_error
    assert str(sqlite.path) in text
    assert_turns(turns, found)
    assert 2000 == sum(found.values("more_total").values())
