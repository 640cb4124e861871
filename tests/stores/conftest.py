"""Servers, hosts and bad networks for the tests of stores of many hosts, ended with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("ledgers")

from ledgers import ClusterLedger, Ledger, RedisLedger, Site, SqliteLedger  # noqa: E402
from proxy import Proxy  # noqa: E402
from servers import Cluster, Redis  # noqa: E402


@pytest.fixture
def redis(redis: Redis) -> RedisLedger:
    """A Redis, as a store of many hosts."""
    return RedisLedger(redis)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for the tests that do it no harm: one takes seconds to start."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster") / "nodes")
    cluster.start()
    yield cluster
    cluster.kill()


@pytest.fixture
def cluster(running: Cluster) -> ClusterLedger:
    """A Redis Cluster with nothing in it."""
    for node in running.nodes:
        node.ask("FLUSHALL")
    return ClusterLedger(running)


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteLedger:
    """A database of its own for the test, which is not there yet."""
    return SqliteLedger(tmp_path / "sqlite")


@pytest.fixture(params=["redis", "cluster", "sqlite"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Each of the stores of many hosts."""
    found: Ledger = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    """Makes hosts: of a ledger, a name, and options of its URL."""
    made: list[Site] = []

    def make(ledger: Ledger, name: str = "a", **options: object) -> Site:
        made.append(Site(ledger, name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Makes proxies of ports."""
    made: list[Proxy] = []

    def make(target: int) -> Proxy:
        made.append(Proxy(target))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Redis]]:
    """Makes Redis servers with options, which the test starts."""
    made: list[Redis] = []

    def make(*options: object) -> Redis:
        made.append(Redis(tmp_path / f"server-{len(made)}", *options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own, which the test starts."""
    cluster = Cluster(tmp_path / "nodes")
    yield cluster
    cluster.kill()
