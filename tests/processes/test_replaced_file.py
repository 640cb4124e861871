"""A file that is deleted or replaced under live processes: noticed, counted, made anew."""

from __future__ import annotations

import shutil

from host import Host, Worker

WORKER = """
hits = Counter("hits", "Hits.")
seconds = Histogram("seconds", "Seconds.", buckets=[1])
paths = Counter("paths", "Paths.", ["path"])
say("ready")
while order := hear():
    name, _, argument = order.partition(" ")
    if name == "hit":
        hits.inc(float(argument))
        seconds.observe(0.5)
        say("done")
    elif name == "new":
        paths.labels(argument).inc()
        say("done")
    elif name == "scrape":
        generate_latest()
        say("done")
    elif name == "own":
        say(own("hits_total"), own("tallymark_file_replacements"))
    elif name == "messages":
        say(messages())
"""


def worker_of(host: Host) -> Worker:
    worker = host.start(WORKER)
    worker.hear("ready")
    worker.ask("hit", 5)
    return worker


def test_a_deleted_file_is_made_anew_by_the_next_scrape(host: Host) -> None:
    """What was in it is gone; every process that scrapes counts on from zero, in one new file."""
    workers = [worker_of(host), worker_of(host)]
    before = host.scrape()
    host.store.unlink()
    for worker in workers:
        worker.ask("scrape")
        worker.ask("new", "/")
        worker.ask("hit", 2)
    after = host.scrape()

    assert 10 == before.value("hits_total")
    assert 4 == after.value("hits_total")
    assert 2 == after.value("paths_total", "/")
    assert 2 == after.value("seconds_count")
    assert 2 == after.value("tallymark_live_processes")
    assert ["4.0 1.0"] * 2 == [worker.ask("own") for worker in workers]


def test_a_new_process_makes_a_deleted_file_anew(host: Host) -> None:
    """It claims a place in the new file; who was there before comes after at its next scrape."""
    worker = worker_of(host)
    host.store.unlink()
    host.run("Counter('hits', 'Hits.').inc(3)")
    worker.ask("scrape")
    worker.ask("hit", 1)

    assert 4 == host.scrape().value("hits_total")
    assert "4.0 1.0" == worker.ask("own")


def test_a_file_that_was_replaced_by_another_store_is_joined(host: Host) -> None:
    """Its numbers are the host's from then on, whoever put it there."""
    worker = worker_of(host)
    other = Host(host.directory / "other")
    other.directory.mkdir()
    other.run("Counter('hits', 'Hits.').inc(100)")
    other.close()
    other.store.rename(host.store)
    worker.ask("scrape")
    worker.ask("hit", 1)

    assert 101 == host.scrape().value("hits_total")
    assert "101.0 1.0" == worker.ask("own")


def test_a_restored_copy_of_the_file_goes_on_from_what_it_had(host: Host) -> None:
    """A backup was taken while the worker lived: its process is not there, what it counted is."""
    worker = worker_of(host)
    copy = host.directory / "copy"
    shutil.copyfile(host.store, copy)
    worker.ask("hit", 50)
    copy.rename(host.store)
    worker.ask("scrape")
    worker.ask("hit", 2)

    assert 7 == host.scrape().value("hits_total")


def test_a_foreign_file_in_its_place_stops_nobody_and_is_left_alone(host: Host) -> None:
    """What is new counts in memory and is logged once; when the file is gone, a store is made."""
    worker = worker_of(host)
    host.store.unlink()
    host.store.write_text("somebody's notes")
    worker.ask("scrape")
    worker.ask("new", "/a")
    worker.ask("new", "/b")
    logged = worker.ask("messages")
    found = host.store.read_text()
    host.store.unlink()
    worker.ask("scrape")
    worker.ask("new", "/a")
    after = host.scrape()

    assert "somebody's notes" == found
    assert 1 == logged.count("not a Tallymark file"), logged
    assert {("/a",): 2, ("/b",): 1} == after.values("paths_total")


def test_a_forked_child_comes_to_the_file_that_is_there(host: Host) -> None:
    """The file was deleted between the parent's last update and the fork."""
    host.run(
        """
        hits = Counter("hits", "Hits.")
        hits.inc(5)
        os.unlink(sys.argv[1])
        child = os.fork()
        if child == 0:
            hits.inc(2)
            os._exit(0)
        wait_for(child)
        """,
        host.store,
    )

    assert 2 == host.scrape().value("hits_total")
