"""
The demo: a shop, a crowd and fifty jobs, and the totals beside what was sent.

Starts `examples/python/shop.py` under gunicorn, whose workers are replaced all the time, sends it
a bounded load, and meanwhile runs fifty processes of `job.py`. During the load it scrapes
`/metrics`, whichever worker answers, and holds every total against its own ledger; at the end it
does so again, asks the shop's database too and, where a `prometheus` is on PATH, Prometheus.

What must be true: a worker that is being replaced may drop a connection, and then nobody but the
worker knows whether the request was counted. So no request is ever repeated, because a repeat could
count twice, and at any moment, for every series,

    requests answered with 200  <=  total  <=  requests sent

Where every request was answered both ends are the same number and the total must be equal to it.
What was sold is known without a network in between: purchases must equal the rows in the shop's
table of orders, whatever became of connections.

State and logs are in `.demo/`. Everything listens on 127.0.0.1 only, on free ports.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import json
import os
import random
import select
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples" / "python"
HOST = "127.0.0.1"

PRODUCTS = ("cake", "coffee", "tea")
CLIENTS = 8
JOBS = 50
JOBS_AT_ONCE = 4
ITEMS_PER_JOB = 10

VIEWS = {product: f'shop_views_total{{product="{product}"}}' for product in PRODUCTS}
PURCHASES = {product: f'shop_purchases_total{{product="{product}"}}' for product in PRODUCTS}
STOCK = {product: f'shop_stock_items{{product="{product}"}}' for product in PRODUCTS}
JOBS_DONE = "shop_jobs_total"
COUNTED = (*VIEWS.values(), *PURCHASES.values(), JOBS_DONE)

Series = dict[str, float]


class DemoError(Exception):
    """The demo cannot go on; the text says why."""


# What is sent


class Ledger:
    """What the clients and the jobs did, under the name of the series that must show it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._workers: set[int] = set()

    def send(self, series: str) -> None:
        """Notes something that is about to be asked for."""
        with self._lock:
            self._sent[series] += 1

    def answer(self, series: str, worker: int | None = None) -> None:
        """Notes that it was confirmed, and by which worker of the shop."""
        with self._lock:
            self._answered[series] += 1
            if worker is not None:
                self._workers.add(worker)

    def sent(self) -> Counter[str]:
        """The most that each total can be now."""
        with self._lock:
            return self._sent.copy()

    def answered(self) -> Counter[str]:
        """The least that each total can be now."""
        with self._lock:
            return self._answered.copy()

    def workers(self) -> int:
        """How many worker processes have answered."""
        with self._lock:
            return len(self._workers)


def plan_load(requests: int) -> list[tuple[str, str]]:
    """Draws the crowd, the same each time: for one visitor who buys, four only look."""
    crowd = random.Random(50)
    return [
        (crowd.choices(["view", "buy"], weights=[4, 1])[0], crowd.choice(PRODUCTS))
        for _ in range(requests)
    ]


def send_load(
    port: int, plan: Sequence[tuple[str, str]], ledger: Ledger, stop: threading.Event
) -> None:
    """Sends one client's requests over a connection it keeps, each of them once."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        for action, product in plan:
            if stop.is_set():
                return
            if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
                # Nothing has been asked yet, so this is the server hanging up: dial again.
                connection.close()
            series = VIEWS[product] if action == "view" else PURCHASES[product]
            ledger.send(series)
            try:
                connection.request("GET" if action == "view" else "POST", f"/{action}/{product}")
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                continue
            if response.status == 200:
                ledger.answer(series, json.loads(body)["worker"])


def run_jobs(environment: dict[str, str], ledger: Ledger, stop: threading.Event) -> None:
    """Runs all the jobs, a few at a time, each of them a process of its own."""

    def run_job(number: int) -> None:
        if stop.is_set():
            return
        product = PRODUCTS[number % len(PRODUCTS)]
        ledger.send(JOBS_DONE)
        job = subprocess.run(
            [sys.executable, "job.py", product, str(ITEMS_PER_JOB)],
            cwd=EXAMPLES,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if job.returncode != 0:
            raise DemoError(f"job.py failed:\n{job.stderr}")
        ledger.answer(JOBS_DONE)

    with ThreadPoolExecutor(JOBS_AT_ONCE) as pool:
        for _ in pool.map(run_job, range(JOBS)):
            pass


# What comes back


def get_once(port: int, path: str) -> bytes:
    """Reads a page; an `OSError` or `HTTPException` says why not."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"status {response.status}")
    return body


