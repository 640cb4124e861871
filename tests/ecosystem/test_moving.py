"""Moving from prometheus-distributed-client: what it has counted goes on in Tallymark, exactly.

The real package counts in a real database, each program in a process of its own. What it shows
itself is what must be shown afterwards, by a process that declares nothing.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
import redis
from running import DEADLINE, parse

PAGE = Path(__file__).parents[2] / "docs" / "moving" / "prometheus-distributed-client.md"
PREFIX = "shop*"

THEIRS = """
import os, signal, sqlite3
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_distributed_client import setup
from redis import Redis

if "PORT" in os.environ:
    from prometheus_distributed_client.redis import Counter, Gauge, Histogram, Summary
else:
    from prometheus_distributed_client.sqlite import Counter, Gauge, Histogram, Summary

def connect():
    if "PORT" in os.environ:
        redis = Redis(port=int(os.environ["PORT"]))
        setup(redis=redis, redis_prefix=os.environ.get("PREFIX", "shop*"))
        return redis
    connection = sqlite3.connect(os.environ["DATABASE"], timeout=30)
    # It commits every number; the disk is not what is tested.
    connection.execute("PRAGMA synchronous = OFF")
    setup(sqlite=connection)
    return connection

connection = connect()
registry = CollectorRegistry()
modes = lambda mode: {}
"""

OURS = """
import json, os, signal, sqlite3, sys
from redis import Redis
from tallymark import *
from tallymark import distributed_client
from tallymark.distributed_client import NotImported, import_values

registry = CollectorRegistry()
modes = lambda mode: {"multiprocess_mode": mode}
"""

DECLARE = """
ORDERS = Counter("orders", "Orders.", ["dish", "table"], registry=registry)
BURNT = Counter("burnt_kg_total", "Burnt.", registry=registry)
GUESTS = Gauge("guests", "Guests.", ["table"], registry=registry)
OPEN = Gauge("open", "Open.", registry=registry)
WEIGHT = Summary("weight", "Weight.", ["dish"], registry=registry, unit="kg")
SECONDS = Histogram("seconds", "Time.", ["dish"], registry=registry)
SIZES = Histogram("sizes", "Sizes.", registry=registry, buckets=[0, 2.5, 1e6, 1e17])
"""

COUNT = """
for odd in ["soup", "", 'a"b', "a:b", "a\\\\n\\nb", "{}", "süß \\U0001f370", "\\x00"]:
    ORDERS.labels(odd, "1").inc()
    ORDERS.labels(table=2, dish=odd).inc(0.1)
    WEIGHT.labels(odd).observe(0.1)
    WEIGHT.labels(odd).observe(-1e9)
for amount in range(1, 30):
    BURNT.inc(amount / 7)
    SECONDS.labels("soup").observe(amount ** 3 / 2e3)
SECONDS.labels("cake").observe(11)
ORDERS.labels("many", "1").inc(2.0**60)
GUESTS.labels("window").inc(0.1)
GUESTS.labels("window").inc(0.2)
GUESTS.labels("door").set(-4e-7)
OPEN.set(float("-inf"))
for amount in (-3, -1, 0, 2.5, 2.6, 1e17, 1e18):
    SIZES.observe(amount)
"""

SHOW = "\nprint(generate_latest(registry).decode())"

IMPORT = """
try:
    done, refused = import_values(eval(os.environ["SOURCE"]), "shop*", registry), {}
except NotImported as problem:
    done, refused = problem.imported, problem.refused
    print(problem, file=sys.stderr)
