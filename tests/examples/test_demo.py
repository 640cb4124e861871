"""The demo: it succeeds where every total is right, and it notices where one is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent.parent / "scripts" / "demo.py"


def run_demo(
    state: Path, environment: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    """Runs the driver alone: `scripts/demo` would build what is being tested once more."""
    return subprocess.run(
        [sys.executable, str(DEMO), "--once", "--state", str(state), *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_all_totals_of_the_demo_are_right(tmp_path: Path) -> None:
    """Every worker and every one of the fifty jobs is in the totals, exactly once."""
    done = run_demo(tmp_path, dict(os.environ))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "every total is right" in done.stdout
    assert "OFF" not in done.stdout


def test_the_demo_fails_where_totals_do_not_add_up(tmp_path: Path) -> None:
    """The official client in our place: each process knows only itself, and the demo says so."""
    (tmp_path / "tallymark.py").write_text(
        "import sys, prometheus_client\nsys.modules[__name__] = prometheus_client\n"
    )

    official = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run_demo(tmp_path / "state", official, "--requests", "200")

    assert 1 == done.returncode, done.stdout + done.stderr
    assert "NOT every total is right" in done.stdout