def get(port: int, path: str) -> bytes:
    """Reads a page. Reading changes no total, so here a dropped connection is tried again."""
    attempts = 5
    while True:
        attempts -= 1
        try:
            return get_once(port, path)
        except (OSError, http.client.HTTPException) as error:
            if not attempts:
                raise DemoError(f"http://{HOST}:{port}{path}: {error!r}") from error


def scrape(port: int) -> Series:
    """Reads the shop's `/metrics` as it is written: the series, a space, the value."""
    lines = get(port, "/metrics").decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {series: float(value) for series, value in samples}


def query_prometheus(port: int, query: str) -> float:
    """Asks Prometheus for a single value; NaN as long as it has none."""
    answer = json.loads(get(port, "/api/v1/query?" + urlencode({"query": query})))
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else float("nan")


def query_shop(database: Path, query: str) -> dict[str, int]:
    """Asks the shop's database for a number per product."""
    with closing(sqlite3.connect(database, timeout=10)) as db:
        return dict(db.execute(query).fetchall())


# What is shown


@dataclass(frozen=True)
class Line:
    """A total beside the least and the most that it may be."""

    name: str
    least: float
    most: float
    total: float

    def holds(self) -> bool:
        """True if the total is one that can be."""
        return self.least <= self.total <= self.most

    def verdict(self) -> str:
        """Says so in a word."""
        if not self.holds():
            return "OFF"
        return "equal" if self.least == self.most else "between"


def show(title: str, heads: Sequence[str], lines: Sequence[Line]) -> bool:
    """Prints a table, of three columns or without the least of two; True if every line holds."""
    print(f"\n{title}\n\n  {'':40}" + "".join(f"{head:>14}" for head in heads))
    for line in lines:
        values = [line.least, line.most, line.total][-len(heads) :]
        cells = "".join(f"{value:>14,.0f}" for value in values)
        print(f"  {line.name:40}{cells}  {line.verdict()}")
    sys.stdout.flush()
    return all(line.holds() for line in lines)


def watch(port: int, ledger: Ledger, work: Sequence[Future[None]]) -> bool:
    """Prints the totals while they grow; True if none was ever more or less than it may be."""

    def row(*cells: object) -> None:
        print("  " + "".join(f"{cell:>11}" for cell in cells), flush=True)

    def total(amounts: Mapping[str, float], series: Sequence[str]) -> str:
        return f"{sum(amounts.get(one, 0) for one in series):,.0f}"

    groups = (tuple(VIEWS.values()), tuple(PURCHASES.values()), (JOBS_DONE,))
    row("", "views", "", "purchases", "", "jobs", "", "requests in", "workers")
    row("", *["sent", "total"] * 3, "progress", "so far")

    started = time.monotonic()
    before: Series = {}
    off: list[str] = []
    scrapes = 0
    while not all(task.done() for task in work):
        # In this order, so that the ledger cannot have moved past the total in the meantime.
        least = ledger.answered()
        totals = scrape(port)
        most = ledger.sent()

        scrapes += 1
        for series in COUNTED:
            now = totals.get(series, 0)
            if not least[series] <= now <= most[series]:
                off.append(f"{series} {now:.0f}, must be {least[series]} to {most[series]}")
            if now < before.get(series, 0):
                off.append(f"{series} fell from {before[series]:.0f} to {now:.0f}")
        before = totals

        cells = [total(amounts, group) for group in groups for amounts in (most, totals)]
        in_progress = totals.get("shop_requests_in_progress", float("nan"))
        elapsed = f"{time.monotonic() - started:.1f} s"
        row(elapsed, *cells, f"{in_progress:.0f}", ledger.workers())
        wait(work, timeout=0.5)

    if off:
        print("\nOFF while the load ran:", *off[:10], sep="\n  ")
        print(f"  and {len(off) - 10} more" if len(off) > 10 else "")
    else:
        print(f"\nIn all {scrapes} scrapes every total was within its bounds, and none ever fell.")
    return not off


