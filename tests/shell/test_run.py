"""``tallymark run``: what it counts, and that the command is as it would be without it."""

from __future__ import annotations

import math
import re
import signal
import subprocess
import sys
import time

import pytest
from shells import Shell


def test_a_run_is_counted(shell: Shell) -> None:
    """With what it took; the times are those of its beginning and its end."""
    before = time.time()
    shell.do(
        "tallymark run --label env=test -- bash -c 'for ((i = 0; i < 100000; i++)); do :; done'"
    )
    after = time.time()

    shown = shell.shown()
    one = ("test", "bash")
    assert {one: 1.0} == shown.values("job_runs_total")
    assert {one: 1.0} == shown.values("job_duration_seconds_count")
    assert {} == shown.values("job_failures_total")
    assert before <= shown.values("job_last_run_timestamp_seconds")[one] <= after
    assert before <= shown.values("job_last_success_timestamp_seconds")[one] <= after
    seconds = shown.values("job_last_duration_seconds")[one]
    assert 0 < seconds <= after - before
    assert shown.values("job_duration_seconds_sum")[one] == seconds
    cpu = shown.values("job_cpu_seconds_total")
    assert 0 < cpu["test", "bash", "user"] + cpu["test", "bash", "system"] <= 2 * (after - before)
    assert 1e6 < shown.values("job_max_memory_bytes")[one] < 1e9


@pytest.mark.parametrize(
    ("command", "status", "reason"),
    [
        ("true", 0, None),
        ("false", 1, "exit_1"),
        ("bash -c 'exit 255'", 255, "exit_255"),
        ("bash -c 'kill -KILL $$'", -9, "signal_KILL"),
        ("bash -c 'kill -SEGV $$'", -11, "signal_SEGV"),
        ("bash -c 'kill -PIPE $$'", -13, "signal_PIPE"),
        ("bash -c 'kill -IO $$'", -29, "signal_IO"),
        ("bash -c 'kill -PWR $$'", -30, "signal_PWR"),
        ("no-such-command", 127, "not_started"),
        ("/no/such/command", 127, "not_started"),
        ("''", 127, "not_started"),
        ("/etc/passwd", 126, "not_started"),
        ("/tmp", 126, "not_started"),
    ],
)
def test_its_end_is_the_command_s_end(
    command: str, status: int, reason: str | None, shell: Shell
) -> None:
    """With the same status or by the same signal, as without it."""
    with_it = shell.run(f"exec tallymark run --job it -- {command}")
    without = shell.run(f"exec {command}")

    assert status == with_it.returncode
    # Bash itself is the one that execs nothing.
    assert command == "''" or status == without.returncode
    shown = shell.shown()
    assert {("it",): 1.0} == shown.values("job_runs_total")
    expected = {} if reason is None else {("it", reason): 1.0}
    assert expected == shown.values("job_failures_total")
    assert (status == 0) == bool(shown.values("job_last_success_timestamp_seconds"))


def test_what_ran_before_is_not_counted(shell: Shell) -> None:
    """Where a shell becomes it, whose children have used more than the command."""
    busy = "import array; array.array('b', bytes(300_000_000)); sum(range(20_000_000))"
    shell.do(f'python3 -c "{busy}"; exec tallymark run --job it -- true')

    shown = shell.shown()
    assert shown.values("job_cpu_seconds_total")["it", "user"] < 0.1
    assert math.isnan(shown.values("job_max_memory_bytes")["it",])


def test_another_child_s_death_is_not_the_command_s(shell: Shell) -> None:
    """Even by a signal that has no name; nor is it an end."""
    ended = shell.run(
        "(sleep 0.2; kill -40 $BASHPID) & exec tallymark run --job it -- bash -c 'sleep 1; exit 5'"
    )

    assert 5 == ended.returncode
    assert {("it", "exit_5"): 1.0} == shell.shown().values("job_failures_total")


def test_a_command_that_a_nameless_signal_kills_ends_with_255(shell: Shell) -> None:
    """And is counted as a failure."""
    assert 255 == shell.run("tallymark run --job it -- bash -c 'kill -40 $$'").returncode
    assert {("it", "unknown"): 1.0} == shell.shown().values("job_failures_total")


def test_no_core_file_but_the_command_s(shell: Shell) -> None:
    """Whatever the limit is: what would be in it is the wrapper."""
    ended = shell.run("ulimit -c unlimited; tallymark run -- bash -c 'ulimit -c 0; kill -SEGV $$'")

    assert -11 == ended.returncode
    assert "core dumped" not in ended.stderr
    assert [] == list(shell.directory.glob("*core*"))


