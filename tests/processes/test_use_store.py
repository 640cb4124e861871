"""Moving to a store from code, and what a process shows that has declared nothing."""

from __future__ import annotations

from host import Host

DECLARE = """
hits = Counter("hits", "Hits, by path.", ["path"])
plain = Counter("plain", "No labels.")
queue = Gauge("queue", "Jobs waiting.")
seconds = Histogram("seconds", "How long.", ["path"], unit="", buckets=[0.1, 1])
size = Summary("size", "How large.", unit="bytes")
build = Info("build", "What runs.")
state = Enum("state", "How it is.", states=["up", "down"])
"""

COUNT = """
hits.labels("/").inc(3)
hits.labels("/a\\n\\"").inc(0.5, exemplar={"trace": "abc"})
plain.inc(1 << 40)
queue.set(7)
seconds.labels("/").observe(0.5)
seconds.labels("/").observe(5)
size.observe(100)
build.info({"version": "1.2"})
state.state("down")
"""


def test_what_was_counted_before_is_carried_over_once(host: Host) -> None:
    """Every kind of metric, by two processes that each counted in memory first."""
    move = "tallymark.use_store(sys.argv[1])\n"
    for _ in range(2):
        host.run(DECLARE + COUNT + move + COUNT, f"file:{host.store}", TALLYMARK_STORE="")
    found = host.scrape()

    assert {("/",): 12, ('/a\n"',): 2} == found.values("hits_total")
    assert 4 * (1 << 40) == found.value("plain_total")
    assert {(): 7} == found.values("queue")
    assert {("0.1", "/"): 0, ("1.0", "/"): 4, ("+Inf", "/"): 8} == found.values("seconds_bucket")
    assert 4 * 5.5 == found.value("seconds_sum", "/")
    assert 4 == found.value("size_bytes_count")
    assert 400 == found.value("size_bytes_sum")
    assert {("1.2",): 1} == found.values("build_info")
    assert {("down",): 1, ("up",): 0} == found.values("state")


def test_moving_while_threads_count_loses_nothing(host: Host) -> None:
    """And counting twice is no way out either."""
    output = host.run(
        DECLARE
        + """
go, done = threading.Event(), threading.Event()
made = []

def count():
    turns = 0
    while not done.is_set():
        plain.inc()
        hits.labels(turns % 50).inc()
        seconds.labels("/").observe(0.5)
        turns += 1
        if turns == 1000:
            go.set()
    made.append(turns)

threads = [threading.Thread(target=count) for _ in range(3)]
for thread in threads:
    thread.start()
go.wait()
tallymark.use_store(sys.argv[1])
go.clear()
done.wait(0.2)
done.set()
for thread in threads:
    thread.join()
say(sum(made))
""",
        f"file:{host.store}",
        TALLYMARK_STORE="",
    )
    turns = int(output)
    found = host.scrape()

    assert turns == found.value("plain_total")
    assert turns == sum(found.values("hits_total").values())
    assert turns == found.value("seconds_count", "/")


def test_a_process_that_declares_nothing_shows_help_type_and_buckets(host: Host) -> None:
    """Byte for byte what the process shows that declared it, but for the order of the families."""
    show = """
mine = ("python", "process", "tallymark")
families = generate_latest().decode().split("# HELP ")[1:]
say("".join(sorted("# HELP " + one for one in families if not one.startswith(mine))))
"""
    declared = host.run(DECLARE + COUNT + show)
    undeclared = host.run(show)

    assert "# HELP seconds How long.\n# TYPE seconds histogram\n" in undeclared
    assert 'seconds_bucket{le="0.1",path="/"} 0.0\n' in undeclared
    assert declared == undeclared


def test_metrics_of_other_registries_and_of_none_are_in_the_store(host: Host) -> None:
    """A registry shows its own metrics, with what all processes counted; the default one, all."""
    script = """
        one, other = CollectorRegistry(), CollectorRegistry()
        Counter("in_one", "One.", registry=one).inc()
        Counter("in_other", "Other.", registry=other).inc(2)
        Counter("in_none", "None.", registry=None).inc(3)
        say([f.name + " " + str(f.samples[0].value) for f in one.collect()])
        say(own("in_one_total"), own("in_other_total"), own("in_none_total"))
    """
    first = host.run(script)
    second = host.run(script)
    found = host.scrape()

    assert "['in_one 1.0']" == first.splitlines()[0]
    assert "['in_one 2.0']" == second.splitlines()[0]
    assert [2, 4, 6] == [found.value(f"in_{name}_total") for name in ("one", "other", "none")]