# What runs


def free_port() -> int:
    """Finds a port that is free, below those the kernel hands to the clients' own connections."""
    for port in random.sample(range(20_000, 30_000), 100):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise DemoError(f"{HOST}: no free port found between 20000 and 30000")


@contextmanager
def running(
    command: Sequence[str], port: int, ready: str, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a server, waits until it answers, and ends it and all its children on the way out."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=EXAMPLES,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the demo, which then ends its servers one after the other.
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError, http.client.HTTPException):
                get_once(port, ready)
                break
            if server.poll() is not None or time.monotonic() > deadline:
                last_words = "\n".join(log.read_text().splitlines()[-20:])
                raise DemoError(f"{shlex.join(command)}\ndid not start:\n{last_words}")
            time.sleep(0.05)
        yield server
    finally:
        try:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=15)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def state_directory(path: Path) -> Iterator[Path]:
    """Gives a fresh directory that no other demo is using, and leaves it there to be looked at."""
    path.mkdir(parents=True, exist_ok=True)
    with (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"{path}: in use by another demo; end that one first") from None
        state = path.resolve() / "run"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir()
        yield state


def start_shop(
    servers: ExitStack, state: Path, environment: dict[str, str]
) -> tuple[int, subprocess.Popen[bytes]]:
    """Starts the shop under gunicorn, as its docstring says."""
    port = free_port()
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "shop_gunicorn.conf.py"]
    command = [*gunicorn, "--bind", f"{HOST}:{port}", "shop:app"]
    server = servers.enter_context(running(command, port, "/", state / "shop.log", environment))
    return port, server