def test_stdin_and_output_are_the_command_s(shell: Shell) -> None:
    """Byte by byte, and as files of their own."""
    noise = bytes(range(256)) * 4096
    (shell.directory / "noise").write_bytes(noise)

    shell.do("tallymark run -- cat < noise > copy 2> nothing")
    assert noise == (shell.directory / "copy").read_bytes()
    assert b"" == (shell.directory / "nothing").read_bytes()
    assert "to\n" == shell.do("tallymark run -- bash -c 'read a b; echo $b' ", "from to\n")
    ended = shell.run("tallymark run -- bash -c 'echo out; echo err >&2'")
    assert ("out\n", "err\n") == (ended.stdout, ended.stderr)


def test_whoever_reads_its_output_may_leave(shell: Shell) -> None:
    """The command gets its SIGPIPE, and the pipe's other end its end."""
    ended = shell.run("tallymark run -- yes | head -1; echo ${PIPESTATUS[0]}")

    assert ("y\n141\n", "") == (ended.stdout, ended.stderr)


def test_a_pipe_ends_when_the_command_closes_it(shell: Shell) -> None:
    """Not when the command ends: it holds neither stdin nor stdout."""
    script = "tallymark run -- bash -c 'exec >&-; read _ < gate' | (cat; echo > gate)"
    assert "" == shell.do(f"mkfifo gate; {script}")
    script = "(trap '' PIPE; until ! echo 2> nothing; do :; done; echo > gate)"
    command = "bash -c 'trap \"\" PIPE; exec <&-; read _ < gate'"
    assert "" == shell.do(f"{script} | tallymark run -- {command}")


def test_inherited_files_stay_open(shell: Shell) -> None:
    """Beyond stderr, too."""
    shell.do("exec 7> seven; tallymark run -- bash -c 'echo here >&7'")

    assert "here\n" == (shell.directory / "seven").read_text()


def test_nothing_else_is_open_in_the_command(shell: Shell) -> None:
    """No descriptor of its own."""
    listing = "ls /proc/self/fd"

    assert shell.do(listing) == shell.do(f"tallymark run -- {listing}")


def test_the_environment_is_left_alone(shell: Shell) -> None:
    """All of it, and what a process has besides."""
    for script in ("env | sort | grep -v ^_=", "pwd", "umask", "ulimit -a", "nice"):
        inner = script.replace("'", "'\\''")

        assert shell.do(f"bash -c '{inner}'") == shell.do(f"tallymark run -- bash -c '{inner}'")


def test_signals_are_as_they_were(shell: Shell) -> None:
    """Blocked ones, and ignored ones but for SIGPIPE, which a Rust program cannot tell."""
    masks = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"
    program = f"""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execvp("bash", ["bash", "-c", "exec $RUN {masks}"])
"""
    (shell.directory / "program.py").write_text(program)
    # Two that the C library keeps for itself are left out.
    without, with_it = (
        [int(line.split()[1], 16) & ~(0b11 << 31) for line in masks.splitlines()]
        for masks in (
            shell.do(f"{sys.executable} program.py", RUN=run) for run in ("", "tallymark run --")
        )
    )

    assert without == with_it
    assert without[0] == 1 << signal.SIGUSR1 - 1
    assert without[1] & 1 << signal.SIGHUP - 1


def test_a_script_without_a_first_line_is_run_by_sh(shell: Shell) -> None:
    """As shells do it, with its arguments."""
    script = shell.directory / "greet"
    script.write_text('echo "$0" "$@"; exit 4\n')
    script.chmod(0o755)
    ended = shell.run(f"PATH=$PATH:{shell.directory} tallymark run -- greet 'a b' c")

    assert (4, f"{script} a b c\n") == (ended.returncode, ended.stdout)
    assert {("greet", "exit_4"): 1.0} == shell.shown().values("job_failures_total")


def test_a_run_inside_a_run_is_two(shell: Shell) -> None:
    """Each counts its own, and the innermost end is everybody's."""
    ended = shell.run("tallymark run --job out -- tallymark run --job in -- bash -c 'exit 6'")

    assert 6 == ended.returncode
    assert {("out",): 1.0, ("in",): 1.0} == shell.shown().values("job_runs_total")


def test_many_runs_at_once_are_all_counted(shell: Shell) -> None:
    """None is lost."""
    shell.do("for i in {1..40}; do tallymark run --job many -- sleep 0.05 & done; wait")

    shown = shell.shown()
    assert {("many",): 40.0} == shown.values("job_runs_total")
    assert {("many",): 40.0} == shown.values("job_duration_seconds_count")


def test_closed_files_are_no_obstacle(shell: Shell) -> None:
    """It runs and counts without stdin, stdout and stderr."""
    shell.do("tallymark run --job closed -- true <&- >&- 2>&-")
    shell.do("tallymark run --job closed -- bash -c 'exit 0' <&-")

    assert {("closed",): 2.0} == shell.shown().values("job_runs_total")


