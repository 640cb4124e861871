"""Files that the official client leaves half-done do not keep anybody from reading the others."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tallymark.mmap_dict import MmapedDict


def read(path: Path) -> list[tuple[str, float, float, int]]:
    """Give all entries of a file."""
    return list(MmapedDict.read_all_values_from_file(path))


@pytest.mark.parametrize("content", [b"", b"\0\0", bytes(8), bytes(65536)])
def test_a_file_that_nobody_has_begun_to_fill_is_empty(content: bytes, tmp_path: Path) -> None:
    """A process died between making it and writing its header: client_python issue 1199."""
    path = tmp_path / "counter_1.db"
    path.write_bytes(content)

    assert [] == read(path)


@pytest.mark.parametrize("kept", [9, 12, 20, 39])
def test_a_file_that_was_cut_off_is_told(kept: int, tmp_path: Path) -> None:
    """Wherever: in a length, in a key, in a value."""
    path = tmp_path / "counter_1.db"
    entries = MmapedDict(path)
    entries.write_value("a key of 19 letters", 1.0, 2.0)
    entries.close()
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(RuntimeError, match="file is corrupted"):
        read(path)


def test_a_length_below_zero_is_told(tmp_path: Path) -> None:
    """It would lead backwards."""
    path = tmp_path / "counter_1.db"
    path.write_bytes(struct.pack("=iii", 64, 0, -1).ljust(64, b"\0"))

    with pytest.raises(RuntimeError, match="file is corrupted"):
        next(MmapedDict.read_all_values_from_file(path))


def test_a_file_can_be_opened_for_reading_only(tmp_path: Path) -> None:
    """Then nothing in it changes, nor can be changed."""
    path = tmp_path / "counter_1.db"
    entries = MmapedDict(path)
    entries.write_value("key", 1.0, 2.0)
    entries.close()
    path.chmod(0o444)
    before = path.read_bytes()
    entries = MmapedDict(path, read_mode=True)

    assert (1.0, 2.0) == entries.read_value("key")
    assert [("key", 1.0, 2.0)] == list(entries.read_all_values())
    with pytest.raises(TypeError):
        entries.write_value("key", 3.0, 4.0)
    entries.close()
    assert before == path.read_bytes()


def test_other_readers_see_what_is_written(tmp_path: Path) -> None:
    """At once, while the writer has the file open; and closing twice does no harm."""
    path = tmp_path / "counter_1.db"
    entries = MmapedDict(path)
    entries.write_value("key", 1.0, 2.0)

    assert [("key", 1.0, 2.0, 16)] == read(path)

    entries.write_value("key", 3.0, 4.0)

    assert [("key", 3.0, 4.0, 16)] == read(path)
    entries.close()
    entries.close()
