"""gunicorn: workers come and go, and any of them answers for all."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from host import Host, Scrape
from web import Closed, Gunicorn, bound_port, get

APP = """
import os
from tallymark import Counter, Gauge, Histogram, generate_latest

requests = Counter("requests", "Requests.", ["path"])
seconds = Histogram("seconds", "Seconds.", buckets=[1])
in_progress = Gauge("in_progress", "Requests in progress.")

def app(environ, start_response):
    with in_progress.track_inprogress():
        requests.labels(environ["PATH_INFO"]).inc()
        seconds.observe(0.5)
        body = str(os.getpid()).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
"""


@pytest.mark.parametrize("preload", [True, False])
def test_totals_are_what_clients_were_answered_while_workers_recycle(
    host: Host, preload: bool
) -> None:
    """With --preload the workers are forks of a process that made the metrics."""
    options = ["--preload"] if preload else []
    server = Gunicorn(host, APP, "workers = 3\nmax_requests = 20\n", *options)
    server.load(240)
    found = host.scrape()
    server.stop()
    last = host.scrape()

    assert 0 == server.unanswered
    assert len(server.answered) > 6, "workers were recycled"
    assert {("/",): 240} == found.values("requests_total") == last.values("requests_total")
    assert 240 == found.value("seconds_count")
    assert 120.0 == found.value("seconds_sum")
    assert 0 == found.value("in_progress")
    assert 0 == last.value("tallymark_live_processes")


OFFICIAL = """
import os
from tallymark import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

REQUESTS = Counter("requests", "Requests.")
SECONDS = Histogram("seconds", "Seconds.", buckets=[1])
LAST = Gauge("last", "Of each process.")
LIVE = Gauge("live", "Of each live process.", multiprocess_mode="liveall")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        body = generate_latest(registry)
    else:
        REQUESTS.inc()
        SECONDS.observe(0.5)
        LAST.set(os.getpid())
        LIVE.set(os.getpid())
        body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_the_official_multiprocess_recipe_is_exact_over_recycled_workers(host: Host) -> None:
    """The code of the official documentation, with its directory, its collector and its hook."""
    directory = host.directory / "multiproc"
    directory.mkdir()
    server = Gunicorn(
        host,
        OFFICIAL,
        """
        from tallymark import multiprocess

        workers = 3
        max_requests = 20

        def child_exit(server, worker):
            multiprocess.mark_process_dead(worker.pid)
        """,
        TALLYMARK_STORE="",
        PROMETHEUS_MULTIPROC_DIR=str(directory),
    )
    server.load(120)
    halfway = Scrape(get(server.address, "/metrics"))
    server.load(120)
    found = Scrape(get(server.address, "/metrics"))
    server.stop()
    pids = {(pid,): float(pid) for pid in server.answered}

    assert 0 == server.unanswered
    assert len(pids) > 6, "workers were recycled"
    assert 120 == halfway.value("requests_total")
    assert 240 == found.value("requests_total")
    assert 240 == found.value("seconds_count")
    assert {pid for pid, value in pids.items()} <= set(found.values("last"))
    assert pids == {pid: value for pid, value in found.values("last").items() if value}
    assert 0 < len(found.values("live")) <= 3
    assert set(found.values("live")) <= set(found.values("last"))
    assert ["metrics.tally"] == [path.name for path in directory.iterdir()]


SERVING = (
    APP
    + """
from tallymark import start_http_server
start_http_server(int(os.environ["METRICS_PORT"]), "127.0.0.1")
print("serving", os.getpid(), flush=True)
"""
)


def test_every_worker_serves_the_same_totals_on_one_port_while_workers_recycle(host: Host) -> None:
    """
    A scrape is complete and never falls, whichever worker the kernel gives it to.

    A connection that waits at a worker that ends is closed unanswered: that is asked again, nothing
    else is. Workers are replaced one by one, so that one is always there to answer.
    """
    with bound_port() as kept:
        address = kept.getsockname()
        server = Gunicorn(host, SERVING, "workers = 2\n", METRICS_PORT=str(address[1]))
        workers = [int(server.process.hear().split()[1]) for _ in range(2)]
        server.load(8)
        done = threading.Event()
        closed: list[None] = []
        scrapes: list[Scrape] = []
        troubles: list[BaseException] = []

        def scrape() -> None:
            last = 8.0
            try:
                while not done.is_set():
                    try:
                        found = Scrape(get(address, "/metrics"))
                    except Closed:
                        closed.append(None)
                        continue
                    scrapes.append(found)
                    total = found.value("requests_total", "/")
                    count = found.value("seconds_count")
                    assert total is not None and count is not None, found.text
                    assert total >= last, (last, found.text)
                    assert 1.0 * count == found.value("seconds_bucket", "+Inf")
                    assert 0.5 * count == found.value("seconds_sum")
                    last = total
            except BaseException as trouble:
                troubles.append(trouble)

        def recycle() -> None:
            try:
                for _ in range(6):
                    os.kill(workers.pop(0), signal.SIGTERM)
                    workers.append(int(server.process.hear().split()[1]))
            except BaseException as trouble:
                troubles.append(trouble)
            finally:
                done.set()

        threads = [threading.Thread(target=work) for work in (scrape, scrape, recycle)]
        for thread in threads:
            thread.start()
        while not done.is_set():
            server.load(8)
        for thread in threads:
            thread.join()
        final = [Scrape(get(address, "/metrics")) for _ in range(6)]
        server.stop()
        answered = sum(server.answered.values())

    assert not troubles, troubles
    assert 0 == server.unanswered
    assert len(server.answered) > 3, "workers were recycled under load"
    assert len(scrapes) > 20
    assert [answered] * 6 == [found.value("requests_total", "/") for found in final]
    families = {frozenset(name for name in found.families) for found in [*scrapes, *final]}
    assert 1 == len(families), families
    # Six workers ended, and two scrapers can be waiting at each.
    assert len(closed) <= 12
    assert {(): 0} == final[-1].values("in_progress")
