"""Jobs that live for a moment, half of them killed: a server that declares nothing has it all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.request import urlopen

from host import Scrape
from ledgers import Ledger, Site

FORKED, STARTED = 180, 20
JOBS = FORKED + STARTED

METRICS = """
jobs = Counter("jobs", "Jobs.", ["kind"])
seconds = Histogram("seconds", "Seconds.", buckets=[0.5, 1])
largest = Gauge("largest", "The largest number.", multiprocess_mode="max")
together = Gauge("together", "Of all there ever were.", multiprocess_mode="sum")
running = Gauge("running", "Jobs that run.")

def job(kind, number):
    running.inc()
    jobs.labels(kind).inc()
    seconds.observe(0.25 * (number % 5))
    largest.set(number)
    together.inc(0.5)
"""

FORKS = """
def fork(number):
    child = os.fork()
    if child:
        return child
    job("forked", number)
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    running.dec()
    sys.exit()

children = set()
for number in range(int(sys.argv[1])):
    if len(children) == 4:
        children.remove(os.wait()[0])
    children.add(fork(number))
for child in children:
    os.waitpid(child, 0)
"""

STARTS = """
number = int(sys.argv[1])
job("started", number)
if number % 2:
    os.kill(os.getpid(), signal.SIGKILL)
running.dec()
"""

SERVE = """
server, thread = start_http_server(0, "127.0.0.1")
say(server.server_port)
hear()
server.shutdown()
"""


def assert_all_is_there(found: Scrape) -> None:
    """Make sure that a scrape has what returned, no more and no less."""
    assert {("forked",): FORKED, ("started",): STARTED} == found.values("jobs_total"), found.text
    assert {("0.5",): JOBS * 3 / 5, ("1.0",): JOBS, ("+Inf",): JOBS} == found.values(
        "seconds_bucket"
    )
    assert JOBS * 0.5 == found.value("seconds_sum")
    assert JOBS - 1 == found.value("largest")
    assert JOBS * 0.5 == found.value("together")
    assert 0 == found.value("running"), "no job runs, however it ended"
    assert "# HELP seconds Seconds.\n# TYPE seconds histogram\n" in found.text


def test_two_hundred_jobs_half_of_them_killed_are_all_there_in_a_server(
    ledger: Ledger, site: Callable[..., Site]
) -> None:
    """Each is killed as soon as its last update has returned. Nobody has flushed."""
    jobs = site(ledger)
    parent = jobs.start(METRICS + FORKS, FORKED)

    def start(number: int) -> None:
        jobs.run(METRICS + STARTS, number, status=-9 if number % 2 else 0)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(start, range(FORKED, JOBS)))
    parent.end()
    server = jobs.start(SERVE)
    with urlopen(f"http://127.0.0.1:{server.hear()}/metrics") as response:
        served = Scrape(response.read().decode())
    server.end()

    assert_all_is_there(served)
    assert_all_is_there(jobs.scrape())
    assert_all_is_there(site(ledger, "elsewhere").scrape())
