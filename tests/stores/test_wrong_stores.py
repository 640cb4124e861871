"""Stores that cannot be used: programs count on, hear once what to do, and show no password.

A program that is told of such a store by its environment runs to its end with status 0. What it
counted waits in the spool; `flush` and the command line say that they have failed. When the matter
is mended, everything arrives.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest
from host import Worker
from ledgers import Ledger, RedisLedger, Site, SqliteLedger
from servers import HOST, Redis, wait_until

SECRET = "a-wrong-secret"

JOB = """
import time
hits = Counter("hits", "Hits.")
for _ in range(3):
    hits.inc()
for _ in range(2):
    try:
        tallymark.flush(1)
        say("flushed")
    except OSError as error:
        say(type(error).__name__, error)
hits.inc()
generate_latest()
# The thread that drains may be about to log it.
for _ in range(1000):
    if messages():
        break
    time.sleep(0.01)
for message in messages():
    say(message)
"""


@dataclass
class Wrong:
    """A store with something wrong, what is said of it, and what mends it."""

    ledger: Ledger
    error: str
    what: list[str]
    mend: Callable[[], object]


def nobody_listens(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    redis = server()
    return Wrong(RedisLedger(redis), "ConnectionError", [f"{HOST}:{redis.port}"], redis.start)


def wrong_password(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    redis = server("--requirepass", "another")
    redis.start()
    ledger = Ledger(f"redis://:{SECRET}@{HOST}:{redis.port}/0")
    return Wrong(
        ledger,
        "PermissionError",
        [f"{HOST}:{redis.port}", "password"],
        lambda: redis.ask("CONFIG SET", "requirepass", SECRET),
    )


def no_password(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    redis = server("--requirepass", "another")
    redis.start()
    return Wrong(
        RedisLedger(redis),
        "PermissionError",
        [f"{HOST}:{redis.port}", "password"],
        lambda: redis.ask("CONFIG SET", "requirepass", ""),
    )


def wrong_user(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    redis = server()
    redis.start()
    return Wrong(
        Ledger(f"redis://app:{SECRET}@{HOST}:{redis.port}/0"),
        "PermissionError",
        [f"{HOST}:{redis.port}", "password"],
        lambda: redis.ask("ACL SETUSER", "app", "on", f">{SECRET}", "~*", "&*", "+@all"),
    )


def a_cluster_without_slots(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    redis = server("--cluster-enabled", "yes", "--cluster-port", server().port)
    redis.start()
    return Wrong(
        RedisLedger(redis),
        "OSError",
        [f"{HOST}:{redis.port}"],
        lambda: give_all_slots(redis),
    )


def give_all_slots(redis: Redis) -> None:
    redis.ask("CLUSTER ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: redis.ask("CLUSTER INFO")["cluster_state"] == "ok", "the cluster is up")


def no_such_directory(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    path = sqlite.path.parent / "not-there" / "metrics.db"
    return Wrong(Ledger(f"sqlite:{path}"), "ConnectionError", [str(path)], path.parent.mkdir)


def not_a_database(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    sqlite.path.write_text("These are notes, and no database at all.\n" * 200)
    return Wrong(sqlite, "OSError", [str(sqlite.path), "not"], sqlite.path.unlink)


def somebody_elses_database(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    with closing(sqlite3.connect(sqlite.path)) as database:
        database.execute("CREATE TABLE customers (name TEXT)")
        database.commit()
    return Wrong(sqlite, "OSError", [str(sqlite.path)], sqlite.path.unlink)


def newer_database(server: Callable[..., Redis], sqlite: SqliteLedger) -> Wrong:
    first = Site(sqlite, "first")
    first.run('Counter("hits", "Hits.").inc(0); tallymark.flush(30)')
    first.close()

    def set_version(version: int) -> None:
        with closing(sqlite3.connect(sqlite.path)) as database:
            database.execute(f"PRAGMA user_version = {version}")
            database.commit()

    set_version(99)
    return Wrong(sqlite, "OSError", [str(sqlite.path), "99", "upgrade"], lambda: set_version(1))


@pytest.fixture(
    params=[
        nobody_listens,
        wrong_password,
        no_password,
        wrong_user,
        a_cluster_without_slots,
        no_such_directory,
        not_a_database,
        somebody_elses_database,
        newer_database,
    ],
    ids=lambda param: param.__name__,
)
def wrong(
    request: pytest.FixtureRequest, server: Callable[..., Redis], sqlite: SqliteLedger
) -> Wrong:
    found: Wrong = request.param(server, sqlite)
    return found


def all_that_was_said(worker: Worker, output: str) -> str:
    return output + worker.stderr


def test_a_store_that_is_no_good_stops_no_program_and_everything_arrives_later(
    wrong: Wrong, site: Callable[..., Site], tallymark: str
) -> None:
    """Two programs count before it is mended, and one drains after it."""
    host = site(wrong.ledger, timeout=0.3, interval=0.05)
    workers = [host.start(JOB) for _ in range(2)]
    outputs = [worker.end(0) for worker in workers]
    command = host.command([tallymark, "drain", host.url])
    commanded = command.end(1)
    wrong.mend()
    host.drain()
    found = site(wrong.ledger, "observer").scrape()

    for worker, output in zip(workers, outputs, strict=True):
        first, second, *logged = output.splitlines()
        for error in (first, second):
            assert error.split()[0] == wrong.error, output
            assert all(what in error for what in wrong.what), output
        assert 1 == len(logged), output
        assert logged[0].startswith(("WARNING ", "ERROR ")), output
        assert all(what in logged[0] for what in wrong.what), output
        assert "Traceback" not in worker.stderr
        assert SECRET not in all_that_was_said(worker, output)
    assert all(what in command.stderr for what in wrong.what), command.stderr
    assert SECRET not in all_that_was_said(command, commanded)
    assert 8 == found.value("hits_total")


def test_a_database_that_is_not_ours_is_left_as_it_was(
    sqlite: SqliteLedger, site: Callable[..., Site]
) -> None:
    """Not a byte of it changes, and no file comes beside it."""
    for arrange in (not_a_database, somebody_elses_database):
        sqlite.path.unlink(missing_ok=True)
        arrange(lambda: None, sqlite)
        before = sqlite.path.read_bytes()
        site(sqlite).run(JOB)

        assert before == sqlite.path.read_bytes()
        assert [sqlite.path] == list(sqlite.path.parent.iterdir())


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://127.0.0.1:port/0",
        "redis://127.0.0.1:99999/0",
        "redis://127.0.0.1/first",
        f"redis://:{SECRET}@127.0.0.1:port/0",
        f"redis://:{SECRET}@127.0.0.1/0?colour=red",
        "redis://127.0.0.1/0?lease=soon",
        "redis://127.0.0.1/0?interval=0",
        "redis://127.0.0.1/0?sync=perhaps",
        "redis+cluster://",
        "redis+cluster://127.0.0.1:1,",
        "unix:",
        "sqlite:",
        "sqlite:/tmp/metrics.db?prefix=x",
        "sqlite:/tmp/metrics.db?timeout=-1",
    ],
)
def test_a_url_that_means_nothing_is_a_value_error_or_one_logged_error(
    sqlite: SqliteLedger, site: Callable[..., Site], url: str
) -> None:
    """As of every other kind of store: the program counts in its memory."""
    host = site(sqlite)
    script = """
        hits = Counter("hits", "Hits.")
        hits.inc()
        try:
            tallymark.use_store(sys.argv[1])
        except ValueError as error:
            say("ERROR " + str(error) + "; counting in this process's memory")
        say(messages()[0] if messages() else "", len(messages()), own("hits_total"))
    """
    by_code = host.run(script, url, TALLYMARK_STORE="").splitlines()
    by_environment = host.run(script, "memory:", TALLYMARK_STORE=url).splitlines()

    assert 2 == len(by_code), by_code
    assert by_code[0].startswith("ERROR "), by_code
    assert " 0 1.0" == by_code[1]
    assert [f"{by_code[0]} 1 1.0"] == by_environment
    assert SECRET not in "".join(by_code + by_environment)


def test_a_store_that_code_asks_for_is_taken_even_if_it_is_not_there(
    server: Callable[..., Redis], site: Callable[..., Site]
) -> None:
    """`use_store` raises nothing: the spool is all that it needs at once."""
    redis = server()
    host = site(RedisLedger(redis), timeout=0.3)
    worker = host.start(
        """
        hits = Counter("hits", "Hits.")
        hits.inc(5)
        tallymark.use_store(sys.argv[1])
        hits.inc(2)
        say("counted")
        hear()
        tallymark.flush(30)
        """,
        host.url,
        TALLYMARK_STORE="",
    )
    worker.hear("counted")
    redis.start()
    worker.say("end")
    worker.end()

    assert 7 == site(RedisLedger(redis), "observer").scrape().value("hits_total")


def test_the_password_is_in_nothing_that_a_program_shows(
    server: Callable[..., Redis], site: Callable[..., Site], tallymark: str
) -> None:
    """Neither in its exposition, nor in what `store_url` gives or a server of metrics says."""
    redis = server("--requirepass", SECRET)
    redis.start()
    host = site(Ledger(f"redis://:{SECRET}@{HOST}:{redis.port}/0"))
    output = host.run(
        """
        from tallymark import _tallymark
        logging.basicConfig(level=logging.DEBUG)
        logging.getLogger("tallymark").setLevel(logging.DEBUG)
        Counter("hits", "Hits.").inc()
        tallymark.flush(30)
        say(generate_latest().decode(), _tallymark.store_url(), messages())
        """
    )
    command = host.command([tallymark, "drain", host.url])
    rest = command.end()

    assert "hits_total 1.0" in output
    assert SECRET not in output + host.errors()
    assert SECRET not in all_that_was_said(command, rest)
