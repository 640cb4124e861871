"""``tallymark run`` between a command and who sends it signals: processes, and terminals."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from host import PATIENCE
from servers import wait_until
from shells import Shell

# Says which signals it gets, until it is told to end: to stdout, or to the file that it is given.
LISTENER = """
import os, signal, sys, time

to = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT) if sys.argv[1:] else 1
tell = lambda number, _: os.write(to, signal.Signals(number).name[3:].encode() + b"\\n")
for name in "INT QUIT HUP TERM USR1 USR2 WINCH ALRM CONT".split():
    signal.signal(getattr(signal, "SIG" + name), tell)
os.write(1, f"ready {os.getpid()}\\n".encode())
while not os.path.exists("end"):
    time.sleep(0.02)
"""


@pytest.fixture
def listener(shell: Shell) -> subprocess.Popen[str]:
    """A command that says which signals it gets, run by the process whose id this has."""
    (shell.directory / "listener").write_text(LISTENER)
    process = shell.start("exec tallymark run --job it -- python3 listener")
    assert process.stdout
    assert process.stdout.readline().startswith("ready ")
    return process


@pytest.mark.parametrize("name", ["INT", "QUIT", "HUP", "TERM", "USR1", "USR2", "WINCH", "CONT"])
def test_what_a_process_sends_is_sent_on(
    name: str, listener: subprocess.Popen[str], shell: Shell
) -> None:
    """Once, and the command's answer to it decides."""
    assert listener.stdout
    listener.send_signal(getattr(signal, f"SIG{name}"))

    assert f"{name}\n" == listener.stdout.readline()
    (shell.directory / "end").touch()
    assert ("", 0) == (listener.communicate(timeout=PATIENCE)[0], listener.returncode)
    assert {("it",): 1.0} == shell.shown().values("job_runs_total")


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "KILL"])
def test_a_command_that_a_signal_ends_is_the_end_of_both(name: str, shell: Shell) -> None:
    """Of the same signal; SIGKILL of the command too."""
    process = shell.start("exec tallymark run --job it -- bash -c 'echo $$; exec sleep 60'")
    assert process.stdout
    command = int(process.stdout.readline())
    number = getattr(signal, f"SIG{name}")
    os.kill(command if name == "KILL" else process.pid, number)

    assert -number == process.wait(PATIENCE)
    assert {("it", f"signal_{name}"): 1.0} == shell.shown().values("job_failures_total")


def test_timeout_ends_it_as_it_ends_the_command(shell: Shell) -> None:
    """With its own status, and the run is counted."""
    ended = shell.run("timeout 0.3 tallymark run --job slow -- sleep 60")

    assert (124, "") == (ended.returncode, ended.stderr)
    assert {("slow", "signal_TERM"): 1.0} == shell.shown().values("job_failures_total")


def test_an_alarm_that_was_set_before_reaches_the_command(shell: Shell) -> None:
    """As it does where a program sets one and becomes the command."""
    alarm = "import os, signal, sys; signal.alarm(1); os.execvp(sys.argv[1], sys.argv[1:])"
    ended = shell.run(f"exec python3 -c '{alarm}' tallymark run -- sleep 60")

    assert -signal.SIGALRM == ended.returncode


def test_what_the_command_tells_its_parent_is_not_told_back(shell: Shell) -> None:
    """It would end itself."""
    script = "kill -USR1 $PPID; kill -TERM $PPID; sleep 0.1; echo alive"

    assert "alive\n" == shell.do(f"tallymark run -- bash -c '{script}'")


def test_nohup_stays_in_force(shell: Shell) -> None:
    """The command ignores SIGHUP, and so does what runs it."""
    process = shell.start("exec nohup tallymark run -- bash -c 'echo up; read _; echo still'")
    assert process.stdout and process.stdin
    assert "up\n" == process.stdout.readline()
    process.send_signal(signal.SIGHUP)

    # Standard input is no terminal, so nohup leaves it.
    assert "still\n" == process.communicate("\n", timeout=PATIENCE)[0]


