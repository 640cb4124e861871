"""`tallymark import` takes over what others have counted: exactly, wholly, and once."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from looking import PATIENCE, Looker

OFFICIAL = """
import sys
from prometheus_client import *
from prometheus_client.multiprocess import MultiProcessCollector
jobs = Counter("jobs", "Jobs done.", ["zone", "area"])
seconds = Histogram("wait_seconds", "Time.", ["path"], buckets=[0.5, 2])
size = Summary("size_bytes", "Size.")
gauges = [
    Gauge(f"g_{mode}", f"In mode {mode}.", ["x"], multiprocess_mode=mode)
    for mode in ("all", "liveall", "min", "max", "sum", "livesum", "mostrecent")
]
k = float(sys.argv[1])
jobs.labels("b", 'a"\\n').inc(0.25 * k)
for amount in (0.125, 0.25, 1, 7):
    seconds.labels("/é").observe(amount * k)
    size.observe(amount)
for gauge in gauges:
    gauge.labels("y").set(k)
if len(sys.argv) > 2:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    print(generate_latest(registry).decode(), end="")
"""

OFFICIAL_MANY = """
from prometheus_client import Counter
jobs = Counter("jobs", "Jobs done.", ["n"])
"""


@pytest.fixture
def counted(tmp_path: Path) -> tuple[Path, str]:
    """A directory in which three processes have counted, and what the official client shows."""
    directory = tmp_path / "multiprocess"
    directory.mkdir()
    shown = ""
    for arguments in (["1"], ["2"], ["3", "show"]):
        shown = subprocess.run(
            [sys.executable, "-c", OFFICIAL, *arguments],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        ).stdout
    return directory, shown


def samples(text: str) -> list[str]:
    """Give the samples of an exposition that both sides have."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return sorted(line for line in lines if not re.match("g_live|tallymark_|[a-z_]*_created", line))


def test_a_multiprocess_directory_comes_over_as_it_was(
    look: Looker, counted: tuple[Path, str]
) -> None:
    """To the last digit; only gauges of live processes are left out, and said to be."""
    directory, shown = counted

    run = look("import", "multiprocess", str(directory), look.url)

    assert run.code == 0, run
    assert run.err.count("note: g_live") == 2
    assert samples(look.ok("show", look.url)) == samples(shown)


def test_what_is_there_already_is_added_to(look: Looker, counted: tuple[Path, str]) -> None:
    """Whatever the order of the labels there; a gauge that is set stays."""
    directory, _ = counted
    look.ok("inc", "jobs", 'area=a"\n', "zone=b", "10", "--store", look.url)
    look.ok("set", "g_min", "x=y", "77", "--store", look.url)

    look.ok("import", "multiprocess", str(directory), look.url)

    (value,) = look.values("jobs").values()
    assert value == 11.5
    assert look.values("g_min") == {"y": 77}


def test_a_gauge_of_another_mode_is_left_out_and_told_of(
    look: Looker, counted: tuple[Path, str]
) -> None:
    """What ended processes have added would not be seen in it; one of the same mode goes on."""
    directory, _ = counted
    look.ok("set", "g_all", "x=y", "77", "--store", look.url)
    look.ok("set", "g_livesum", "x=y", "77", "--store", look.url)
    look.ok("inc", "--gauge", "g_sum", "x=y", "5", "--store", look.url)

    run = look("import", "multiprocess", str(directory), look.url)

    assert run.code == 0, run
    assert "g_all: left out" in run.err and "mode auto" in run.err and "mode all" in run.err
    assert run.err.count("g_livesum: left out") == 1
    assert look.values("g_all") == {"y": 77}
    assert look.values("g_sum") == {"y": 11}


def test_nothing_counts_twice_unless_that_is_asked_for(
    look: Looker, counted: tuple[Path, str]
) -> None:
    """The note that prevents it is no file that the official client reads."""
    directory, _ = counted
    look.ok("import", "multiprocess", str(directory), look.url)
    once = look.ok("show", look.url, "--match", "size_bytes")

    run = look("import", "multiprocess", str(directory), look.url)

    assert (run.code, run.out) == (1, "")
    assert "--force" in run.err
    assert look.ok("show", look.url, "--match", "size_bytes") == once
    look.ok("import", "multiprocess", str(directory), look.url, "--force")
    assert "size_bytes_count 24.0\n" in look.ok("show", look.url)