print(json.dumps([*done, refused]))
"""


class Move:
    """One database of theirs, one store of ours, and the programs that count in them."""

    def __init__(self, directory: Path, theirs: Mapping[str, str]) -> None:
        self.directory = directory
        self._theirs = theirs
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name.upper() != "PROMETHEUS_MULTIPROC_DIR" and not name.startswith("TALLYMARK_")
        }
        self.environment |= theirs
        self.environment["TALLYMARK_STORE"] = f"file:{directory / 'metrics.tally'}"

    def run(self, program: str, expected: int = 0, **environment: str) -> str:
        """Run a program in a process of its own; give what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            cwd=self.directory,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

        assert expected == done.returncode, done.stdout + done.stderr

        return done.stdout

    def count(self, program: str, declare: str = DECLARE, **environment: str) -> None:
        """Count as before."""
        self.run(THEIRS + declare + program, **environment)

    def theirs(self, declare: str = DECLARE, **environment: str) -> dict[str, float]:
        """Give what the package shows."""
        return parse("text/plain", self.run(THEIRS + declare + SHOW, **environment))

    def move(self, declare: str = DECLARE, source: str = "", then: str = "") -> Imported:
        """Import in a program of ours."""
        source = source or self._theirs["SOURCE"]
        return Imported(self.run(OURS + declare + IMPORT + then, SOURCE=source))

    def ours(self) -> dict[str, float]:
        """Give what a process shows that declares nothing."""
        show = "from tallymark import generate_latest\nprint(generate_latest().decode())"
        page = parse("text/plain", self.run(show))
        own = ("tallymark_", "python_", "process_")
        return {series: value for series, value in page.items() if not series.startswith(own)}

    def write(self, family: str, field: str, number: float) -> None:
        """Write a field as no program would."""
        if "PORT" in self.environment:
            with redis.Redis(port=int(self.environment["PORT"])) as client:
                client.hset(f"{PREFIX}_{family}", field, repr(number))
        else:
            with closing(sqlite3.connect(self.environment["DATABASE"])) as connection:
                row = (family, field, number)
                connection.execute("REPLACE INTO metrics VALUES (?, ?, ?)", row)
                connection.commit()


class Imported:
    """What `import_values` gave, or its exception."""

    def __init__(self, printed: str) -> None:
        self.series: dict[str, int]
        self.remarks: list[str]
        self.unexplained: list[str]
        self.refused: dict[str, str]
        self.series, self.remarks, self.unexplained, self.refused = json.loads(printed)


@pytest.fixture(params=["redis", "sqlite"])
def move(request: pytest.FixtureRequest, tmp_path: Path) -> Move:
    """A database of each kind."""
    if request.param == "redis":
        port = request.getfixturevalue("redis_port")
        return Move(tmp_path, {"PORT": str(port), "SOURCE": f"'redis://127.0.0.1:{port}/0'"})
    path = str(tmp_path / "counted?.db")
    return Move(tmp_path, {"DATABASE": path, "SOURCE": repr(path)})


SOURCES = {
    "redis": (
        "Redis(port=int(os.environ['PORT']))",
        "Redis(port=int(os.environ['PORT']), decode_responses=True)",
    ),
    "sqlite": (
        "__import__('pathlib').Path(os.environ['DATABASE'])",
        "sqlite3.connect(os.environ['DATABASE'])",
        "sqlite3.connect(os.environ['DATABASE'], isolation_level=None)",
    ),
}


@pytest.mark.parametrize("store", ["file", "sqlite", "redis"])
def test_everything_is_shown_as_before_to_the_last_digit(
    move: Move, store: str, redis_port: int
) -> None:
    """Every type, with label values of any characters, and ``_created``; in every store."""
    spool = f"spool={move.directory}/spool.tally"
    urls = {
        "file": f"file:{move.directory}/metrics.tally",
        "sqlite": f"sqlite:{move.directory}/ours.db?{spool}",
        # In the same database, with the same prefix.
        "redis": f"redis://127.0.0.1:{redis_port}?prefix={PREFIX}&{spool}",
    }
    move.environment["TALLYMARK_STORE"] = urls[store]
    move.count(COUNT)
    before = move.theirs()
    done = move.move()

    assert before == move.ours()
    assert before == move.theirs()
    assert {
        **{"orders": 17, "burnt_kg": 1, "guests": 2, "open": 1},
        **{"weight_kg": 8, "seconds": 2, "sizes": 1},
    } == done.series
    assert ([], [], {}) == (done.remarks, done.unexplained, done.refused)


