"""What runs in the middle of other code may count: signal, gc and logging handlers."""

from __future__ import annotations

import json

import pytest
from host import Host

METRICS = """
hits = Counter("hits", "Hits.")
seconds = Histogram("seconds", "Seconds.", buckets=[1, 2])
paths = Counter("paths", "Paths.", ["path"])
queue = Gauge("queue", "Queue.")
gone = Counter("gone", "Made and removed.", ["x"])
"""

# What the main thread does all the while, and how many hits, observations and paths that makes.
WORK = {
    "increments": ("hits.inc()", (1, 0, 0)),
    "observes": ("seconds.observe(0.5)", (0, 1, 0)),
    "adds to a gauge": ("queue.inc()", (0, 0, 0)),
    "creates label sets": ("paths.labels(turns % 2000).inc()", (0, 0, 1)),
    "scrapes": ("generate_latest()", (0, 0, 0)),
    "removes label sets": ("gone.labels('x').inc(); gone.clear()", (0, 0, 0)),
    "makes metrics": ("Counter(f'm{turns % 50}', 'M.', registry=None).inc()", (0, 0, 0)),
}


@pytest.mark.parametrize("work", WORK)
def test_a_signal_handler_counts_whatever_it_interrupts(host: Host, work: str) -> None:
    """Three hundred signals, a millisecond apart; the handler updates, and creates label sets."""
    action, each = WORK[work]
    output = host.run(
        METRICS
        + f"""
calls = turns = 0

def count(*_):
    global calls
    calls += 1
    hits.inc()
    seconds.observe(1.5)
    queue.inc()
    paths.labels(f"handler/{{calls % 100}}").inc()
    if calls == 300:
        signal.setitimer(signal.ITIMER_REAL, 0)

signal.signal(signal.SIGALRM, count)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while calls < 300:
    {action}
    turns += 1
say(turns)
"""
    )
    turns = int(output)
    found = host.scrape()

    assert (
        300 + each[0] * turns,
        300 + each[1] * turns,
        300 + each[2] * turns,
    ) == (
        found.value("hits_total"),
        found.value("seconds_count"),
        sum(found.values("paths_total").values()),
    )
    assert 300 * 1.5 + each[1] * turns * 0.5 == found.value("seconds_sum")


def test_a_gc_callback_counts_whatever_it_interrupts(host: Host) -> None:
    """The collector runs at nearly every allocation, in the middle of whatever allocates."""
    output = host.run(
        METRICS
        + """
calls = 0

def count(phase, details):
    global calls
    calls += 1
    hits.inc()
    seconds.observe(1.5)
    paths.labels(f"{phase}/{calls % 100}").inc()

gc.callbacks.append(count)
gc.set_threshold(2)
for turn in range(300):
    hits.inc()
    seconds.observe(0.5)
    paths.labels(turn).inc()
    if turn % 30 == 0:
        generate_latest()
        Counter(f"m{turn}", "M.", ["x"], registry=None).labels("y").inc()
gc.callbacks.clear()
say(calls)
"""
    )
    calls = int(output)
    found = host.scrape()

    assert calls > 100
    assert calls + 300 == found.value("hits_total")
    assert calls + 300 == found.value("seconds_count")
    assert calls + 300 == sum(found.values("paths_total").values())


def test_a_logging_handler_counts_the_warning_that_the_store_is_full(host: Host) -> None:
    """Its label set for that finds no room either, which is not logged again."""
    output = host.run(
        METRICS
        + """
logged = Counter("logged", "Records.", ["level"])

class Count(logging.Handler):
    def emit(self, record):
        logged.labels(record.levelname).inc()
        generate_latest()

logging.getLogger().addHandler(Count())
size = os.stat(sys.argv[1]).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
for turn in range(2000):
    paths.labels(turn).inc()
say(json.dumps({
    "messages": len(messages()),
    "logged": own("logged_total", level="WARNING"),
    "paths": sum(own_values("paths_total")),
}))
""",
        host.store,
    )

    assert {"messages": 1, "logged": 1, "paths": 2000} == json.loads(output)
