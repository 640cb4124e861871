"""The file format is what `docs/file-format.md` says it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

READER = Path(__file__).parents[2] / "docs" / "read_file.py"

PROGRAM = """
import os, signal
from tallymark import Counter, Gauge, Histogram, Summary

Counter("hits", "h", ["path"]).labels("/ü").inc(2.5)
Histogram("seconds", "h", buckets=[1, 2]).observe(1.5)
Gauge("queue", "h").set(4)
Summary("size", "h").observe(3)
if {killed}:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reader_written_from_the_page_finds_the_same_numbers(tmp_path: Path) -> None:
    """Of folded processes, and of one that was killed and not folded yet."""
    store = tmp_path / "metrics.tally"
    environment = {**os.environ, "TALLYMARK_STORE": f"file:{store}"}
    for killed in (False, False, True):
        job = [sys.executable, "-c", PROGRAM.format(killed=killed)]
        ended = subprocess.run(job, env=environment, timeout=60).returncode
        assert ended == (-signal.SIGKILL if killed else 0)

    reader = subprocess.run(
        [sys.executable, str(READER), str(store)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = sorted(reader.stdout.splitlines())

    assert lines[0] == "hits ['/ü'] [0] 7.5"
    assert lines[1].startswith("queue [] 4.0 of process ")
    assert lines[-2:] == ["seconds [] [0, 3, 0] 4.5", "size [] [3] 9.0"]