class Terminal:
    """A terminal with an interactive bash, or another program."""

    def __init__(self, shell: Shell, *program: str) -> None:
        program = program or ("bash", "--norc", "-i")
        self._master: int | None
        child, self._master = pty.fork()
        if child == 0:
            os.chdir(shell.directory)
            os.execvpe(program[0], program, shell.environment(PS1="$ ", TERM="dumb"))
        self.pid = child
        self._text = ""

    def type(self, keys: str) -> None:
        """Type keys."""
        assert self._master is not None
        os.write(self._master, keys.encode())

    def expect(self, pattern: str) -> str:
        """Wait until this is shown after all that was waited for before."""
        assert self._master is not None
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self._text)):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self._text!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._text += os.read(self._master, 4096).decode()
        self._text = self._text[found.end() :]
        return found.group()

    def hang_up(self) -> None:
        """End the terminal, not the program."""
        if self._master is not None:
            os.close(self._master)
            self._master = None

    def close(self) -> None:
        """End both, and all that was started from it: some commands here heed no signal."""
        self.hang_up()
        for process in _of_session(self.pid):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _of_session(leader: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # Behind the name, which may have anything in it: state, parent, group, session.
            if stat.read_text().rpartition(")")[2].split()[3] == str(leader):
                yield int(stat.parent.name)


@pytest.fixture
def terminal(shell: Shell) -> Iterator[Callable[..., Terminal]]:
    """Opens terminals."""
    made: list[Terminal] = []

    def make(*program: str) -> Terminal:
        made.append(Terminal(shell, *program))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_ctrl_c_reaches_the_command_once(terminal: Callable[..., Terminal], shell: Shell) -> None:
    """The terminal sends it to both, and what runs the command keeps it to itself."""
    (shell.directory / "listener").write_text(LISTENER)
    here = terminal("tallymark", "run", "--", "python3", "listener")
    here.expect(r"ready \d+")
    # So that it would come when the command is through with the first one.
    os.kill(here.pid, signal.SIGSTOP)
    here.type("\x03")
    here.expect(r"INT\r\n")
    os.kill(here.pid, signal.SIGCONT)

    assert "INT" not in here.expect(r"(?s).*CONT\r\n")


def test_a_hang_up_reaches_the_command(terminal: Callable[..., Terminal], shell: Shell) -> None:
    """Of a terminal whose first process it is: nobody else is told."""
    (shell.directory / "listener").write_text(LISTENER)
    here = terminal("tallymark", "run", "--job", "it", "--", "python3", "listener", "got")
    here.expect(r"ready \d+")
    here.hang_up()

    deadline = time.monotonic() + PATIENCE
    got = shell.directory / "got"
    while not (got.exists() and "HUP\n" in got.read_text()):
        assert time.monotonic() < deadline, "not told"
        time.sleep(0.01)
    (shell.directory / "end").touch()


def test_counting_that_hangs_can_be_ended(shell: Shell) -> None:
    """Then the end is the command's."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = shell.start(
            "exec tallymark run -- bash -c 'kill -USR1 $$'", TALLYMARK_STORE=address
        )
        silent.settimeout(PATIENCE)
        connection, _ = silent.accept()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=PATIENCE)
        connection.close()

    assert -signal.SIGUSR1 == process.returncode
    assert "ended by a signal" in told


def test_ctrl_c_ends_what_does_not_mind(terminal: Callable[..., Terminal], shell: Shell) -> None:
    """With the status that shells have for it."""
    here = terminal()
    here.type("tallymark run --job it -- bash -c 'echo rea''dy; exec sleep 60'\n")
    here.expect(r"ready\r\n")
    here.type("\x03")
    here.expect(r"\$ ")
    here.type("echo status $?\n")
    here.expect(r"status 130")

    assert {("it", "signal_INT"): 1.0} == shell.shown().values("job_failures_total")


def test_a_job_is_stopped_and_goes_on(terminal: Callable[..., Terminal], shell: Shell) -> None:
    """Ctrl-Z, then ``fg``: both processes stop, and both go on."""
    here = terminal()
    here.type("tallymark run --job it -- bash -c 'echo rea''dy; read x; echo got $x'\n")
    here.expect(r"ready\r\n")
    here.type("\x1a")
    here.expect(r"Stopped")
    here.type("ps -o stat= -o args= | grep -c '^T.*rea''dy'\n")
    here.expect(r"\r\n2\r\n")
    here.type("fg\n")
    here.expect(r"rea''dy.*\r\n")
    here.type("it\n")

    here.expect(r"got it\r\n")
    here.type("echo coun''ted\n")
    here.expect("counted")
    assert {("it",): 1.0} == shell.shown().values("job_runs_total")
    assert {} == shell.shown().values("job_failures_total")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _state(pid) == "T", "it has stopped")
    # What runs it is told at once; it takes more than a moment for nothing to come of that.
    time.sleep(0.3)


def test_who_stops_the_command_alone_lets_it_go_on_alone(shell: Shell) -> None:
    """Of what runs it, under cron, nobody may know."""
    process = shell.start("exec tallymark run -- bash -c 'echo $$; read x; exit 3'")
    assert process.stdout
    command = int(process.stdout.readline())
    _stop(command)
    assert "T" != _state(process.pid)
    os.kill(command, signal.SIGCONT)

    process.communicate("on\n", timeout=PATIENCE)
    assert 3 == process.returncode


def test_a_command_of_a_script_is_stopped_alone(terminal: Callable[..., Terminal]) -> None:
    """Where there is a terminal, but it was not the terminal that stopped it."""
    script = "tallymark run -- bash -c 'echo $$ is it; read x; exit 3'; echo status $?"
    here = terminal("bash", "-c", script)
    command = int(here.expect(r"\d+ is it\r\n").split()[0])
    _stop(command)
    os.kill(command, signal.SIGCONT)
    here.type("on\n")

    here.expect("status 3")


def test_a_job_may_tidy_up_before_it_stops(terminal: Callable[..., Terminal], shell: Shell) -> None:
    """It catches what the terminal sends, and then stops itself by SIGSTOP."""
    (shell.directory / "tidy").write_text(
        "import os, signal, time\n"
        "def stop(*_):\n"
        "    time.sleep(0.2)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "signal.signal(signal.SIGTSTP, stop)\n"
        "print('ready', flush=True)\n"
        "print('got', input())\n"
    )
    here = terminal()
    here.type("tallymark run -- python3 tidy\n")
    here.expect(r"ready\r\n")
    here.type("\x1a")
    here.expect(r"Stopped")
    here.type("fg\n")
    # Bash has said that of the stopped job, too.
    here.expect(r"fg\r\ntallymark run -- python3 tidy\r\n")
    here.type("it\n")

    here.expect(r"got it\r\n")


def test_a_password_can_be_asked_for(terminal: Callable[..., Terminal]) -> None:
    """The command is in the terminal's foreground, and may turn its echo off."""
    here = terminal()
    here.type("tallymark run -- bash -c 'read -s -p \"who? \" x < /dev/tty; echo; echo [$x]'\n")
    here.expect(r"\r\nwho\? ")
    here.type("secret\n")

    assert "[secret]" in here.expect(r"(?s).*\[secret\]")
