"""The official client's ``*.db`` files: what one package writes, the other reads and continues."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

KEYS = ["", "a", "abcd", "abcdefgh", "größe", '["m", "m_total", {"l": "🦀"}, "help"]', "x" * 70_000]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_file_can_be_shared(swapped: bool, tmp_path: Path, official: Any, ours: Any) -> None:
    """Byte by byte the same, over several openings, growth and rewriting."""
    writer, other = (ours, official) if swapped else (official, ours)
    path = str(tmp_path / "counter_1.db")
    numbers = random.Random(5)
    expected: dict[str, tuple[float, float]] = {}
    for c in (writer, other, writer):
        entries = c.mmap_dict.MmapedDict(path)
        assert expected == {key: (value, at) for key, value, at in entries.read_all_values()}

        for key in numbers.sample(KEYS, 4):
            expected[key] = numbers.random(), numbers.random()
            entries.write_value(key, *expected[key])

            assert expected[key] == entries.read_value(key)
        entries.close()

    read = [list(c.mmap_dict.MmapedDict.read_all_values_from_file(path)) for c in (writer, other)]

    assert read[0] == read[1]
    assert expected == {key: (value, at) for key, value, at, _ in read[0]}


def test_files_are_the_same(tmp_path: Path, same: Any) -> None:
    """To the last byte, spare room included."""

    def run(c: Any) -> bytes:
        path = tmp_path / f"{c.package.__name__}.db"
        entries = c.mmap_dict.MmapedDict(str(path))
        for value, key in enumerate(KEYS):
            entries.write_value(key, value, 1234.5)

        assert (0.0, 0.0) == entries.read_value("new")
        entries.close()
        return path.read_bytes()

    assert 65536 * 2 == len(same(run))


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\x7f",
        b"\x28\x00\x00\x00\x00\x00\x00\x00\x40\x00\x00\x00",
    ],
)
def test_an_entry_that_is_too_long_is_told_alike(damage: bytes, tmp_path: Path, same: Any) -> None:
    """As soon as it is reached."""
    path = tmp_path / "counter_1.db"
    path.write_bytes(damage.ljust(4096, b"\0"))

    def run(c: Any) -> None:
        list(c.mmap_dict.MmapedDict.read_all_values_from_file(str(path)))

    assert ("RuntimeError", "Read beyond file size detected, file is corrupted.") == same(run)


def test_a_file_that_is_not_there_is_told_at_once(same: Any) -> None:
    """Not at the first entry: collectors leave such files out."""

    def run(c: Any) -> None:
        c.mmap_dict.MmapedDict.read_all_values_from_file("/not/there")

    assert "FileNotFoundError" == same(run)[0]


@pytest.mark.parametrize(
    ("names", "values"),
    [([], []), (["b", "a"], ["1", "2"]), (["a", "ü"], ["1"]), (("a",), ("🦀\n",))],
)
def test_a_key_is_the_same(names: Any, values: Any, same: Any) -> None:
    """With its labels in order."""
    same(lambda c: c.mmap_dict.mmap_key("m", "m_total", names, values, "Help \\ ü."))
