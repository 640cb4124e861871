"""Forks of a process that is connected to its store: no connection belongs to two processes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from host import Worker
from ledgers import Ledger, RedisLedger, Site
from servers import wait_until
from web import Gunicorn


def processes_of(worker: Worker) -> set[int]:
    """Give the processes of a worker's session, itself included."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == worker.pid:
            found.add(int(path.parent.name))
    return found


def connections(worker: Worker, port: int) -> dict[str, set[int]]:
    """Give the processes of a worker that have each connection to a port open."""
    holders: dict[str, set[int]] = {}
    for pid in processes_of(worker):
        try:
            ours = {
                line.split()[9]
                for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
                if line.split()[2].endswith(f":{port:04X}")
            }
            for path in Path(f"/proc/{pid}/fd").iterdir():
                inode = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
                if inode and inode[1] in ours:
                    holders.setdefault(inode[1], set()).add(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return holders


FORKS = """
hits = Counter("hits", "Hits.")
live = Gauge("live", "Live.", multiprocess_mode="livesum")
hits.inc()
live.set(1)
tallymark.flush(30)
children = []
for _ in range(4):
    child = os.fork()
    if child:
        children.append(child)
        continue
    children = []
    for _ in range(100):
        hits.inc()
    live.set(1)
    tallymark.flush(30)
    break
# In one piece: others write, too.
os.write(1, b"flushed %d\\n" % os.getpid())
hear()
if not children:
    os._exit(0)
for child in children:
    hits.inc(1000)
    tallymark.flush(30)
hear()
"""


def test_children_of_a_connected_process_have_no_part_in_its_connection(
    redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """Each that drains has a connection of its own, which the server and the kernel confirm."""
    # One that is forked while its parent drains keeps a copy of the connection, and never uses it.
    host = site(redis, interval=30)
    worker = host.start(FORKS)
    pids = {int(worker.hear().split()[1]) for _ in range(5)}
    holders = connections(worker, redis.server.port)
    clients = redis.server.ask("CLIENT LIST")
    found = site(redis, "observer").scrape()

    assert 5 == len(pids)
    assert 0 < len(holders)
    assert {1} == {len(one) for one in holders.values()}, holders
    assert {"tallymark"} == {one["name"] for one in clients if one["user"] == "default"}
    assert len({one["addr"] for one in clients}) == len(clients)
    assert 401 == found.value("hits_total")
    assert 5 == found.value("live")


def test_a_child_drains_when_the_parent_it_was_forked_from_is_killed(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """The parent drained, and was connected, and had the lock, when it forked and died."""
    host = site(ledger, lease=1)
    worker = host.start(
        """
        hits = Counter("hits", "Hits.")
        hits.inc()
        tallymark.flush(30)
        if os.fork() != 0:
            hits.inc(10)
            os.kill(os.getpid(), signal.SIGKILL)
        say(os.getpid())
        hear()
        hits.inc(100)
        say("counted")
        hear()
        """
    )
    worker.hear()
    worker.process.wait()
    worker.ask("count")
    observer = site(ledger, "observer")
    wait_until(lambda: observer.scrape().value("hits_total") == 111, "the child drains by itself")
    worker.end(status=-9)


def test_forks_while_the_parent_drains_lose_and_double_nothing(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """A hundred forks while a thread counts and another one drains as fast as it can."""
    host = site(ledger, interval=0.01)
    worker = host.start(
        """
        hits = Counter("hits", "Hits.")
        done = threading.Event()
        turns = 0
        def count():
            global turns
            while not done.is_set():
                hits.inc()
                turns += 1
                if turns % 50 == 0:
                    done.wait(0.001)
        def drain():
            while not done.is_set():
                tallymark.flush(30)
        threads = [threading.Thread(target=count), threading.Thread(target=drain)]
        for thread in threads:
            thread.start()
        for turn in range(100):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                hits.inc(1000)
                if turn % 10 == 0:
                    tallymark.flush(20)
                os._exit(0)
            wait_for(child)
        done.set()
        for thread in threads:
            thread.join()
        say(turns)
        """
    )
    turns = int(worker.hear())
    worker.end()
    host.drain()
    found = site(ledger, "observer").scrape()

    assert 100_000 + turns == found.value("hits_total")
    assert "Traceback" not in worker.stderr


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_pool_of_forked_processes_that_are_replaced_adds_up(
    ledger: Ledger, site: Callable[..., Site], method: str
) -> None:
    """As Celery's prefork pool does: ten tasks each, and the main process counts, too."""
    host = site(ledger)
    script = host.directory / "pool.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "import tallymark\n"
        "tasks = tallymark.Counter('tasks', 'Tasks.', ['who'])\n"
        "seconds = tallymark.Histogram('seconds', 'Seconds.', buckets=[1])\n"
        "running = tallymark.Gauge('running', 'Tasks that run.')\n"
        "def work(number):\n"
        "    with running.track_inprogress():\n"
        "        tasks.labels('pool').inc()\n"
        "        seconds.observe(0.5)\n"
        "if __name__ == '__main__':\n"
        "    tasks.labels('main').inc()\n"
        "    tallymark.flush(30)\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    with context.Pool(3, maxtasksperchild=10) as pool:\n"
        "        pool.map(work, range(120), chunksize=1)\n"
        "        tasks.labels('main').inc()\n"
    )
    worker = host.command([sys.executable, str(script)])
    worker.end()
    host.drain()
    found = site(ledger, "observer").scrape()

    assert {("pool",): 120, ("main",): 2} == found.values("tasks_total")
    assert (120, 60) == (found.value("seconds_count"), found.value("seconds_sum"))
    assert 0 == found.value("running")
    assert "Traceback" not in worker.stderr


def test_pools_end_while_their_workers_wait(redis: RedisLedger, site: Callable[..., Site]) -> None:
    """
    A pool ends its workers by SIGTERM, while they wait for a lock or start.

    A handler in Python is no end for those: it runs when they come back from where they wait.
    """
    host = site(redis)
    host.run(
        """
        import multiprocessing
        tasks = Counter("tasks", "Tasks.")
        tasks.inc()
        def work(number):
            tasks.inc()
        for turn in range(60):
            with multiprocessing.get_context("fork").Pool(3, maxtasksperchild=5) as pool:
                pool.map(work, range(30), chunksize=1)
        """
    )
    host.drain()

    assert 1801 == site(redis, "observer").scrape().value("tasks_total")


APP = """
import os
import tallymark
from tallymark import Counter, Gauge, Histogram

requests = Counter("requests", "Requests.")
started = Counter("started", "Times that the application was made.")
seconds = Histogram("seconds", "Seconds.", buckets=[1])
in_progress = Gauge("in_progress", "Requests in progress.")
started.inc()
tallymark.flush(30)

def app(environ, start_response):
    with in_progress.track_inprogress():
        requests.inc()
        seconds.observe(0.5)
        body = str(os.getpid()).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""


def test_gunicorn_with_preload_shares_no_connection_and_adds_up(
    redis: RedisLedger, site: Callable[..., Site]
) -> None:
    """The application was made, and flushed, before the workers were forked; they are replaced."""
    # One that is forked while its master drains keeps a copy of the connection, and never uses it.
    host = site(redis, interval=30)
    server = Gunicorn(host, APP, "workers = 3\nmax_requests = 40\n", "--preload")
    holders: list[set[int]] = []
    for _ in range(4):
        server.load(60)
        holders += connections(server.process, redis.server.port).values()
    server.stop()
    host.drain()
    found = site(redis, "observer").scrape()

    assert 0 == server.unanswered
    assert len(server.answered) > 3, "workers were replaced"
    assert len(holders) > 0
    assert {1} == {len(one) for one in holders}
    assert 1 == found.value("started_total")
    assert 240 == found.value("requests_total")
    assert (240, 120) == (found.value("seconds_count"), found.value("seconds_sum"))
    assert 0 == found.value("in_progress")
