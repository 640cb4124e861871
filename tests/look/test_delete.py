"""`tallymark delete` forgets what was asked for, everywhere, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from looking import Looker, Program
from servers import Redis

COUNTED = """
jobs = Counter("jobs", "Jobs done.", ["queue"])
for queue in ("mail", "backup", "a\\"b\\n"):
    jobs.labels(queue).inc(3)
length = Gauge("length", "Waiting.", ["queue"], multiprocess_mode="all")
length.labels("mail").set(5)
Histogram("wait_seconds", "Time.").observe(1)
"""


def test_without_yes_it_only_shows(look: Looker, program: Callable[..., Program]) -> None:
    """The series are on stdout, what would happen is on stderr."""
    program(look.url, COUNTED).end()

    run = look("delete", look.url, "--match", 'jobs{queue!="mail"}')

    assert (run.code, run.err) == (0, "2 series would be deleted; say --yes to do it\n")
    assert sorted(run.out.splitlines()) == [
        r'jobs_total{queue="a\"b\n"}',
        'jobs_total{queue="backup"}',
    ]
    assert len(look.values("jobs")) == 3


def test_a_program_that_goes_on_starts_from_zero(
    look: Looker, program: Callable[..., Program]
) -> None:
    """What ended programs had counted is gone, too."""
    program(look.url, COUNTED).end()
    running = program(look.url, COUNTED)

    look.ok("delete", look.url, "--match", '{queue="mail"}', "--yes")

    assert look.values("jobs") == {"backup": 6, 'a"b\n': 6}
    assert look.values("length") == {}
    running.tell("jobs.labels('mail').inc()")
    assert look.values("jobs")["mail"] == 1


def test_a_whole_family_goes_by_its_name(look: Looker, program: Callable[..., Program]) -> None:
    """Whatever its type."""
    program(look.url, COUNTED).end()

    look.ok("delete", look.url, "--match", "wait_seconds", "--match", "jobs_total", "--yes")

    names = [
        family["name"] for family in look.json("show", look.url)["families"] if family["series"]
    ]
    assert [name for name in names if not name.startswith("tallymark_")] == ["length"]


def test_a_name_s_end_means_the_types_that_have_it(
    look: Looker, program: Callable[..., Program]
) -> None:
    """Counters have no buckets."""
    program(look.url, COUNTED).end()

    shown = look.ok("delete", look.url, "--match", '{__name__=~".*_bucket"}')

    assert shown == "wait_seconds\n"


def test_what_does_not_fit_is_an_error(look: Looker, program: Callable[..., Program]) -> None:
    """So that a slip of the pen is noticed; what is no selector is not understood."""
    program(look.url, COUNTED).end()

    assert look("delete", look.url, "--match", "hobs", "--yes").code == 1
    for wrong in ("jobs{", "jobs{queue=mail}", "", '{queue!="mail"}', '{__name__=~".*"}'):
        assert look("delete", look.url, "--match", wrong, "--yes").code == 2
    assert look("delete", look.url).code == 2
    assert len(look.values("jobs")) == 3


def test_other_hosts_forget_it_too(
    look: Looker, program: Callable[..., Program], redis: Redis, tmp_path: Path
) -> None:
    """Their programs start from zero; series that are not meant keep what they had."""
    here, there = (
        f"redis://127.0.0.1:{redis.port}/0?spool={tmp_path}/{host}.tally&instance={host}"
        for host in ("here", "there")
    )
    program(here, COUNTED).end()
    running = program(there, COUNTED)
    look.ok("drain", there)
    assert look.values("jobs", here)["mail"] == 6

    look.ok("delete", here, "--match", 'jobs{queue="mail"}', "--yes")
    look.ok("drain", there)
    running.tell("jobs.labels('mail').inc()")
    look.ok("drain", there)

    assert look.values("jobs", here) == {"mail": 1, "backup": 6, 'a"b\n': 6}


@pytest.mark.parametrize("empty", ["", "@base64/="])
def test_empty_labels_need_not_be_named(
    look: Looker, serve: Callable[[str], str], empty: str
) -> None:
    """A group goes whether it was pushed with them or not, and whether they are named or not."""
    look.ok("inc", "anything", "--store", look.url)
    address = serve(look.url)
    pushed = "/metrics/job/night" + (empty and f"/instance{empty}")
    named = [] if empty else ["--group", "instance="]
    urlopen(Request(address + pushed, b"lines_read 5\n", method="PUT"), timeout=60).close()

    look.ok("delete", look.url, "--group", "job=night", *named, "--yes")

    assert look.values("lines_read") == {}


@pytest.mark.parametrize("labels", [{"job": "night"}, {"job": "a/b c", "instance": "é"}])
def test_a_pushed_group_goes_by_its_labels(
    look: Looker, serve: Callable[[str], str], labels: dict[str, str]
) -> None:
    """And only the one that has these and no others."""
    look.ok("inc", "anything", "--store", look.url)
    address = serve(look.url)
    paths = {"night": "job/night", "a/b c": "job@base64/YS9iIGM/instance/%C3%A9"}
    for path in (*paths.values(), "job/night/instance/other"):
        push = Request(f"{address}/metrics/{path}", b"lines_read 5\n", method="PUT")
        urlopen(push, timeout=60).close()
    group = [word for name, value in labels.items() for word in ("--group", f"{name}={value}")]

    run = look("delete", look.url, *group)
    assert (run.code, run.err) == (0, "1 group would be deleted; say --yes to do it\n")
    assert len(look.values("lines_read")) == 3
    look.ok("delete", look.url, *group, "--yes")

    shown = look.json("show", look.url, "--name", "lines_read")["families"][0]["series"]
    left = [one["labels"] for one in shown]
    assert len(left) == 2
    assert {k: v for k, v in labels.items() if v} not in [
        {k: v for k, v in one.items() if v} for one in left
    ]
    assert look("delete", look.url, *group, "--yes").code == 1
