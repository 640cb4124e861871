"""`tallymark doctor` tells how a store is doing and leaves it alone; `gc` tidies it up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from looking import Looker, Program
from servers import Redis

COUNTED = 'jobs = Counter("jobs", "Jobs done."); jobs.inc(3)'


def test_the_living_and_the_dead_are_told_apart(
    look: Looker, program: Callable[..., Program], tmp_path: Path
) -> None:
    """Looking does not add the dead up; gc does, and no number changes."""
    living = program(look.url, COUNTED)
    dead = program(look.url, COUNTED)
    dead.kill()
    before = (tmp_path / "metrics.tally").read_bytes()

    said = look.json("doctor", look.url)

    assert (tmp_path / "metrics.tally").read_bytes() == before
    found = {one["pid"]: one["live"] for one in said["processes"]}
    assert found == {living.pid: True, dead.pid: False}
    assert (said["folded"], said["warnings"]) == (0, [])

    done = look.json("gc", look.url)
    assert (done["added_up"], done["left"]) == (1, 0)
    assert done["freed_bytes"] > 0
    said = look.json("doctor", look.url)
    assert [one["pid"] for one in said["processes"]] == [living.pid]
    assert look.values("jobs") == {"": 6}


def test_all_is_well_where_it_is(look: Looker, program: Callable[..., Program]) -> None:
    """With the exit code 0."""
    program(look.url, COUNTED).end()

    assert look.ok("doctor", look.url).endswith("\nall is well\n")


def test_a_name_with_two_types_wants_looking_after(
    look: Looker, program: Callable[..., Program]
) -> None:
    """With the exit code 1."""
    first = program(look.url, COUNTED)
    program(look.url, 'Gauge("jobs", "Jobs waiting.").set(1)')

    run = look("doctor", look.url)

    assert (run.code, run.err) == (1, "error: 1 thing to look after\n")
    assert "warning: jobs is declared as counter (1 series) and gauge (1 series)" in run.out or (
        "warning: jobs is declared as gauge (1 series) and counter (1 series)" in run.out
    )
    first.kill()


def test_a_store_that_is_away_is_said_to_be(
    look: Looker, program: Callable[..., Program], redis: Redis, tmp_path: Path
) -> None:
    """And how much waits for it."""
    url = f"redis://127.0.0.1:{redis.port}/0?spool={tmp_path}/spool.tally"
    counting = program(url, COUNTED)
    look.ok("drain", url)
    well = look.json("doctor", url)
    assert (well["shared"]["reachable"], well["shared"]["series"], well["warnings"]) == (
        True,
        1,
        [],
    )

    redis.kill()
    counting.tell("jobs.inc()")
    look("drain", url, "--timeout", "1")
    said = look.json("doctor", url)

    assert said["shared"]["reachable"] is False
    assert (said["series"], said["shared"]["backlog_series"]) == (1, 1)
    assert len(said["warnings"]) == 2, said["warnings"]
    assert look("doctor", url).code == 1


def test_no_store_is_an_error_and_none_is_made(look: Looker, tmp_path: Path) -> None:
    """By neither of the two."""
    for command in ("doctor", "gc"):
        run = look(command, look.url)

        assert (run.code, run.out) == (1, "")
        assert "No such file" in run.err
    assert list(tmp_path.iterdir()) == []
