"""Bounds of a store that processes share: ``max_series``, ``ttl``, and one type for each name."""

from __future__ import annotations

import time

from host import PATIENCE, Host, Scrape

COUNT = """
hits = Counter("hits", "Hits.", ["path"])
for path in sys.argv[1:]:
    hits.labels(path).inc()
say("counted")
hear()
"""


def with_options(host: Host, options: str) -> None:
    host.environment["TALLYMARK_STORE"] = f"file:{host.store}?{options}"


def scrape_until_gone(host: Host, name: str) -> Scrape:
    """Scrape until nothing of the name is shown, for a minute at the most."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = host.scrape()
        if not found.values(name):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{name} is still shown:\n{found.text}")


def test_max_series_is_over_all_processes(host: Host) -> None:
    """Those that have ended count as well; whoever knows a series goes on with it."""
    with_options(host, "max_series=3")
    host.run(COUNT, "/a", "/b")
    killed = host.start(COUNT, "/b", "/c", "/d")
    killed.hear("counted")
    killed.kill()
    host.run(COUNT, "/a", "/d", "/e")
    found = host.scrape()

    expected = {("/a",): 2, ("/b",): 2, ("/c",): 1, ("overflow",): 3}

    assert expected == found.values("hits_total")
    assert 1 == found.value("tallymark_overflowing_families")


def test_many_processes_at_once_make_no_more_than_allowed(host: Host) -> None:
    """Each counts 30 label sets of its own; nothing is lost."""
    with_options(host, "max_series=20")
    workers = [host.start(COUNT, *(f"/{one}/{n}" for n in range(30))) for one in range(4)]
    for worker in workers:
        worker.hear("counted")
    # Read without a bound: none is folded at reading.
    found = host.scrape(TALLYMARK_STORE=f"file:{host.store}").values("hits_total")

    assert 21 == len(found)
    assert 120 == sum(found.values())
    assert 100 == found["overflow",]


def test_a_removal_in_one_process_makes_room_in_another(host: Host) -> None:
    """
    Also for a label set that has counted in the overflow series before.

    A child of the removed series counts there, once its place is taken.
    """
    with_options(host, "max_series=1")
    holder = host.start(
        """
        hits = Counter("hits", "Hits.", ["path"])
        child = hits.labels("/a")
        child.inc()
        hits.labels("/early").inc()
        say("counted")
        hear()
        hits.labels("/early").inc()
        child.inc(5)
        say("again")
        """
    )
    holder.hear("counted")
    host.run('Counter("hits", "Hits.", ["path"]).remove("/a")')
    holder.say()
    holder.hear("again")
    found = host.scrape()

    assert {("/early",): 1, ("overflow",): 6} == found.values("hits_total")


def test_forked_children_overflow_into_the_same_series(host: Host) -> None:
    """Also with a child of the metric that was made before the fork."""
    with_options(host, "max_series=1")
    said = host.run(
        """
        hits = Counter("hits", "Hits.", ["path"])
        hits.labels("/a").inc()
        overflow = hits.labels("/b")
        overflow.inc()
        for number in range(3):
            child = os.fork()
            if child == 0:
                overflow.inc()
                hits.labels(f"/{number}").inc()
                hits.labels("/a").inc()
                os._exit(0)
            wait_for(child)
        say(len([message for message in messages() if "max_series" in message]))
        """
    )
    found = host.scrape()

    assert {("/a",): 4, ("overflow",): 7} == found.values("hits_total")
    assert "1\n" == said


def test_processes_that_a_program_says_it_is_are_bounded_together(host: Host) -> None:
    """``MultiProcessValue`` with a function of the program's own."""
    with_options(host, "max_series=1")
    host.run(
        """
        import tallymark.values as values
        who = "1"
        values.ValueClass = values.MultiProcessValue(lambda: who)
        hits = Counter("hits", "Hits.", ["path"])
        hits.labels("/a").inc()
        for who in ("1", "2"):
            for number in range(3):
                hits.labels(f"/{who}/{number}").inc()
        assert 2 == len(hits._children()), hits._children()
        """
    )

    assert {("/a",): 1, ("overflow",): 6} == host.scrape().values("hits_total")


def test_a_series_of_ended_processes_expires_and_comes_back_whole(host: Host) -> None:
    """What a live process uses stays, however long ago it was counted in."""
    with_options(host, "ttl=0.2")
    live = host.start(COUNT, "/live")
    live.hear("counted")
    killed = host.start(COUNT, "/live", "/old")
    killed.hear("counted")
    killed.kill()
    host.run(
        'Gauge("last", "Last.").set(3); Histogram("seconds", "Seconds.", buckets=[1]).observe(0.5)'
    )
    scrape_until_gone(host, "last")
    found = scrape_until_gone(host, "seconds_count")
    deadline = time.monotonic() + PATIENCE
    while len(found.values("hits_total")) > 1 and time.monotonic() < deadline:
        found = host.scrape()

    assert {("/live",): 2} == found.values("hits_total")
    assert {"hits", "last", "seconds"} <= set(found.families), "what they are is still said"

    back = host.start(COUNT, "/old")
    back.hear("counted")

    assert {("/live",): 2, ("/old",): 2} == host.scrape().values("hits_total")


def test_nothing_expires_without_a_ttl_or_before_it(host: Host) -> None:
    """An hour is not over."""
    host.run(COUNT, "/a")

    assert {("/a",): 1} == host.scrape().values("hits_total")

    with_options(host, "ttl=3600")

    assert {("/a",): 1} == host.scrape().values("hits_total")


def test_the_type_of_most_live_processes_is_shown(host: Host) -> None:
    """The others are counted, and logged once for each change."""
    as_summary = (
        'm = Summary("load", "L.", ["n"])\nm.labels("1").observe(1)\nm.labels("2").observe(1)'
    )
    as_gauge = 'm = Gauge("load", "L.", ["n"], multiprocess_mode="sum")\nm.labels("1").set(5)'
    wait = "\nsay('counted')\nhear()"
    reader = host.start(
        """
        while hear():
            text = generate_latest().decode()
            wanted = ("load", "tallymark_conflicting")
            lines = [line for line in text.splitlines() if line.startswith(wanted)]
            said = [message for message in messages() if "load" in message]
            say(json.dumps([lines, said]))
        """
    )
    summary = host.start(as_summary + wait)
    summary.hear("counted")
    gauges = [host.start(as_gauge + wait)]
    gauges[0].hear("counted")
    as_many = reader.ask("scrape")

    assert 'load_count{n=\\"2\\"} 1.0' in as_many, "as many of each: what was there first"
    assert "tallymark_conflicting_series 1.0" in as_many
    assert 1 == as_many.count("WARNING")
    assert as_many == reader.ask("scrape"), "logged once"

    gauges.append(host.start(as_gauge + wait))
    gauges[1].hear("counted")
    changed = reader.ask("scrape")

    assert 'load{n=\\"1\\"} 10.0' in changed
    assert "load_count" not in changed
    assert "tallymark_conflicting_series 2.0" in changed
    assert 2 == changed.count("WARNING")

    for gauge in gauges:
        gauge.kill()

    assert 'load_count{n=\\"2\\"} 1.0' in reader.ask("scrape"), "those that live"
