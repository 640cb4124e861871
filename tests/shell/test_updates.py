"""``inc``, ``set`` and ``observe``: what scripts count."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from servers import Redis
from shells import Shell


def test_a_counter_is_one_whatever_it_is_called(shell: Shell) -> None:
    """With ``_total`` or without, by one or by more."""
    shell.do("tallymark inc jobs; tallymark inc jobs_total 2.5; tallymark inc jobs_total 1e3")

    assert {(): 1003.5} == shell.shown().values("jobs_total")


def test_labels_may_come_in_any_order(shell: Shell) -> None:
    """The first call decides how they are kept, no other how they are given."""
    shell.do("tallymark inc jobs host=a queue=x; tallymark inc jobs queue=x host=a 2")
    shell.do("tallymark inc jobs queue= host='a b=c'")

    assert {("a", "x"): 3.0, ("a b=c", ""): 1.0} == shell.shown().values("jobs_total")


def test_many_at_once_lose_nothing(shell: Shell) -> None:
    """Nor do they leave anything: the file is no larger than after the first ones."""
    shell.do("for i in {1..50}; do tallymark inc n & done; wait")
    size = (shell.directory / "metrics.tally").stat().st_size
    shell.do("for i in {1..50}; do tallymark inc n; done")

    shown = shell.shown()
    assert {(): 100.0} == shown.values("n_total")
    assert {(): 0.0} == shown.values("tallymark_live_processes")
    assert size == (shell.directory / "metrics.tally").stat().st_size


def test_a_gauge_shows_what_was_set_last(shell: Shell) -> None:
    """Of many processes that have ended."""
    shell.do("for i in 3 -1.5 2; do tallymark set temperature room=a -- $i; done")
    shell.do("tallymark set temperature room=b -4; tallymark set limit Inf")

    shown = shell.shown()
    assert {("a",): 2.0, ("b",): -4.0} == shown.values("temperature")
    assert {(): float("inf")} == shown.values("limit")


def test_a_gauge_that_adds_up_may_fall(shell: Shell) -> None:
    """With ``--gauge`` at first; the store remembers."""
    shell.do("tallymark inc --gauge queue 5; tallymark inc queue -2; tallymark inc queue")

    assert {(): 4.0} == shell.shown().values("queue")


def test_observations_are_counted_in_buckets(shell: Shell) -> None:
    """Those of the first call, which the store remembers."""
    shell.do(
        "tallymark observe t --buckets 1,2,4 1.5; tallymark observe t 3; tallymark observe t 9"
    )

    shown = shell.shown()
    buckets = {("1.0",): 0.0, ("2.0",): 1.0, ("4.0",): 2.0, ("+Inf",): 3.0}
    assert buckets == shown.values("t_bucket")
    assert {(): 13.5} == shown.values("t_sum")


def test_a_summary_stays_one(shell: Shell) -> None:
    """Asked for once."""
    shell.do("tallymark observe rows --summary 5; tallymark observe rows 7")

    shown = shell.shown()
    assert {(): 2.0} == shown.values("rows_count")
    assert {(): 12.0} == shown.values("rows_sum")
    assert "summary" == shown.families["rows"].type


def test_what_a_program_has_defined_is_continued(shell: Shell) -> None:
    """Help, order of labels and buckets are the program's."""
    program = """
import tallymark
seconds = tallymark.Histogram("seconds", "Said by the program.", ["b", "a"], buckets=[0.5])
seconds.labels("1", "2").observe(1)
tallymark.Gauge("rooms", "Rooms.").set(3)
"""
    shell.do(f"{sys.executable} -c '{program}'")
    shell.do("tallymark observe seconds a=2 b=1 0.2 --help-text other; tallymark set rooms 4")

    shown = shell.shown()
    assert "# HELP seconds Said by the program." in shown.text
    assert {("2", "1", "0.5"): 1.0, ("2", "1", "+Inf"): 2.0} == shown.values("seconds_bucket")
    assert {(): 4.0} == shown.values("rooms")