@pytest.mark.parametrize("kind, source", [(k, one) for k, all in SOURCES.items() for one in all])
def test_a_source_may_be_given_in_several_ways(
    kind: str, source: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A path or a connection; a client, whatever it makes of answers."""
    if kind == "redis":
        theirs = {"PORT": str(request.getfixturevalue("redis_port"))}
    else:
        theirs = {"DATABASE": str(tmp_path / "counted.db")}
    move = Move(tmp_path, theirs)
    move.count(COUNT)
    move.move(source=source)

    assert {} == {one: n for one, n in move.move(source=source).series.items() if n}
    assert move.theirs() == move.ours()


def test_totals_go_on_from_there(move: Move) -> None:
    """What was counted here before, and what is counted afterwards, is added."""
    declare = (
        'C = Counter("c", "C.", registry=registry)\nH = Histogram("h", "H.", registry=registry)'
    )
    count = "\nC.inc(3)\nH.observe(0.3)"
    move.count(count, declare)
    before = move.theirs(declare)
    move.run(OURS + declare + count)
    move.move(declare, then=count)
    after = move.ours()

    assert 9 == after["c_total"]
    assert (3, 0.3 * 3) == (after["h_count"], pytest.approx(after["h_sum"]))
    assert (0, 3) == (after['h_bucket{le="0.25"}'], after['h_bucket{le="0.5"}'])
    assert before["c_created"] == after["c_created"]


def test_importing_again_adds_what_was_counted_since(move: Move) -> None:
    """And nothing where nothing was."""
    move.count(COUNT)
    move.move()
    again = move.move()

    assert {0} == set(again.series.values())
    assert move.theirs() == move.ours()

    move.count(
        """
ORDERS.labels("soup", "1").inc(2)
ORDERS.labels("new", "1").inc()
SECONDS.labels("soup").observe(0.75)
SIZES.observe(2)
WEIGHT.labels("soup").observe(5)
"""
    )
    again = move.move()

    assert {"orders": 2, "seconds": 1, "sizes": 1, "weight_kg": 1} == {
        family: series for family, series in again.series.items() if series
    }
    assert move.theirs() == move.ours()


def test_a_counter_that_has_begun_again_is_added_whole(move: Move) -> None:
    """As after an expiry: it has another ``_created``, even if it is greater than it was."""
    declare = 'C = Counter("c", "C.", registry=registry)\nC.inc(3)'
    move.count("", declare)
    move.move(declare)
    move.count("\nC.reset()\nC.inc(10)", declare)

    assert 10 == move.theirs('C = Counter("c", "C.", registry=registry)')["c_total"]

    move.move('C = Counter("c", "C.", registry=registry)')

    assert 3 + 3 + 10 == move.ours()["c_total"]


def test_what_fell_is_not_guessed_at(move: Move) -> None:
    """With the same ``_created`` it may be a restart or an accident."""
    declare = 'C = Counter("c", "C.", ["a"], registry=registry)'
    move.count('\nC.labels("x").inc(3)\nC.labels("y").inc(3)', declare)
    move.move(declare)
    move.count('\nC.labels("x").inc()', declare)
    move.write("c", '_total:{"a":"y"}', 2)
    refused = move.move(declare).refused

    assert ["c"] == list(refused)
    assert "c{a='y'} was 3.0 at the last import and is 2.0 now" in refused["c"]
    assert {3} == {value for series, value in move.ours().items() if series.startswith("c_total")}


def test_an_observation_that_was_cut_off_lowers_no_bucket(move: Move) -> None:
    """Processes are killed before each of the numbers that an observation changes."""
    # Before the sum, four buckets and the count.
    steps = range(1, 7)
    declare = "".join(
        f'H{step} = Histogram("h{step}", "H.", registry=registry, buckets=[1, 2, 3])\n'
        for step in steps
    )
    each = "for histogram in (H1, H2, H3, H4, H5, H6):"
    move.count(f"\n{each}\n  for it in (0.5, 1.5, 2.5, 9): histogram.observe(it)", declare)
    move.count(
        f"""
inc = type(H1._sum).inc
def cut_off(value, amount):
    if next(left) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    inc(value, amount)
type(H1._sum).inc = cut_off
{each}
    left = iter(range(int(histogram._name[1:]) - 1, -1, -1))
    if os.fork() == 0:
        connect()
        histogram.observe(0.5)
    assert os.wait()[1] == signal.SIGKILL
""",
        declare,
    )
    before = move.theirs(declare)
    done = move.move(declare)
    after = move.ours()

    def buckets(page: Mapping[str, float], step: int) -> list[float]:
        return [page[f'h{step}_bucket{{le="{le}"}}'] for le in ("1.0", "2.0", "3.0", "+Inf")]

    # Only where all but the count knows of it, something is seen to disagree.
    assert [
        [1, 2, 3, 4],
        [1, 2, 3, 4],
        [2, 2, 3, 4],
        [2, 3, 3, 4],
        [2, 3, 4, 4],
        [2, 3, 4, 5],
    ] == [buckets(before, step) for step in steps]
    assert 4 == before["h6_count"]
    assert before["h1_sum"] + 0.5 == before["h2_sum"] == after["h2_sum"]
    for step in steps:
        assert buckets(before, step) == buckets(after, step)
        assert buckets(after, step)[-1] == after[f"h{step}_count"]
    assert ["h6"] == [re.search(r"h\d", remark)[0] for remark in done.remarks]

    # One more of 0.5 is cut off where buckets are equal, and shows.
    move.write("h3", '_bucket:{"le":"1.0"}', 3)
    remarks = move.move(declare).remarks

    assert 1 == len(remarks)
    assert (
        "its buckets 3.0, 2.0, 3.0, 4.0 and its count 4.0 are taken as 3.0, 3.0, 3.0, 4.0"
        in (remarks[0])
    )
    assert [3, 3, 4, 5] == buckets(move.ours(), 3)

    move.count("\nH3.observe(2.5)", declare)
    move.move(declare)

    assert [3, 3, 5, 6] == buckets(move.ours(), 3)

    # A count is never less than it was there.
    move.write("h4", "_count:{}", 9)
    move.move(declare)

    assert 9 == move.ours()["h4_count"]


def test_some_of_the_buckets_are_exact_and_others_are_refused(move: Move) -> None:
    """Counts between bounds that nobody counted at are not known."""
    theirs = 'H = Histogram("h", "H.", ["a"], registry=registry, buckets=[1, 2, 5, 7])\n'
    other = 'C = Counter("c", "C.", registry=registry)\n'
    count = 'for amount in range(9): H.labels("x").observe(amount)\nC.inc()'
    move.count(count, theirs + other)
    page = move.theirs(theirs)
    done = move.move(theirs.replace("[1, 2, 5, 7]", "[1, 3, 5]") + other)

    assert ["h"] == list(done.refused)
    assert "has not counted in the buckets 3.0 that are declared" in done.refused["h"]
    assert "1.0, 2.0, 5.0, 7.0, +Inf" in done.refused["h"]
    assert {"c": 1} == done.series
    assert 1 == move.ours()["c_total"]
    assert not [series for series in move.ours() if series.startswith("h_")]

    move.move(theirs.replace("[1, 2, 5, 7]", "[2, 7]"))
    coarse = {k: v for k, v in page.items() if 'le="1.0"' not in k and 'le="5.0"' not in k}

    assert coarse == {k: v for k, v in move.ours().items() if k.startswith("h_")}


def test_what_does_not_look_as_declared_is_refused(move: Move) -> None:
    """Nothing says what it is but the program's own metrics."""
    move.count(
        """
Counter("more_names", "M.", ["a"], registry=registry).labels("x").inc()
Counter("no_names", "M.", ["a"], registry=registry).labels("x").inc()
Gauge("no_gauge", "M.", registry=registry).set(1)
Histogram("no_histogram", "M.", registry=registry).observe(1)
Gauge("elsewhere", "M.", registry=registry).set(1)
Gauge("fine", "M.", registry=registry).set(1)
""",
        declare="",
    )
    done = move.move(
        """
Counter("more_names", "M.", ["a", "b"], registry=registry)
Counter("no_names", "M.", registry=registry)
Counter("no_gauge", "M.", registry=registry)
Summary("no_histogram", "M.", registry=registry)
class Elsewhere(Gauge):
    def _metric_init(self):
        pass
Elsewhere("elsewhere", "M.", registry=registry)
Gauge("fine", "M.", registry=registry)
"""
    )
    problems = {
        "more_names": "has other label names than are declared (a, b)",
        "no_names": "has other label names than are declared (none)",
        "no_gauge": "is none of a counter's",
        "no_histogram": "is none of a summary's",
        "elsewhere": "does not count in the store of this process",
    }

    assert list(problems) == list(done.refused)
    assert [] == [name for name, it in problems.items() if it not in done.refused[name]]
    assert {"fine": 1} == done.series


DAMAGED = (
    ("Counter", "_total:{}", -1.0, "a counter is never negative"),
    ("Counter", "_total", 1.0, "cannot read the field"),
    ("Counter", "_total:[]", 1.0, "cannot read the field"),
    ("Counter", '_total:{"a":1}', 1.0, "cannot read the field"),
    ("Counter", '_total:{"a":"\\ud800"}', 1.0, "cannot read the field"),
    ("Counter", "_total: {}", 1.0, "is there twice"),
    ("Summary", "_count:{}", 0.5, "which is no count"),
    ("Histogram", '_bucket:{"le":"1.0"}', 2.0**54, "which is no count"),
    ("Histogram", "_bucket:{}", 1.0, "cannot read the field"),
    ("Histogram", '_bucket:{"le":"one"}', 1.0, "cannot read the field"),
)


def test_numbers_that_nobody_counted_are_refused(move: Move) -> None:
    """With a sentence and not with a traceback; the family's other numbers wait, too."""
    declare = "".join(
        f'M{case} = {kind}("m{case}", "M.", registry=registry)\n'
        for case, (kind, *_) in enumerate(DAMAGED)
    )
    updates = "".join(
        f"M{case}.inc()\n" if kind == "Counter" else f"M{case}.observe(1)\n"
        for case, (kind, *_) in enumerate(DAMAGED)
    )
    move.count(updates, declare)
    for case, (_, field, number, _) in enumerate(DAMAGED):
        move.write(f"m{case}", field, number)
    done = move.move(declare)

    assert {f"m{case}" for case in range(len(DAMAGED))} == set(done.refused)
    for case, (_, field, _, problem) in enumerate(DAMAGED):
        assert problem in done.refused[f"m{case}"], field
    totals = {k: v for k, v in move.ours().items() if "_created" not in k}

    assert {0} == set(totals.values())


def test_keys_that_no_metric_explains_are_named(move: Move) -> None:
    """Also those of types that PDC does not have."""
    theirs = (
        'Gauge("a", "A.", registry=registry).set(1)\nGauge("i", "I.", registry=registry).set(1)'
    )
    move.count("", theirs)
    done = move.move('Info("i", "I.", registry=registry)\nGauge("b", "B.", registry=registry)')
    prefix = f"{PREFIX}_" if "PORT" in move.environment else ""

    assert [prefix + "a", prefix + "i"] == done.unexplained
    assert {} == done.series


def test_a_prefix_is_taken_literally_and_its_border_is_not_known(
    tmp_path: Path, redis_port: int
) -> None:
    """``shop*`` is no pattern; ``eu_c`` of it has the key that ``c`` of ``shop*_eu`` has."""
    source = f"'redis://127.0.0.1:{redis_port}'"
    move = Move(tmp_path, {"PORT": str(redis_port), "SOURCE": source})
    for prefix in ("shop*_eu", "shopping", "shop"):
        move.count("", 'Counter("c", "C.", registry=registry).inc(2)', PREFIX=prefix)
    declare = 'Counter("c", "C.", registry=registry)\n'

    assert ({}, ["shop*_eu_c"]) == (move.move(declare).series, move.move(declare).unexplained)

    declare += 'Counter("eu_c", "C.", registry=registry)\n'

    assert {"eu_c": 1} == move.move(declare).series


def test_something_else_under_the_key_is_refused(tmp_path: Path, redis_port: int) -> None:
    """And not touched."""
    source = f"'redis://127.0.0.1:{redis_port}'"
    move = Move(tmp_path, {"PORT": str(redis_port), "SOURCE": source})
    with redis.Redis(port=redis_port, decode_responses=True) as client:
        client.set(f"{PREFIX}_c", "mine")
        client.hset(f"{PREFIX}_d", "_total:{}", "many")
        declare = "\n".join(f'Counter("{it}", "C.", registry=registry)' for it in "cd")
        refused = move.move(declare).refused

        assert "this is a string and no hash" in refused["c"]
        assert "'_total:{}' has 'many', which is no number" in refused["d"]
        assert "mine" == client.get(f"{PREFIX}_c")


def test_gauges_come_to_what_their_modes_say(move: Move) -> None:
    """Whoever has set one here knows it better; processes that have ended have no share."""
    modes = ("auto", "mostrecent", "min", "max", "sum", "all", "liveall", "livesum")
    declare = "".join(
        f'{it} = Gauge("{it}", "G.", ["a"], registry=registry, **modes({it!r}))\n' for it in modes
    ).replace("all =", "all_ =")
    names = [f"{mode}_" if mode == "all" else mode for mode in modes]
    declare = declare.replace("liveall_ =", "liveall =")
    move.count("".join(f'\n{it}.labels("x").set(5)' for it in names), declare)
    move.count("".join(f'\n{it}.labels("y").set(5)' for it in names), declare)
    shown = [one for one in names if not one.startswith(("live", "all"))]
    move.run(OURS + declare + "".join(f'\n{one}.labels("x").set(7)' for one in shown))
    done = move.move(declare)

    expected = {"auto": 7, "mostrecent": 7, "min": 5, "max": 7, "sum": 12}

    assert {
        **{f'{mode}{{a="x"}}': value for mode, value in expected.items()},
        **{f'{mode}{{a="y"}}': 5 for mode in expected},
    } == move.ours()
    assert {
        **{"auto": 1, "mostrecent": 1, "min": 2, "max": 2, "sum": 2},
        **{"all": 0, "liveall": 0, "livesum": 0},
    } == done.series
    assert 3 + 2 == len(done.remarks)

    # Again: neither added twice nor set again.
    move.run(OURS + declare + '\nmax.labels("y").set(4)\nauto.labels("y").set(3)')
    move.move(declare)

    assert (3, 5) == (move.ours()['auto{a="y"}'], move.ours()['sum{a="y"}'])

    move.count('\nsum.labels("y").dec(2)', declare)
    move.move(declare)

    assert 3 == move.ours()['sum{a="y"}']


def test_an_import_that_is_killed_is_told_and_nothing_is_added_twice(move: Move) -> None:
    """It is for the operator to say that it is over."""
    declare = """
C = Counter("c", "C.", ["a"], registry=registry)
D = Counter("d", "D.", registry=registry)
"""
    move.count('\nC.labels("x").inc(3)\nC.labels("y").inc(4)\nD.inc(5)', declare)
    killed = """
add = distributed_client._add
def cut_off(metric, change):
    if metric is C.labels("y"):
        os.kill(os.getpid(), signal.SIGKILL)
    add(metric, change)
distributed_client._add = cut_off
"""
    source = move.environment["SOURCE"]
    move.run(OURS + declare + killed + IMPORT, expected=-signal.SIGKILL, SOURCE=source)
    done = move.move(declare)

    assert {"d": 1} == done.series
    assert "import 1, begun by process " in done.refused["c"]
    assert 'c_total{a="y"}' not in move.ours() or 0 == move.ours()['c_total{a="y"}']

    command = done.refused["c"].rpartition("that: ")[2]
    if "PORT" in move.environment:
        with redis.Redis(port=int(move.environment["PORT"])) as client:
            client.execute_command(*command.split())
    else:
        subprocess.run(["sqlite3", move.environment["DATABASE"], command], check=True)
    move.count('\nC.labels("y").inc(2)', declare)
    done = move.move(declare)

    assert ({"c": 1, "d": 0}, {}) == (done.series, done.refused)
    assert 3 == move.ours()['c_total{a="x"}']
    assert 2 == move.ours()['c_total{a="y"}']


@pytest.mark.parametrize("others", [1, 2, 3])
def test_of_several_imports_at_once_one_is_done(move: Move, others: int) -> None:
    """Whatever has come and gone between what the late one has read and what it would add."""
    declare = 'C = Counter("c", "C.", registry=registry)\n'
    late = """
claim = distributed_client._claim
def waiting(*arguments):
    print("has read", flush=True)
    sys.stdin.readline()
    claim(*arguments)
distributed_client._claim = waiting
"""
    move.count("C.inc(3)", declare)
    process = subprocess.Popen(
        [sys.executable, "-c", OURS + declare + late + IMPORT],
        env={**move.environment, "SOURCE": move.environment["SOURCE"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        assert "has read\n" == process.stdout.readline()

        for _ in range(others):
            move.move(declare)
            move.count("C.inc(3)", declare)
        printed, _ = process.communicate("\n", timeout=DEADLINE)
    finally:
        process.kill()
        process.wait()

    assert ["c"] == list(Imported(printed).refused)
    assert "another import has just begun" in Imported(printed).refused["c"]
    assert 3 * others == move.ours()["c_total"]

    move.move(declare)

    assert 3 * others + 3 == move.ours()["c_total"]


def test_a_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Which names it, leaves it as it was, and tells no password."""
    (tmp_path / "text.db").write_text("not a database " * 99)
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as foreign:
        foreign.execute("CREATE TABLE mine (it)")
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    errors = {
        "'not/there.db'": "FileNotFoundError: .*not/there.db",
        "'text.db'": "ValueError: text.db: .*not a database",
        "'foreign.db'": "ValueError: foreign.db: no database of prometheus-distributed-client",
        "busy": "ValueError: the connection has a transaction open",
        "7": "TypeError: 7 is no source",
        "'redis://:secret@127.0.0.1:1/0'": "ConnectionError: ",
        "without_redis()": "ImportError: .* pip install redis",
        "in_memory()": "ValueError: the store is memory:",
    }
    program = """
busy = sqlite3.connect(":memory:")
busy.execute("BEGIN")

def without_redis():
    sys.modules["redis"] = None
    return "redis://:secret@127.0.0.1/0"

def in_memory():
    use_store("memory:")
    return "foreign.db"

for source in json.loads(os.environ["SOURCES"]):
    try:
        import_values(eval(source), registry=registry)
    except Exception as problem:
        print(f"{type(problem).__name__}: {problem}")
"""
    printed = Move(tmp_path, {}).run(OURS + program, SOURCES=json.dumps(list(errors)))

    for line, error in zip(printed.splitlines(), errors.values(), strict=True):
        assert re.match(error, line)
    assert "secret" not in printed
    assert files == {path: path.read_bytes() for path in files}


# ---- The page.


def blocks(page: str) -> list[str]:
    """Give the Python code of a page, block by block."""
    return re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_the_page_is_right(tmp_path: Path, redis_port: int) -> None:
    """Every block runs and prints what the page says; only places are others."""
    page = PAGE.read_text()
    places = {
        "prefix=shop&ttl=3600": f"prefix=shop&ttl=3600&spool={tmp_path}/spool.tally",
        'host="localhost", port=6379': f'host="127.0.0.1", port={redis_port}',
        "//localhost:6379": f"//127.0.0.1:{redis_port}",
        "/var/lib/shop/metrics.db": str(tmp_path / "metrics.db"),
    }
    for said, meant in places.items():
        page = page.replace(said, meant)
    theirs, ours, from_redis, from_sqlite = blocks(page)
    move = Move(tmp_path, {})
    move.environment["TALLYMARK_STORE"] = re.findall(r'use_store\("(redis:.*)"\)', ours)[0]
    (tmp_path / "shop.py").write_text(ours)
    counted = parse("text/plain", move.run(theirs))
    more = '\nORDERS.labels("pen", "fi").inc(2)\n'
    move.run(theirs + more)
    done = re.search(r"this prints `(.*)` and two empty lists", page)

    assert done
    assert f"{done[1]}\n[] []\n" == move.run(from_redis)
    assert 2 == move.ours()['orders_total{country="fi",kind="book"}']

    in_sqlite = theirs.replace("distributed_client.redis", "distributed_client.sqlite")
    in_sqlite = re.sub(
        r"^setup\(.*\)$", "setup(sqlite='metrics.db')", in_sqlite, flags=re.MULTILINE
    )
    move.run(in_sqlite + more)

    assert done[1].replace("'stock': 1", "'stock': 0") + "\n" == move.run(from_sqlite)
    assert 3 == move.ours()['orders_total{country="fi",kind="book"}']

    shown = parse("text/plain", move.run(ours))

    assert set(counted) <= set(shown)
    assert (4, 12) == (shown['orders_total{country="fi",kind="book"}'], shown["stock"])
