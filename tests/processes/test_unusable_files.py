"""A store that cannot be used: a program told by its environment runs on, code hears why."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from host import Host, Sandbox

Arrange = Callable[[Host], None]


def made_by_a_job(host: Host) -> None:
    host.run("Counter('earlier', 'Earlier.').inc()")
    assert host.store.stat().st_size > 4096


def missing_directory(host: Host) -> None:
    host.store = host.directory / "not" / "there" / "metrics.tally"


def foreign_file(host: Host) -> None:
    host.store.write_bytes(b"SQLite format 3\0" + bytes(5000))


def short_text(host: Host) -> None:
    host.store.write_text("hi\n")


def newer_format(host: Host) -> None:
    made_by_a_job(host)
    patch(host.store, 8, (99).to_bytes(4, "little"))


def unknown_features(host: Host) -> None:
    made_by_a_job(host)
    patch(host.store, 56, bytes(8))


def cut_off(host: Host) -> None:
    made_by_a_job(host)
    os.truncate(host.store, 1000)


def a_directory(host: Host) -> None:
    host.store.mkdir()


def somebody_elses(host: Host) -> None:
    made_by_a_job(host)
    if os.geteuid() != 0:
        host.store.chmod(0)


def read_only_directory(host: Host) -> None:
    disk = host.directory / "disk"
    disk.mkdir()
    host.store = disk / "metrics.tally"
    host.environment["TALLYMARK_STORE"] = f"file:{host.store}"
    made_by_a_job(host)
    host.prefix = Sandbox(
        host, f"mount --bind {disk} {disk} && mount -o remount,bind,ro {disk}"
    ).prefix


DIRECTORY = "check that its directory exists"
# How the file is, what is said about it, and what to do.
TROUBLES: list[tuple[Arrange, str, str]] = [
    (missing_directory, "No such file or directory", DIRECTORY),
    (read_only_directory, "Read-only file system", DIRECTORY),
    (somebody_elses, "Permission denied", DIRECTORY),
    (a_directory, "Is a directory", DIRECTORY),
    (foreign_file, 'not a Tallymark file (starts with "SQLite format 3")', "choose another path"),
    (short_text, 'not a Tallymark file (starts with "hi")', "choose another path"),
    (newer_format, "written by format 99, this build reads up to 1", "upgrade tallymark here"),
    (unknown_features, "the checksum of its header does not fit", "move it away"),
    (cut_off, "it has 1000 bytes", "move it away"),
]
NAMES = [arrange.__name__ for arrange, _, _ in TROUBLES]


def patch(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def picture(path: Path) -> object:
    """Give all that a process could change about a file or a directory."""
    if not path.exists():
        return path.parent.exists()
    found = path.stat()
    if path.is_dir():
        return list(path.iterdir()), found.st_mtime_ns
    return path.read_bytes(), found.st_mtime_ns, found.st_ino, found.st_mode


# As root, permissions mean nothing: the script goes on as nobody.
AS_NOBODY = "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"


@pytest.mark.parametrize(
    ("arrange", "what", "hint"), TROUBLES, ids=lambda one: one.__name__ if callable(one) else ""
)
def test_a_store_of_the_environment_that_cannot_be_used_is_one_logged_error(
    host: Host, arrange: Arrange, what: str, hint: str
) -> None:
    """The program counts in its memory, and its own scrape shows it; the file is left as it was."""
    arrange(host)
    before = picture(host.store)
    output = host.run(
        (AS_NOBODY if arrange is somebody_elses else "")
        + """
hits = Counter("hits", "Hits.", ["path"])
Histogram("seconds", "Seconds.").observe(1)
for _ in range(3):
    hits.labels("/").inc()
hits.labels("/new").inc()
generate_latest()
say(own("hits_total", path="/"), own("hits_total", path="/new"), own("seconds_count"))
for message in messages():
    say(message)
""",
        TALLYMARK_STORE=f"file:{host.store}",
    )
    values, *logged = output.splitlines()

    assert "3.0 1.0 1.0" == values
    assert 1 == len(logged), logged
    assert logged[0].startswith(f"ERROR {host.store}: ")
    assert logged[0].endswith("; counting in this process's memory")
    assert what in logged[0]
    assert hint in logged[0]
    assert before == picture(host.store)


@pytest.mark.parametrize(
    ("arrange", "what", "hint"), TROUBLES, ids=lambda one: one.__name__ if callable(one) else ""
)
def test_a_store_that_code_asks_for_and_cannot_be_used_is_an_os_error(
    host: Host, arrange: Arrange, what: str, hint: str
) -> None:
    """Nothing is logged, since the caller hears it; metrics go on where they were."""
    arrange(host)
    before = picture(host.store)
    output = host.run(
        (AS_NOBODY if arrange is somebody_elses else "")
        + """
hits = Counter("hits", "Hits.")
hits.inc()
try:
    tallymark.use_store(sys.argv[1])
except OSError as error:
    say(error)
hits.inc()
say(own("hits_total"), messages())
""",
        f"file:{host.store}",
        TALLYMARK_STORE="",
    )
    error, rest = output.splitlines()

    assert error.startswith(f"{host.store}: ")
    assert what in error
    assert hint in error
    assert "2.0 []" == rest
    assert before == picture(host.store)


@pytest.mark.parametrize(
    "url", ["carrier-pigeon:coop", "metrics.tally", "file:", "file:/x?mode=no"]
)
def test_a_url_that_names_no_store_is_a_value_error_or_one_logged_error(
    host: Host, url: str
) -> None:
    script = """
        hits = Counter("hits", "Hits.")
        hits.inc()
        try:
            tallymark.use_store(sys.argv[1])
        except ValueError as error:
            say("ERROR " + str(error) + "; counting in this process's memory")
        say(messages()[0] if messages() else "", len(messages()), own("hits_total"))
    """
    by_code = host.run(script, url, TALLYMARK_STORE="").splitlines()
    by_environment = host.run(script, "memory:", TALLYMARK_STORE=url).splitlines()

    assert by_code[0].startswith(f"ERROR {url}: ")
    assert " 0 1.0" == by_code[1]
    assert [f"{by_code[0]} 1 1.0"] == by_environment
