"""`tallymark top` on a real terminal, by tmux."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from looking import PATIENCE, Looker, Program
from servers import wait_until

COUNTED = """
jobs = Counter("jobs", "Jobs done.", ["queue"])
jobs.labels("mail").inc(3)
jobs.labels("backup").inc(1)
Gauge("room_bytes", "Room.").set(2048)
"""


class Terminal:
    """A terminal of 100 columns and 20 lines, in which something runs."""

    def __init__(self, socket: Path, command: str) -> None:
        program = shutil.which("tmux")
        assert program, "no tmux on PATH: run scripts/debian tmux"
        self._tmux = [program, "-S", str(socket), "-f", "/dev/null"]
        self._do("new-session", "-d", "-x", "100", "-y", "20", command)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux' names for them."""
        self._do("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """Make it another size."""
        self._do("resize-window", "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        """Give what it shows."""
        return self._do("capture-pane", "-p")

    def wait_for(self, *words: str) -> str:
        """Wait until all of these are shown, and give the screen."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            if all(word in screen for word in words):
                return screen
            assert time.monotonic() < deadline, f"no {words} in:\n{screen}"
            time.sleep(0.05)

    def close(self) -> None:
        """End it, with what runs in it."""
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, timeout=PATIENCE)

    def _do(self, *words: str) -> str:
        ended = subprocess.run(
            [*self._tmux, *words], check=True, capture_output=True, text=True, timeout=PATIENCE
        )
        return ended.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    """Makes terminals: of a command."""
    made: list[Terminal] = []

    def make(command: str) -> Terminal:
        made.append(Terminal(tmp_path / f"tmux-{len(made)}", command))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_is_counted_is_seen_to_move(
    look: Looker,
    program: Callable[..., Program],
    terminal: Callable[[str], Terminal],
) -> None:
    """Keys filter, show a family's series, help and quit; a smaller screen will do."""
    counting = program(look.url, COUNTED)
    # C.UTF-8, so that the past is drawn by bars.
    top = f"LC_ALL=C.UTF-8 {look.command} top {look.url} --interval 0.2"
    # What has ended tmux knows at once, how it ended at times never.
    seen = terminal(f"{top}; echo ended $?; sleep 600")

    screen = seen.wait_for("jobs_total", "2.0 KiB", "▁", "/s")
    assert "reading" not in screen
    counting.tell("jobs.labels('mail').inc(1000)")
    seen.wait_for("1,004")

    seen.press("/", "j", "o", "b", "s", "Enter")
    screen = seen.wait_for("filter jobs")
    assert "room_bytes" not in screen
    seen.press("Enter")
    screen = seen.wait_for("jobs_total (counter), 2 series", 'queue="mail"')
    seen.press("Space")
    seen.wait_for("PAUSED")
    seen.resize(40, 8)
    seen.wait_for("jobs_total (counter)", "queue=")
    seen.resize(100, 20)
    seen.press("?")
    seen.wait_for("turn the order around")
    seen.press("x", "q")

    seen.wait_for("ended 0")


@pytest.mark.parametrize("signal", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(
    signal: int,
    look: Looker,
    program: Callable[..., Program],
    terminal: Callable[[str], Terminal],
    tmp_path: Path,
) -> None:
    """Echo is on again, and the lines of before are there."""
    program(look.url, COUNTED).end()
    pid = tmp_path / "pid"
    script = tmp_path / "script"
    script.write_text(
        f"echo before; sh -c 'echo $$ > {pid}; exec {look.command} top {look.url}'\n"
        "stty -a; echo after; sleep 600\n"
    )
    seen = terminal(f"sh {script}")
    seen.wait_for("jobs_total")
    os.kill(int(pid.read_text()), signal)

    screen = seen.wait_for("before", "after")
    assert " echo " in screen
    assert "-icanon" not in screen


def test_it_ends_with_its_terminal(
    look: Looker,
    program: Callable[..., Program],
    terminal: Callable[[str], Terminal],
    tmp_path: Path,
) -> None:
    """Nobody is left who could press a key."""
    program(look.url, COUNTED).end()
    pid = tmp_path / "pid"
    script = tmp_path / "script"
    script.write_text(f"echo $$ > {pid}; exec {look.command} top {look.url}")
    seen = terminal(f"exec sh {script}")
    seen.wait_for("jobs_total")
    seen.close()

    running = Path(f"/proc/{pid.read_text().strip()}")
    wait_until(lambda: not running.exists(), "it has ended")


def test_without_a_terminal_show_is_the_command(look: Looker) -> None:
    """And the error says so."""
    run = look("top", look.url)

    assert (run.code, run.out) == (1, "")
    assert "tallymark show" in run.err