def test_help_and_unit_are_kept(shell: Shell) -> None:
    """The unit is a part of the name."""
    shell.do(
        "tallymark inc sent --unit bytes --help-text 'Bytes sent.' 3; tallymark inc sent_bytes"
    )

    shown = shell.shown()
    assert {(): 4.0} == shown.values("sent_bytes_total")
    assert "# HELP sent_bytes_total Bytes sent." in shown.text


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("inc kept_total 1 host=a", 2, ['"1"', "LABEL=VALUE"]),
        ("inc kept_total many", 2, ['"many"', "number"]),
        ("inc kept_total host=a host=b", 2, ["host", "twice"]),
        ("inc kept_total -1", 2, ["-1", "--gauge"]),
        ("inc kept_total NaN", 2, ["NaN", "finite"]),
        ("observe other", 2, ["no amount"]),
        ("observe other Inf", 2, ["finite"]),
        ("set other", 2, ["no amount"]),
        ("inc other __x=1", 2, ["__x"]),
        ("inc kept host=a", 1, ["kept_total", "no labels", "the labels host"]),
        ("set kept 1", 1, ["kept", "a counter", "not a gauge"]),
        ("set kept_total 1", 1, ["kept_total", "a counter", "not a gauge"]),
        ("inc --gauge kept 1", 1, ["a counter", "not a gauge"]),
        ("observe kept 1", 1, ["a counter", "not a histogram"]),
        ("observe spread 1 --buckets 1,3", 1, ["1.0, 2.0, +Inf", "1.0, 3.0, +Inf"]),
        ("observe spread 1 --summary", 1, ["a histogram", "not a summary"]),
        ("observe other 1 --buckets 2,1", 2, ["order"]),
        ("set summed 1", 1, ["the mode sum", "inc --gauge"]),
        ("inc level 1", 1, ["the mode auto"]),
        ("inc x --store carrier-pigeon:coop", 2, ["carrier-pigeon:coop", "file:/"]),
        ("inc x --store memory:", 2, ["memory:", "file:/"]),
        ("inc x --store http://localhost:9091", 2, ["/metrics/job/"]),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    script: str, code: int, words: list[str], shell: Shell
) -> None:
    """By an error that names both sides; no series is made."""
    shell.do("tallymark inc kept; tallymark observe spread 1 --buckets 1,2")
    shell.do("tallymark inc --gauge summed; tallymark set level 1")
    before = shell.shown().text

    ended = shell.run(f"tallymark {script}")

    assert (code, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith("error: ")
    for word in words:
        assert word in ended.stderr
    assert before == shell.shown().text


def test_a_full_device_is_an_error(shell: Shell) -> None:
    """A new series has no room; one that exists goes on."""
    shell.do("tallymark inc old")
    limit = (shell.directory / "metrics.tally").stat().st_size // 1024
    # More than the file has left.
    ended = shell.run(
        f"ulimit -f {limit}; trap '' XFSZ; tallymark inc new x=$(printf '%099999d' 1)"
    )

    assert 1 == ended.returncode
    assert "no room for a new series, nothing was counted" in ended.stderr
    shell.do(f"ulimit -f {limit}; tallymark inc old")
    assert {(): 2.0} == shell.shown().values("old_total")


def test_a_series_too_many_is_told_of(shell: Shell) -> None:
    """It is counted in the one for all that are too many."""
    store = f"{shell.store}?max_series=1"
    shell.do("tallymark inc n x=1", TALLYMARK_STORE=store)
    ended = shell.run("tallymark inc n x=2", TALLYMARK_STORE=store)

    assert (0, True) == (ended.returncode, "max_series" in ended.stderr)
    assert {("1",): 1.0, ("overflow",): 1.0} == shell.shown().values("n_total")


def test_a_store_of_many_hosts_is_told_at_once(redis: Redis, shell: Shell) -> None:
    """Each call sends what it has counted before it ends."""
    store = f"redis://127.0.0.1:{redis.port}/0"
    shell.do(f"tallymark inc a --store '{store}?spool={shell.directory}/one.tally'")
    shell.do(f"tallymark inc a --store '{store}?spool={shell.directory}/two.tally' 2")

    shown = shell.shown(f"{store}?spool=memory")
    assert {(): 3.0} == shown.values("a_total")


def test_a_definition_of_another_host_is_continued(redis: Redis, shell: Shell) -> None:
    """The store tells what this host does not know."""
    store = f"redis://127.0.0.1:{redis.port}/0"
    here, there = (f"{store}?spool={shell.directory}/{name}.tally" for name in ("here", "there"))
    shell.do(f"tallymark observe t --buckets 1,2 1 --store '{there}'")
    shell.do(f"tallymark observe t 3 --store '{here}'")
    ended = shell.run(f"tallymark inc t --store '{here}'")

    assert {("1.0",): 1.0, ("2.0",): 1.0, ("+Inf",): 2.0} == shell.shown(here).values("t_bucket")
    assert (1, True) == (ended.returncode, "a histogram" in ended.stderr)


def test_counted_is_counted_while_the_store_is_away(redis: Redis, shell: Shell) -> None:
    """The spool keeps it, stderr says so, and the next call sends it."""
    store = f"redis://127.0.0.1:{redis.port}/0?spool={shell.directory}/spool.tally"
    redis.kill()
    away = shell.run("tallymark inc a 2", TALLYMARK_STORE=store)
    redis.start()
    shell.do("tallymark inc a 1; tallymark drain", TALLYMARK_STORE=store)

    assert 0 == away.returncode
    assert 1 == away.stderr.count("nothing is lost")
    assert {(): 3.0} == shell.shown(store).values("a_total")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be two other users")
def test_users_of_one_group_share_a_spool(redis: Redis, shell: Shell) -> None:
    """As the manual makes it; who drains next can go on with the journal of the other."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        shutil.copy(shell.tallymark, f"{name}/tallymark")
        store = f"redis://127.0.0.1:{redis.port}/0?spool={name}/app/spool.tally"
        user = "setpriv --groups 4242 --reuid {0} --regid {0}"
        shell.do(
            f"cd {name} && install -d -g 4242 -m 2770 app"
            " && install -g 4242 -m 660 /dev/null app/spool.tally"
        )
        for number in (4243, 4244, 4243):
            count = f"{user.format(number)} {name}/tallymark inc a"
            shell.do(f"cd {name} && {count}", TALLYMARK_STORE=store)

        assert {(): 3.0} == shell.shown(f"{store.split('?')[0]}?spool=memory").values("a_total")


def test_what_nobody_keeps_is_an_error(redis: Redis, shell: Shell) -> None:
    """With a spool in memory, and no store to send it to."""
    redis.kill()
    store = f"redis://127.0.0.1:{redis.port}/0?spool=memory"
    ended = shell.run("tallymark inc a", TALLYMARK_STORE=store)

    assert 1 == ended.returncode
    assert "error: " in ended.stderr


@pytest.mark.parametrize("prefix", ["", "/push"])
def test_a_gateway_adds_what_is_counted(prefix: str, shell: Shell) -> None:
    """To gauges, too, if it is added here; wherever its paths begin."""
    flags = f"--web.listen-address 127.0.0.1:0 --web.route-prefix '{prefix}'"
    server = shell.start(f"exec tallymark serve '{shell.store}' {flags}")
    assert server.stderr
    line = next(line for line in server.stderr if "http://" in line)
    address = re.search("http://[0-9.:]+", line)
    assert address
    group = f"{address.group()}{prefix}/metrics/job/mail"

    shell.do("for i in 1 2 3; do tallymark inc --gauge queue 2; done", TALLYMARK_STORE=group)
    shell.do("tallymark inc mails; tallymark inc mails 2", TALLYMARK_STORE=group)
    shell.do("tallymark set level 5; tallymark set level 4", TALLYMARK_STORE=group)

    shown = shell.shown()
    assert [6.0] == list(shown.values("queue").values())
    assert [3.0] == list(shown.values("mails_total").values())
    assert [4.0] == list(shown.values("level").values())
