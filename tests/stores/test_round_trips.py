"""How often a Redis is asked: by intervals and shards, and not by updates."""

from __future__ import annotations

import time
from collections.abc import Callable

from ledgers import RedisLedger, Site

SERIES, UPDATES, INTERVAL = 1_000, 1_000_000, 0.5

# What scripts and functions call themselves, and what these tests do.
INSIDE = {"hget", "hmget", "hset", "hdel", "time", "exists", "info", "hello", "auth", "ping"}


def test_a_million_updates_of_a_thousand_series_are_a_few_calls_an_interval(
    redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """Each interval a few batches, since a batch has at most 512 numbers; a round about each."""
    host = site(redis, interval=INTERVAL)
    worker = host.start(
        """
        import time
        hits = Counter("hits", "Hits.", ["number"])
        children = [hits.labels(number) for number in range(int(sys.argv[1]))]
        for child in children:
            child.inc()
        tallymark.flush(30)
        say("ready")
        hear()
        rounds = int(sys.argv[2]) // len(children)
        for round in range(rounds):
            for child in children:
                child.inc()
            time.sleep(0.004)
        say("counted")
        hear()
        """,
        SERIES,
        UPDATES,
    )
    worker.hear("ready")
    before, began = received(redis), time.monotonic()
    worker.ask("go")
    after, took = received(redis), time.monotonic() - began
    worker.say("end")
    worker.end()
    found = site(redis, "observer").scrape()
    intervals = took / INTERVAL + 1

    assert SERIES + UPDATES == sum(found.values("hits_total").values())
    assert intervals > 4
    assert 1 <= (after - before) / intervals <= 12, (after - before, intervals)


def received(redis: RedisLedger) -> int:
    """Give how many commands the server was sent."""
    return sum(calls for name, calls in redis.server.calls().items() if name not in INSIDE)
