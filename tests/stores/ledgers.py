"""Stores of many hosts as the tests see them, and the hosts that feed them.

A `Ledger` is a store's URL and where it lives. A host is a `host.Host` whose store is a ledger's
URL with a spool of its own: two of them stand for two machines.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from host import Host, Scrape, Worker
from servers import HOST, Cluster, Redis


class Ledger:
    """A store of many hosts."""

    def __init__(self, where: str) -> None:
        self.where = where

    def url(self, **options: object) -> str:
        """Give its URL with these options."""
        query = "&".join(f"{name}={quote(str(value), safe='/')}" for name, value in options.items())
        return f"{self.where}?{query}" if query else self.where


class RedisLedger(Ledger):
    """
    A database of one server.

    Args:
        server: The server.

        port: Where it is found, if not at its own port.
    """

    def __init__(self, server: Redis, port: int | None = None) -> None:
        self.server = server
        super().__init__(f"redis://{HOST}:{port or server.port}/0")


class ClusterLedger(Ledger):
    """A cluster; as `RedisLedger`."""

    def __init__(self, cluster: Cluster, port: int | None = None) -> None:
        self.cluster = cluster
        super().__init__(f"redis+cluster://{HOST}:{port or cluster.nodes[0].port}")


class SqliteLedger(Ledger):
    """A database file."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.path = directory / "metrics.db"
        super().__init__(f"sqlite:{self.path}")


class Site(Host):
    """
    A host that feeds a ledger.

    Its spool is a file in its directory, so that what is left of killed processes can be found.
    """

    def __init__(self, ledger: Ledger, name: str, **options: object) -> None:
        directory = Path(tempfile.mkdtemp(prefix="tallymark-"))
        directory.chmod(0o755)
        super().__init__(directory)
        self.spool = directory / "spool.tally"
        self.options = {"instance": name, "spool": self.spool, "interval": 0.05, **options}
        self.feed(ledger)

    def feed(self, ledger: Ledger, **options: object) -> None:
        """Have the processes to come feed this ledger."""
        self.environment["TALLYMARK_STORE"] = ledger.url(**{**self.options, **options})

    @property
    def url(self) -> str:
        """The URL that its processes are told."""
        return self.environment["TALLYMARK_STORE"]

    def drain(self) -> None:
        """Bring everything that was counted here into the ledger, by a process of its own."""
        self.run("tallymark.flush(30)")

    def errors(self) -> str:
        """Give what all of its processes have written to stderr."""
        return "".join(path.read_text() for path in self.directory.glob("stderr-*"))

    def close(self) -> None:
        """Kill what is left, and forget the host."""
        super().close()
        shutil.rmtree(self.directory)


class App:
    """
    A process that counts all the time in a thread of its own, and says how it goes.

    Every turn is one of each: ``hits`` +1, ``paths`` +1 at one of a hundred label values,
    ``seconds`` 0.5. Bad is what must not be: an exception of an update, or one that took a second.
    """

    SCRIPT = """
    import time, traceback

    hits = Counter("hits", "Hits.")
    paths = Counter("paths", "Paths.", ["path"])
    seconds = Histogram("seconds", "Seconds.", buckets=[1])
    turns, bad, done = 0, [], threading.Event()

    def count():
        global turns
        try:
            while not done.is_set():
                for _ in range(10):
                    start = time.perf_counter()
                    hits.inc()
                    paths.labels(turns % 100).inc()
                    seconds.observe(0.5)
                    took = time.perf_counter() - start
                    turns += 1
                    if took > 1:
                        bad.append(f"turn {turns} took {took} seconds")
                time.sleep(0.002)
        except BaseException:
            bad.append(traceback.format_exc())

    def flush(timeout):
        try:
            tallymark.flush(float(timeout))
        except Exception as error:
            return [type(error).__name__, isinstance(error, OSError), str(error)]

    def more(number):
        goal = turns + int(number)
        while turns < goal and not bad:
            time.sleep(0.005)
        return turns

    def stop():
        done.set()
        thread.join()
        return turns, bad

    def scrape():
        return generate_latest().decode()

    thread = threading.Thread(target=count)
    thread.start()
    try:
        while order := hear():
            name, *arguments = order.split()
            say(json.dumps(globals()[name](*arguments)))
    finally:
        done.set()
    """

    def __init__(self, site: Site, **names: str) -> None:
        self.worker: Worker = site.start(self.SCRIPT, **names)

    def flush(self, timeout: float = 30) -> Any:
        """Flush; give the error as its type's name, whether it is an `OSError`, and its text."""
        return self._ask("flush", timeout)

    def flushed(self) -> None:
        """Flush, and make sure that it worked."""
        assert self.flush() is None

    def more(self, turns: int = 200) -> int:
        """Wait for so many turns more."""
        found: int = self._ask("more", turns)
        return found

    def stop(self) -> int:
        """End the counting, and give the turns; nothing bad has happened."""
        turns, bad = self._ask("stop")
        assert [] == bad
        return int(turns)

    def messages(self) -> list[str]:
        """Give what was logged."""
        found: list[str] = self._ask("messages")
        return found

    def scrape(self) -> Scrape:
        """Scrape the process itself."""
        return Scrape(self._ask("scrape"))

    def end(self) -> None:
        """Let it end as programs do."""
        self.worker.end()

    def _ask(self, *words: object) -> Any:
        return json.loads(self.worker.ask(*words))


def assert_turns(turns: int, found: Scrape) -> None:
    """Make sure that a scrape shows that many turns of `App`, no more and no less."""
    assert turns == found.value("hits_total"), found.text
    assert turns == sum(found.values("paths_total").values())
    assert {("1.0",): turns, ("+Inf",): turns} == found.values("seconds_bucket")
    assert turns == found.value("seconds_count")
    assert turns * 0.5 == found.value("seconds_sum")