def test_an_import_that_finds_no_room_is_an_error(look: Looker, tmp_path: Path) -> None:
    """With how far it came; where nothing was imported, no note says that it was."""
    directory, note = tmp_path / "full", tmp_path / "full" / "imported-by-tallymark.json"
    directory.mkdir()
    many = "[jobs.labels(str(n)).inc() for n in range(1000)]"
    subprocess.run(
        [sys.executable, "-c", f"{OFFICIAL_MANY}\n{many}"],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=True,
        timeout=PATIENCE,
    )
    look.ok("inc", "other", "--store", look.url)
    size = Path(look.url.removeprefix("file:")).stat().st_size // 1024
    script = f"trap '' XFSZ; ulimit -f {size}; exec \"$@\""
    command = [look.command, "import", "multiprocess", str(directory), look.url]
    for told, is_noted in (("series were imported, the others were not", True), ("nothing", False)):
        note.unlink(missing_ok=True)
        run = subprocess.run(
            ["bash", "-c", script, "-", *command], capture_output=True, text=True, timeout=PATIENCE
        )

        assert (run.returncode, run.stdout) == (1, ""), run
        assert told in run.stderr
        assert is_noted == note.exists()


def test_a_process_without_a_number_is_told_of(look: Looker, counted: tuple[Path, str]) -> None:
    """Its gauges of mode all cannot be any process's."""
    directory, _ = counted
    file = sorted(directory.glob("gauge_all_*.db"))[0]
    file.rename(directory / "gauge_all_worker-a.db")

    run = look("import", "multiprocess", str(directory), look.url)

    assert run.code == 0
    assert "worker-a" in run.err


def test_what_does_not_go_together_is_refused_before_anything_is_added(
    look: Looker, counted: tuple[Path, str]
) -> None:
    """Another type in the store, and a damaged file: once mended it can be imported."""
    directory, shown = counted
    look.ok("set", "size_bytes", "1", "--store", look.url)
    run = look("import", "multiprocess", str(directory), look.url)
    assert run.code == 1
    assert "size_bytes is a gauge in the store and a summary there" in run.err
    assert look.values("jobs") == {}

    file = sorted(directory.glob("counter_*.db"))[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:40])
    other = f"{look.url}-2"
    run = look("import", "multiprocess", str(directory), other)
    assert run.code == 1
    assert file.name in run.err and "damaged" in run.err

    file.write_bytes(whole)
    look.ok("import", "multiprocess", str(directory), other)
    assert samples(look.ok("show", other)) == samples(shown)


