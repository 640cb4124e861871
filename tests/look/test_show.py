"""`tallymark show` reads whatever source, picks from it, and prints it as asked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

from looking import Looker, Program
from servers import Redis
from tallymark.openmetrics.parser import text_string_to_metric_families

COUNTED = """
jobs = Counter("jobs", "Jobs done.", ["queue"])
jobs.labels("mail").inc(3)
jobs.labels("backup").inc(1234567)
seconds = Histogram("wait_seconds", "Time waited.", buckets=[0.1, 1])
seconds.observe(0.05)
seconds.observe(0.5)
Gauge("queue_length", "Waiting.").set(7)
"""

TABLES = """\
jobs_total  counter  Jobs done.
  queue       value
  mail            3
  backup  1,234,567

wait_seconds  histogram  Time waited.
  count     sum    mean     p50     p90     p99
      2  550 ms  275 ms  100 ms  820 ms  982 ms

queue_length  gauge  Waiting.
  value
      7
"""


def test_a_table_is_for_people(look: Looker, program: Callable[..., Program]) -> None:
    """Numbers have their units, and a histogram is one line."""
    program(look.url, COUNTED).end()
    names = [word for name in ("jobs", "queue*", "wait*") for word in ("--name", name)]

    shown = look.ok("show", look.url, "--format", "table", *names)

    assert shown == TABLES


def test_every_source_gives_the_same_numbers(
    look: Looker,
    program: Callable[..., Program],
    serve: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """A store, a server over it, a file and stdin with what it shows."""
    program(look.url, COUNTED).end()
    text = look.ok("show", look.url, "--format", "openmetrics")
    file = tmp_path / "metrics.txt"
    file.write_text(text)
    expected = {"mail": 3, "backup": 1234567}

    assert look.values("jobs") == expected
    assert look.values("jobs", serve(look.url)) == expected
    assert look.values("jobs", str(file)) == expected
    assert look.ok("show", "-", "--format", "openmetrics", stdin=text) == text


def test_series_are_picked_by_name_and_labels(
    look: Looker, program: Callable[..., Program]
) -> None:
    """What does not fit is not shown."""
    program(look.url, COUNTED).end()

    shown = look.ok("show", look.url, "--match", 'jobs{queue=~"m.*"}', "--match", "queue_length")

    lines = [line for line in shown.splitlines() if not line.startswith("#")]
    assert sorted(line for line in lines if "_created" not in line) == [
        'jobs_total{queue="mail"} 3.0',
        "queue_length 7.0",
    ]


def test_pushed_groups_are_shown_beside_what_was_counted(
    look: Looker, program: Callable[..., Program], serve: Callable[[str], str]
) -> None:
    """Both belong to the store."""
    program(look.url, COUNTED).end()
    address = serve(look.url)
    push = Request(f"{address}/metrics/job/night", b"lines_read 5\n", method="PUT")
    urlopen(push, timeout=60).close()

    assert look.values("lines_read") == {",night": 5} or look.values("lines_read") == {"night,": 5}
    assert look.values("jobs")["mail"] == 3


def test_every_format_is_one_that_others_read(
    look: Looker, program: Callable[..., Program]
) -> None:
    """OpenMetrics by its own parser, JSON by Python's."""
    program(look.url, COUNTED).end()

    text = look.ok("show", look.url, "--format", "openmetrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["wait_seconds"].samples[0].value == 1

    protobuf = subprocess.run(
        [look.command, "show", look.url, "--format", "protobuf"], check=True, capture_output=True
    ).stdout
    assert b"wait_seconds" in protobuf and not protobuf.startswith(b"#")

    (waited,) = look.json("show", look.url, "--name", "wait_seconds")["families"]
    (series,) = waited["series"]
    assert series["buckets"] == [[0.1, 1], [1, 2], ["+Inf", 2]]
    assert (series["count"], round(series["sum"], 9)) == (2, 0.55)


def test_what_cannot_be_read_is_said_with_what_to_do(look: Looker, tmp_path: Path) -> None:
    """No password is among it."""
    store = tmp_path / "s.tally"
    look.ok("inc", "a", "--store", f"file:{store}")

    for source, words in [
        ("http://me:secret@127.0.0.1:9", ["http://127.0.0.1:9/metrics", "Connection refused"]),
        ("http://me:1/secret@127.0.0.1:9", ["http://127.0.0.1:9: "]),
        (str(tmp_path / "nothing.txt"), ["nothing.txt", "No such file"]),
        (str(store), [f"write file:{store}"]),
    ]:
        run = look("show", source)

        assert (run.code, run.out) == (1, ""), run
        assert all(word in run.err for word in words), run
        assert "secret" not in run.err


def test_a_store_that_cannot_be_read_is_not_an_empty_one(look: Looker, redis: Redis) -> None:
    """Whoever may count but not read is told so by every command, and pushes nothing on."""
    url = f"redis://127.0.0.1:{redis.port}?spool=memory"
    look.ok("inc", "jobs", "--store", url)
    assert look.values("jobs", url) == {"": 1}
    redis.ask("ACL", "SETUSER", "default", "-hscan")

    for words in (
        ["show", url],
        ["check", url],
        ["rules", url],
        ["push", url, "--graphite", "127.0.0.1:9"],
    ):
        run = look(*words)

        assert (run.code, run.out) == (1, ""), run
        assert "could not be read" in run.err, run
