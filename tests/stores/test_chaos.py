"""A bad network between the hosts and their store: what was counted is stored, exactly once."""

from __future__ import annotations

from collections.abc import Callable

from ledgers import ClusterLedger, Ledger, RedisLedger, Site
from proxy import REPLY, REQUEST, Proxy
from servers import Cluster

WORKERS, ROUNDS, EACH = 4, 25, 1_000
ALL = WORKERS * ROUNDS * EACH
PATHS = {(str(path),): WORKERS * ROUNDS * len(range(path, EACH, 300)) for path in range(300)}

# A round is increments, some of many series, and a try to bring them over the bad network.
WORKER = """
hits = Counter("hits", "Hits.", ["path"])
parts = Counter("parts", "Parts.")
seconds = Histogram("seconds", "Seconds.", buckets=[1])
tries = failures = 0
for round in range(int(sys.argv[1])):
    for turn in range(int(sys.argv[2])):
        hits.labels(turn % 300).inc()
        parts.inc(0.5)
        seconds.observe(2)
    tries += 1
    try:
        tallymark.flush(0.5)
    except OSError:
        failures += 1
say("counted", tries, failures)
hear()
tallymark.flush(50)
say("flushed")
"""


def count_in_chaos(
    through: Ledger, direct: Ledger, proxies: list[Proxy], site: Callable[..., Site]
) -> None:
    """Count on two hosts in chaos, and look at the store when that is over."""
    sites = [site(through, name, timeout=0.3) for name in ("a", "b")]
    for seed, proxy in enumerate(proxies):
        proxy.chaos(seed)
    workers = [sites[number % 2].start(WORKER, ROUNDS, EACH) for number in range(WORKERS)]
    said = [worker.hear().split() for worker in workers]
    happened = sum((proxy.counts() for proxy in proxies), start=proxies[0].counts())
    for proxy in proxies:
        proxy.pass_on()
        proxy.settle()
    for worker in workers:
        worker.ask("flush")
        worker.end()
    found = site(direct, "observer").scrape()

    assert {"counted"} == {one[0] for one in said}
    assert set(REQUEST) | set(REPLY) == set(happened), "all that chaos can do was done"
    assert ALL == sum(found.values("hits_total").values()), (happened, found.text)
    assert PATHS == found.values("hits_total")
    assert ALL * 0.5 == found.value("parts_total")
    assert ALL == found.value("seconds_count")
    assert ALL * 2 == found.value("seconds_sum")


def test_a_hundred_thousand_increments_through_chaos_are_a_hundred_thousand(
    redis: RedisLedger, site: Callable[..., Site], proxy: Callable[[int], Proxy]
) -> None:
    """Requests and replies are delayed, cut off, swallowed, delivered twice and too late."""
    between = proxy(redis.server.port)
    count_in_chaos(RedisLedger(redis.server, between.port), redis, [between], site)


def test_chaos_between_hosts_and_a_cluster_loses_and_doubles_nothing(
    nodes: Cluster, site: Callable[..., Site], proxy: Callable[[int], Proxy]
) -> None:
    """Each node says that it is found at its proxy."""
    proxies = [proxy(node.port) for node in nodes.nodes]
    nodes.start([one.port for one in proxies])
    ledger = ClusterLedger(nodes, proxies[0].port)
    count_in_chaos(ledger, ledger, proxies, site)
