"""Processes that share ``PROMETHEUS_MULTIPROC_DIR`` come to the same exposition on both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import importlib, sys
package, number = sys.argv[1], float(sys.argv[2])
client = importlib.import_module(package)
multiprocess = importlib.import_module(package + ".multiprocess")
counter = client.Counter("jobs", "Jobs done.", ["queue"])
counter.labels("mail").inc(number, exemplar={"trace": "1"})
counter.labels("print").inc()
client.Counter("lonely", "No labels.", unit="bytes").inc(0.5)
histogram = client.Histogram("latency", "Latency.", buckets=(1, 2.5))
histogram.observe(number)
client.Histogram("size", "Size.", ["kind"], buckets=(1,)).labels("a").observe(number)
client.Summary("wait", "Wait.").observe(number)
for mode in ("min", "max", "sum", "mostrecent", "livemin", "livemax", "livesum", "livemostrecent"):
    client.Gauge(mode + "_of", "Gauge.", multiprocess_mode=mode).set(number)
client.Gauge("each_of", "Gauge.", ["room"]).labels("hall").set(number)
if len(sys.argv) > 3:
    registry = client.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    encode, _ = importlib.import_module(package + ".exposition").choose_encoder(sys.argv[3])
    sys.stdout.buffer.write(encode(registry))
else:
    import os
    multiprocess.mark_process_dead(os.getpid())
"""


def families(package: str, directory: Path, accept: str) -> dict[str, list[str]]:
    """Three processes, one after the other; the last one shows all. Its lines by family."""
    directory.mkdir()
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}
    environment.pop("TALLYMARK_STORE", None)
    for arguments in (["1"], ["3"], ["2", accept]):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, package, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    blocks: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("# HELP "):
            lines = blocks.setdefault(line.split(" ")[2], [])
        if line != "# EOF":
            lines.append(line)
    return {name: lines for name, lines in blocks.items() if not name.startswith("tallymark_")}


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
def test_the_collector_shows_the_same(accept: str, tmp_path: Path) -> None:
    """Every type and mode, after two processes have ended; children may stand in another order."""
    theirs = families("prometheus_client", tmp_path / "theirs", accept)
    ours = families("tallymark", tmp_path / "ours", accept)

    assert theirs.keys() == ours.keys()
    # Process ids differ from run to run.
    assert [3, 3] == [sum("hall" in line for line in it.pop("each_of")) for it in (theirs, ours)]
    # Theirs loses the unit on the way.
    assert (
        "# UNIT lonely_bytes bytes"
        not in theirs["lonely_bytes_total" if "plain" in accept else "lonely_bytes"]
    )
    for lines in ours.values():
        lines[:] = [line for line in lines if not line.startswith("# UNIT")]
    for name in theirs:
        labelled = any("{queue=" in line or "{kind=" in line for line in theirs[name])

        assert (sorted if labelled else list)(theirs[name]) == (sorted if labelled else list)(
            ours[name]
        )