def start_prometheus(servers: ExitStack, state: Path, shop: int) -> int | None:
    """Starts a Prometheus that scrapes the shop each second, if there is one on PATH."""
    program = shutil.which("prometheus")
    if program is None:
        return None
    port = free_port()
    config = state / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: shop, static_configs: [{{targets: ['{HOST}:{shop}']}}]}}\n"
    )
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={state / 'prometheus'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    log = state / "prometheus.log"
    servers.enter_context(running(command, port, "/-/ready", log, os.environ))
    return port


# The checks after the load


def check_ledger(totals: Series, ledger: Ledger) -> bool:
    """Holds the totals against what was sent and answered."""
    sent, answered = ledger.sent(), ledger.answered()
    unanswered = sum(sent.values()) - sum(answered.values())
    if unanswered:
        print(
            f"{unanswered} requests got no answer with 200, as can be while a worker is replaced."
            "\nThey were not repeated; their totals must lie between answered and sent."
        )
    else:
        print("Every request was answered: every total must be equal to what was sent.")

    nan = float("nan")
    least, most = (sum(ends[one] for one in PURCHASES.values()) for ends in (answered, sent))
    checkouts = totals.get("shop_checkout_seconds_count", nan)
    lines = [
        *(Line(one, answered[one], sent[one], totals.get(one, nan)) for one in COUNTED[:-1]),
        Line("shop_checkout_seconds_count", least, most, checkouts),
        Line(JOBS_DONE, JOBS, JOBS, totals.get(JOBS_DONE, nan)),
        Line("shop_job_seconds_count", JOBS, JOBS, totals.get("shop_job_seconds_count", nan)),
        Line("shop_requests_in_progress", 0, 0, totals.get("shop_requests_in_progress", nan)),
    ]
    return show("Totals beside what was sent", ["answered", "sent", "total"], lines)


def check_database(totals: Series, database: Path) -> bool:
    """Holds the totals against the shop's own records."""
    orders = query_shop(database, "SELECT product, count(*) FROM orders GROUP BY product")
    stock = query_shop(database, "SELECT product, items FROM stock")
    lines = [
        Line(series, truth.get(product, 0), truth.get(product, 0), totals.get(series, float("nan")))
        for truth, group in ((orders, PURCHASES), (stock, STOCK))
        for product, series in group.items()
    ]
    return show("Totals beside the shop's own database", ["rows, items", "total"], lines)


def check_prometheus(totals: Series, port: int) -> bool:
    """Waits until Prometheus has seen the totals, and compares."""
    families = {"shop_views_total": VIEWS.values(), "shop_purchases_total": PURCHASES.values()}
    expected = {
        **{
            f"sum({name})": sum(totals.get(one, 0) for one in group)
            for name, group in families.items()
        },
        JOBS_DONE: totals.get(JOBS_DONE, 0),
    }
    deadline = time.monotonic() + 30
    while True:
        lines = [
            Line(query, value, value, query_prometheus(port, query))
            for query, value in expected.items()
        ]
        if all(line.holds() for line in lines) or time.monotonic() > deadline:
            return show("Totals in Prometheus", ["/metrics", "Prometheus"], lines)
        time.sleep(0.2)


def show_urls(shop: int, prometheus: int | None, environment: dict[str, str]) -> None:
    """Says where everything is."""
    print("\nThe shop is running; Ctrl-C ends it.\n")
    for path in ("/", "/view/tea", "/buy/tea", "/metrics"):
        print(f"  http://{HOST}:{shop}{path}")
    if prometheus is not None:
        graph = urlencode({"g0.expr": "sum(shop_views_total)", "g0.tab": 0, "g0.range_input": "5m"})
        print(f"  http://{HOST}:{prometheus}/graph?{graph}")
    print("\nOne more job:\n")
    settings = [f"{name}={environment[name]}" for name in ("TALLYMARK_STORE", "SHOP_DB")]
    print(f"  {shlex.join([*settings, sys.executable, str(EXAMPLES / 'job.py'), 'tea', '10'])}")
    sys.stdout.flush()


def demonstrate(state: Path, requests: int, once: bool) -> bool:
    """Runs the whole demo; True if every total was right."""
    environment = {
        **os.environ,
        "TALLYMARK_STORE": f"file:{state / 'metrics.tally'}",
        "SHOP_DB": str(state / "shop.db"),
    }
    # It would choose another default for gauges: that of the official client's multiprocess mode.
    environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
    environment.pop("prometheus_multiproc_dir", None)

    with ExitStack() as servers:
        shop, server = start_shop(servers, state, environment)
        prometheus = start_prometheus(servers, state, shop)
        print(
            f"A shop under gunicorn: 4 workers, each replaced after some 150 requests."
            f"\nIt gets {requests:,} requests from {CLIENTS} clients, while {JOBS} jobs run.\n"
        )

        ledger = Ledger()
        plan = plan_load(requests)
        stop = threading.Event()
        with ThreadPoolExecutor(CLIENTS + 1) as crowd:
            work = [
                crowd.submit(send_load, shop, plan[number::CLIENTS], ledger, stop)
                for number in range(CLIENTS)
            ]
            work.append(crowd.submit(run_jobs, environment, ledger, stop))
            try:
                right = watch(shop, ledger, work)
            finally:
                stop.set()
        for task in work:
            task.result()

        totals = scrape(shop)
        right &= check_ledger(totals, ledger)
        right &= check_database(totals, state / "shop.db")
        if prometheus is not None:
            right &= check_prometheus(totals, prometheus)
        print(
            f"\n{ledger.workers()} workers answered and {JOBS} jobs ran; "
            + ("every total is right." if right else "NOT every total is right: see OFF above.")
        )
        if not once:
            show_urls(shop, prometheus, environment)
            with suppress(KeyboardInterrupt):
                server.wait()
                raise DemoError(f"the shop ended by itself; see {state / 'shop.log'}")
        return right


def leave(signal_number: int, frame: object) -> None:
    """Ends the demo in order, servers and all, where a signal would have cut it off."""
    raise SystemExit(128 + signal_number)


def main() -> None:
    """Parses the arguments and exits with 1 if any total is off."""
    arguments = argparse.ArgumentParser(description="A shop, a crowd, fifty jobs: do they add up?")
    arguments.add_argument("--once", action="store_true", help="end by itself after the checks")
    arguments.add_argument("--requests", type=int, default=2_000, help="size of the load")
    arguments.add_argument(
        "--state", type=Path, default=ROOT / ".demo", help="directory for state and logs"
    )
    given = arguments.parse_args()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    try:
        with state_directory(given.state) as state:
            right = demonstrate(state, given.requests, given.once)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