@pytest.fixture
def pushgateway() -> Iterator[str]:
    """A Pushgateway of Debian's on a free port: its address."""
    program = shutil.which("prometheus-pushgateway")
    assert program, "no prometheus-pushgateway on PATH: run scripts/debian prometheus-pushgateway"
    options = ["--web.listen-address=127.0.0.1:0", "--persistence.file="]
    with subprocess.Popen([program, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        deadline = threading.Timer(PATIENCE, process.kill)
        deadline.start()
        for line in process.stderr:
            listening = re.search(r'msg="Listening on" address=(\S+)', line)
            if listening:
                break
        else:
            raise AssertionError("the Pushgateway ended")
        deadline.cancel()
        yield f"http://{listening[1]}"
        process.kill()


PUSHED = """\
# HELP jobs_total Jobs done.
# TYPE jobs_total counter
jobs_total{queue="a\\"b"} 3
# TYPE bare counter
bare 0.1
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.5"} 1
wait_seconds_bucket{le="10"} 2
wait_seconds_bucket{le="+Inf"} 2
wait_seconds_sum 7.5
wait_seconds_count 2
# TYPE size summary
size{quantile="0.5"} 3
size_sum 5
size_count 2
plain NaN
"""


def pushed(text: str) -> list[str]:
    """Give the samples that do not tell when."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    own = re.compile(r"push_(failure_)?time_seconds|go_|process_|pushgateway_|tallymark_|promhttp_")
    samples = []
    for line in lines:
        if own.match(line):
            continue
        name, value = line.rsplit(" ", 1)
        stem, _, labels = name.partition("{")
        # Bounds are the same numbers, written as each side writes them.
        labels = labels.rstrip("}").replace('.0"', '"')
        samples.append(f"{stem}{sorted(labels.split(','))} {float(value)}")
    return sorted(samples)


def test_the_groups_of_a_pushgateway_come_over(look: Looker, pushgateway: str) -> None:
    """All types, any labels; groups that are there already stay as they are."""
    for path in ("job/night", "job@base64/YS9iIGM/instance/%C3%A9"):
        push = Request(f"{pushgateway}/metrics/{path}", PUSHED.encode(), method="PUT")
        urlopen(push, timeout=PATIENCE).close()
    with urlopen(f"{pushgateway}/metrics", timeout=PATIENCE) as answer:
        there = pushed(answer.read().decode())

    assert look.ok("import", "pushgateway", pushgateway, look.url).startswith("2 groups imported")
    assert pushed(look.ok("show", look.url)) == there

    run = look("import", "pushgateway", pushgateway + "/", look.url)
    assert run.out.startswith("0 groups imported")
    assert "2 groups are in the store already" in run.err
    look.ok("import", "pushgateway", pushgateway, look.url, "--force")
    assert pushed(look.ok("show", look.url)) == there


def test_what_is_no_pushgateway_is_said_to_be_none(look: Looker) -> None:
    """With the URL that was asked."""
    run = look("import", "pushgateway", "http://127.0.0.1:9", look.url)

    assert (run.code, run.out) == (1, "")
    assert "http://127.0.0.1:9/api/v1/metrics: " in run.err


# What prometheus-distributed-client keeps of two metrics.
DISTRIBUTED = {
    "jobs": {'_total:{"queue": "mail"}': 41, '_created:{"queue": "mail"}': 1500000000},
    "wait_seconds": {
        '_bucket:{"le": "0.5"}': 1,
        '_bucket:{"le": "+Inf"}': 3,
        "_count:{}": 3,
        "_sum:{}": 7.25,
    },
    "other": {"_total:{}": 5},
}


@pytest.fixture(params=["sqlite", "redis"])
def distributed(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where prometheus-distributed-client has counted: its URL or path."""
    if request.param == "redis":
        server = request.getfixturevalue("redis")
        for family, fields in DISTRIBUTED.items():
            for field, value in fields.items():
                server.ask("HSET", f"shop_{family}", field, value)
        return f"redis://127.0.0.1:{server.port}/0"
    path = tmp_path / "counted.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE metrics (metric_key TEXT, subkey TEXT, value REAL)")
        rows = [
            (family, *field) for family, fields in DISTRIBUTED.items() for field in fields.items()
        ]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?)", rows)
    return str(path)


def test_what_prometheus_distributed_client_has_counted_comes_over_once(
    look: Looker, distributed: str
) -> None:
    """By the metrics that the store holds; what none of them explains is told."""
    look.ok("inc", "jobs", "queue=mail", "1", "--store", look.url)
    look.ok("observe", "wait_seconds", "0.25", "--buckets", "0.5", "--store", look.url)

    run = look("import", "distributed", distributed, look.url, "--prefix", "shop")

    assert (run.code, run.out) == (0, "2 series of 2 families imported\n"), run
    assert "other" in run.err
    text = look.ok("show", look.url)
    assert 'jobs_total{queue="mail"} 42.0\n' in text
    assert 'jobs_created{queue="mail"} 1.5e+09\n' in text
    assert 'wait_seconds_bucket{le="0.5"} 2.0\n' in text
    assert "wait_seconds_sum 7.5\n" in text

    again = look.ok("import", "distributed", distributed, look.url, "--prefix", "shop")
    assert again == "0 series of 0 families imported\n"
    assert look.values("jobs") == {"mail": 42}


def test_a_place_where_nothing_was_counted_is_said_to_be_none(look: Looker) -> None:
    """As an error, with what it is."""
    look.ok("inc", "jobs", "--store", look.url)

    run = look("import", "distributed", "/nowhere/metrics.db", look.url)

    assert (run.code, run.out) == (1, "")
    assert run.err.startswith("error: ") and "/nowhere/metrics.db" in run.err
