"""What ``tallymark run`` adds to a job, and what one ``tallymark inc`` takes.

    cargo build --release -p tallymark-cli
    python3 bench/shell target/release/tallymark

Each row takes turns with ``true`` by itself, so that a busy machine slows both. Figures are
medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 200


def milliseconds(command: list[str], store: str) -> float:
    """Run a command once; give how long that took."""
    environment = {**os.environ, "TALLYMARK_STORE": store}
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - begin)


def main(tallymark: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        new, old, large = (f"file:{directory}/{name}.tally" for name in ("new", "old", "large"))
        for i in range(2_000):
            command = [tallymark, "inc", "many", f"i={i}", "--store", large]
            subprocess.run(command, check=True)
        away = f"redis://127.0.0.1:1/0?spool={directory}/spool.tally"
        rows = [
            ("run, a file", [tallymark, "run", "--", "true"], old),
            ("run, a file with 2,000 series", [tallymark, "run", "--", "true"], large),
            ("run, Redis that is away", [tallymark, "run", "--", "true"], away),
            ("inc, a file", [tallymark, "inc", "jobs"], new),
            ("inc, a file with 2,000 series", [tallymark, "inc", "jobs"], large),
        ]
        times: dict[str, list[float]] = {name: [] for name, _, _ in rows}
        alone: list[float] = []
        for _ in range(ROUNDS):
            for name, command, store in rows:
                alone.append(milliseconds(["true"], store))
                times[name].append(milliseconds(command, store))
    bare = statistics.median(alone)
    print(f"| median of {ROUNDS}, ms | takes | more than `true` |\n|---|---|---|")
    print(f"| `true` by itself | {bare:.2f} | |")
    for name, took in times.items():
        median = statistics.median(took)
        print(f"| {name} | {median:.2f} | {median - bare:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1])