def test_a_daemon_s_children_are_not_waited_for(shell: Shell) -> None:
    """What the command leaves running, it leaves running."""
    shell.do("mkfifo gate; tallymark run -- bash -c 'cat gate > got 2> nothing & exit 0'")
    shell.do("echo late > gate; until [ -s got ]; do sleep 0.01; done")

    assert {("bash",): 1.0} == shell.shown().values("job_runs_total")


def test_the_first_process_of_a_container_ends_with_a_status(shell: Shell) -> None:
    """Signals reach the command, strays are reaped; nobody can kill it from inside."""
    unshare = "unshare --user --map-root-user --pid --fork --mount-proc"
    if subprocess.run([*unshare.split(), "true"], capture_output=True).returncode:
        unshare = "unshare --pid --fork --mount-proc"
    # The stray's parent ends at once; what it says when it ends is for the first process.
    command = "((sleep 0.1; kill -TERM 1) &); exec sleep 60"
    ended = shell.run(f"{unshare} tallymark run --job first -- bash -c '{command}'")

    assert (143, "") == (ended.returncode, ended.stderr)
    assert {("first", "signal_TERM"): 1.0} == shell.shown().values("job_failures_total")


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("", ["no store", "--store"]),
        ("carrier-pigeon:coop", ["carrier-pigeon:coop", "not counted"]),
        ("memory:", ["memory:", "not counted"]),
        ("file:/no/such/directory/x.tally", ["/no/such/directory", "not counted"]),
        ("file:/etc/passwd", ["/etc/passwd", "not counted"]),
        ("redis://127.0.0.1:1/0?spool=memory", ["127.0.0.1:1", "not counted"]),
        ("http://127.0.0.1:1", ["127.0.0.1:1", "not counted"]),
        ("http://", ["http://", "not counted"]),
    ],
)
def test_the_command_runs_whatever_the_store_is(store: str, words: list[str], shell: Shell) -> None:
    """That it was not counted is said once, on stderr."""
    ended = shell.run("tallymark run -- bash -c 'echo done; exit 3'", TALLYMARK_STORE=store)

    assert (3, "done\n") == (ended.returncode, ended.stdout)
    assert 1 == ended.stderr.count("not counted")
    for word in words:
        assert word in ended.stderr


def test_a_run_is_counted_whole_or_not_at_all(shell: Shell) -> None:
    """Where a device has room for some of its metrics, too."""
    run = "tallymark run --label x=$(printf '%050000d' 1) -- true"
    ways = set()
    for more in range(0, 1000, 50):
        store = f"file:{shell.directory}/{more}.tally"
        shell.do("tallymark inc old", TALLYMARK_STORE=store)
        limit = f"ulimit -f $(($(stat -c %s {more}.tally) / 1024 + {more})); trap '' XFSZ"
        ended = shell.run(f"{limit}; {run}", TALLYMARK_STORE=store)
        shown = shell.shown(store)
        runs, memory = (shown.values(name) for name in ("job_runs_total", "job_max_memory_bytes"))
        is_told = "nothing was counted" in ended.stderr
        ways.add((is_told, len(runs), len(memory)))

        assert [0.0 if is_told else 1.0] * len(runs) == list(runs.values()), more
        assert is_told or len(memory) == 1, more
    # With room for nothing, for some, and for all.
    assert {(True, 0, 0), (True, 1, 0), (False, 1, 1)} <= ways


@pytest.mark.parametrize("dashes", ["", "-- "])
def test_options_behind_the_command_are_the_command_s(dashes: str, shell: Shell) -> None:
    """Also those that are called as its own are."""
    script = shell.directory / "-n"
    script.write_text('#!/bin/sh\necho "$@"\n')
    script.chmod(0o755)

    assert "--job a -x\n" == shell.do(f"tallymark run {dashes}echo --job a -x")
    assert "-- b\n" == shell.do("PATH=$PATH:. tallymark run -- -n -- b")


@pytest.mark.parametrize(
    "arguments",
    [
        "--label job=x -- true",
        "--label x -- true",
        "--label x=1 --label x=2 -- true",
        "--lable env=prod -- true",
        "",
        "--job x --",
    ],
)
def test_what_is_not_understood_is_not_run(arguments: str, shell: Shell) -> None:
    """With 2, before anything happens."""
    ended = shell.run(f"tallymark run {arguments}")

    assert (2, "") == (ended.returncode, ended.stdout)
    assert re.search("lab|COMMAND", ended.stderr)
    assert not (shell.directory / "metrics.tally").exists()
