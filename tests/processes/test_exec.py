"""``python -m tallymark exec``: programs that know the official client only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import tallymark
from host import PATIENCE, Host, clean_environment
from web import Gunicorn

EXEC = [sys.executable, "-m", "tallymark", "exec"]

# What a program below `exec` can see of it.
LOOK = """
import json, os, sys
import prometheus_client
print(json.dumps({
    "name": prometheus_client.__name__,
    "pid": os.getpid(),
    "store": os.environ.get("TALLYMARK_STORE"),
    "PYTHONPATH": os.environ.get("PYTHONPATH"),
    "path": sys.path,
    "arguments": sys.argv[1:],
    "customized": getattr(sys.modules.get("sitecustomize"), "CUSTOMIZED", None),
}))
"""


def run(
    command: list[str], directory: Path, **names: str
) -> tuple[subprocess.Popen[str], str, str]:
    """Run a command to its end; give it with its output and its errors."""
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**clean_environment(), **names},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    return process, output, errors


APP = """
import os
from flask import Flask
from prometheus_client import Counter, Histogram, generate_latest

REQUESTS = Counter("requests", "Requests.", ["page"])
SECONDS = Histogram("seconds", "Seconds.", buckets=[1])
app = Flask(__name__)

@app.get("/")
@SECONDS.time()
def home():
    REQUESTS.labels("home").inc()
    return str(os.getpid())
"""


def test_gunicorn_with_an_unchanged_application_adds_up_its_workers(host: Host) -> None:
    """Two workers at a time, replaced while they count, one store."""
    host.prefix = [*EXEC, "--store", f"file:{host.directory}/exec.tally", "--"]
    server = Gunicorn(host, APP, "workers = 2\nmax_requests = 30\n")
    server.load(160)
    found = host.scrape()
    server.stop()

    assert 0 == server.unanswered
    assert len(server.answered) > 2, "workers were recycled"
    assert {("home",): 160} == found.values("requests_total")
    assert 160 == found.value("seconds_count")
    assert not host.store.exists(), "the option comes before the variable"


def test_pytest_runs_an_unchanged_suite(tmp_path: Path) -> None:
    """Plugins and conftest files come before the tests, and before anything of ours."""
    (tmp_path / "conftest.py").write_text("from prometheus_client import Counter\n")
    (tmp_path / "test_app.py").write_text(
        "import conftest\n"
        "from prometheus_client.metrics import Counter\n"
        "def test_one(monkeypatch):\n"
        "    assert Counter is conftest.Counter and hasattr(Counter, 'inc')\n"
        "    monkeypatch.setattr('prometheus_client.metrics._use_created', False)\n"
        "    import tallymark.metrics\n"
        "    assert tallymark.metrics._use_created is False\n"
    )
    command = [*EXEC, "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    process, output, errors = run([*command, "-W", "error", "."], tmp_path)

    assert "1 passed" in output, output + errors
    assert 0 == process.returncode


@pytest.mark.parametrize("dashes", [["--"], []])
def test_the_process_becomes_the_command(tmp_path: Path, dashes: list[str]) -> None:
    """The same process, with all arguments, and with no signal ignored that was not before."""
    command = [sys.executable, "-c", LOOK, "--store", "x", "--", "-h"]
    process, output, errors = run(
        [*EXEC, "--store", "memory:", *dashes, *command], tmp_path, PYTHONPATH="/not/there"
    )

    assert ("", 0) == (errors, process.returncode)

    seen = json.loads(output)

    assert "tallymark" == seen["name"]
    assert process.pid == seen["pid"]
    assert "memory:" == seen["store"]
    assert ["--store", "x", "--", "-h"] == seen["arguments"]
    assert "/not/there" == seen["PYTHONPATH"], "the .pth file does it all"


def test_signals_that_python_ignores_end_the_command_as_ever(tmp_path: Path) -> None:
    """A writer whose reader has gone dies of it; Python, which does not, must not hand that on."""
    process, output, errors = run([*EXEC, "--", "sh", "-c", "kill -PIPE $$; echo alive"], tmp_path)

    assert ("", "") == (output, errors)
    assert -signal.SIGPIPE == process.returncode


@pytest.mark.parametrize("status", [0, 7])
def test_the_status_is_the_commands(tmp_path: Path, status: int) -> None:
    """Whatever it is."""
    process, _, errors = run([*EXEC, "--", "sh", "-c", f"exit {status}"], tmp_path)

    assert ("", status) == (errors, process.returncode)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "usage: python -m tallymark"),
        (["exec"], 2, "usage: python -m tallymark exec"),
        (["exec", "--"], 2, "no COMMAND"),
        (["exec", "--store"], 2, "--store"),
        (["nonsense"], 2, "nonsense"),
        (["exec", "--", "no-such-command"], 127, "no-such-command: no such command"),
        (["exec", "--", "./text"], 126, "./text: Permission denied"),
    ],
)
def test_what_cannot_be_run_is_said_on_stderr(
    tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    """With the status that a shell would give."""
    (tmp_path / "text").write_text("no program\n")
    process, output, errors = run([sys.executable, "-m", "tallymark", *arguments], tmp_path)

    assert (status, "") == (process.returncode, output)
    assert says in errors


@pytest.mark.parametrize("command", [[], ["exec"]])
def test_help_has_examples(tmp_path: Path, command: list[str]) -> None:
    """On stdout, since it was asked for."""
    process, output, errors = run([sys.executable, "-m", "tallymark", *command, "--help"], tmp_path)

    assert (0, "") == (process.returncode, errors)
    assert "python -m tallymark exec -- gunicorn" in output


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python that has nothing installed: its folders hold no ``.pth`` file."""
    venv.create(tmp_path / "bare", symlinks=True)
    return tmp_path / "bare" / "bin" / "python"


def test_packages_on_pythonpath_are_enough(tmp_path: Path, bare_python: Path) -> None:
    """Where no ``.pth`` file is read, also for the programs that a program starts."""
    packages = [Path(tallymark.__file__).parent.parent, Path(sysconfig.get_path("purelib"))]
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "sitecustomize.py").write_text("CUSTOMIZED = 'yes'\n")
    path = os.pathsep.join(map(str, [custom, *packages]))
    command = [str(bare_python), "-m", "tallymark", "exec", "--", "sh", "-c", '"$0" -c "$1"; true']
    process, output, errors = run([*command, str(bare_python), LOOK], tmp_path, PYTHONPATH=path)

    assert ("", 0) == (errors, process.returncode)

    seen = json.loads(output)

    assert "tallymark" == seen["name"]
    assert "yes" == seen["customized"], "a sitecustomize of the program's own is still run"
    assert not [one for one in seen["path"] if "_startup" in one]
    assert seen["PYTHONPATH"].endswith(path)


def test_a_tallymark_found_in_the_working_directory_is_the_one_below_too(
    tmp_path: Path, bare_python: Path
) -> None:
    """A program elsewhere, which would not find it by itself."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    here = Path(tallymark.__file__).parent.parent
    (elsewhere / "look.py").write_text(LOOK)
    command = [str(bare_python), "-m", "tallymark", "exec", "--", str(bare_python)]
    process, output, errors = run([*command, str(elsewhere / "look.py")], here)

    assert ("", 0) == (errors, process.returncode)
    assert "tallymark" == json.loads(output)["name"]
    assert str(here) == json.loads(output)["path"][-1]
