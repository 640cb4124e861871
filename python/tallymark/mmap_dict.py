"""The official client's ``*.db`` files, for programs that read, merge or write them.

Tallymark keeps no numbers in such a file: see ``multiprocess``. A file is a header of eight bytes,
of which four say how many bytes are in use, and then entries: the length of a key, the key, spaces
up to a multiple of eight bytes, a value and a time. Numbers are in the machine's byte order.
Nothing here locks a file, or knows what a key means.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Iterator, Sequence

# Room for some five hundred series before the file must grow, which it does by doubling.
_INITIAL_MMAP_SIZE = 1 << 16
_HEADER_SIZE = 8
_LENGTH = struct.Struct("=i")
_VALUE = struct.Struct("=dd")

_Entry = tuple[str, float, float, int]


class MmapedDict:
    """
    The entries of one file: keys of text, each with a value and a time.

    One thread at a time may use an object. Other processes may read the file meanwhile.

    Args:
        filename: The file; a new or an empty one is begun.

        read_mode: Whether it is only read; then it must have been begun.

    Raises:
        OSError: The file cannot be opened.

        ValueError: The file is empty, and may only be read.

        RuntimeError: An entry goes beyond the end of what is in use.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".db") as file:
        ...     entries = MmapedDict(file.name)
        ...     entries.write_value("key", 2.5, 1500000000.0)
        ...     entries.close()
        ...     list(MmapedDict.read_all_values_from_file(file.name))
        [('key', 2.5, 1500000000.0, 16)]
    """

    def __init__(self, filename: str | os.PathLike[str], read_mode: bool = False) -> None:
        access = mmap.ACCESS_READ if read_mode else mmap.ACCESS_WRITE
        with open(filename, "rb" if read_mode else "a+b") as file:
            if not read_mode and os.fstat(file.fileno()).st_size == 0:
                file.truncate(_INITIAL_MMAP_SIZE)
            # The mapping holds the file open, and grows it.
            self._m = mmap.mmap(file.fileno(), 0, access=access)
        self._used = _used(self._m)
        self._positions: dict[str, int] = {}
        if self._used == 0 and not read_mode:
            self._set_used(_HEADER_SIZE)
        for key, _, _, position in _entries(self._m, self._used):
            self._positions[key] = position

    @staticmethod
    def read_all_values_from_file(filename: str | os.PathLike[str]) -> Iterator[_Entry]:
        """
        Give what a file holds: keys, values, times, and where in the file the values are.

        A file that a process has made and not begun to fill holds nothing.

        Args:
            filename: The file.

        Raises:
            OSError: The file cannot be read.

            RuntimeError: When an entry is reached that goes beyond the end of what is in use.
        """
        with open(filename, "rb") as file:
            header = file.read(_HEADER_SIZE)
            used = _used(header)
            return _entries(header + file.read(max(used - len(header), 0)), used)

    def read_all_values(self) -> Iterator[tuple[str, float, float]]:
        """Give all keys with their values and times, in the order in which they were added."""
        for key, value, timestamp, _ in _entries(self._m, self._used):
            yield key, value, timestamp

    def read_value(self, key: str) -> tuple[float, float]:
        """
        Give the value and the time of a key; a new one is added, with zeros.

        Args:
            key: The key, as `mmap_key` makes it.
        """
        value, timestamp = _VALUE.unpack_from(self._m, self._position(key))
        return value, timestamp

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """
        Set the value and the time of a key, which may be a new one.

        Args:
            key: The key, as `mmap_key` makes it.

            value: The value.

            timestamp: When it came to be, in seconds since 1970.
        """
        position = self._position(key)
        # As one slice: `pack_into` writes zeros first, which a reader could see.
        self._m[position : position + _VALUE.size] = _VALUE.pack(value, timestamp)

    def close(self) -> None:
        """Let go of the file."""
        self._m.close()

    def _position(self, key: str) -> int:
        if key not in self._positions:
            self._add(key)
        return self._positions[key]

    def _add(self, key: str) -> None:
        encoded = key.encode()
        entry = _LENGTH.pack(len(encoded)) + encoded
        entry += b" " * _padding(len(encoded)) + _VALUE.pack(0.0, 0.0)
        end = self._used + len(entry)
        if end > len(self._m):
            size = len(self._m)
            while end > size:
                size *= 2
            self._m.resize(size)
        self._m[self._used : end] = entry
        # Only now may a reader see it.
        self._set_used(end)
        self._positions[key] = end - _VALUE.size

    def _set_used(self, used: int) -> None:
        self._m[: _LENGTH.size] = _LENGTH.pack(used)
        self._used = used


def mmap_key(
    metric_name: str,
    name: str,
    labelnames: Sequence[str],
    labelvalues: Sequence[str],
    help_text: str,
) -> str:
    """
    Give the key of a sample.

    Args:
        metric_name: The name of its family.

        name: Its own name.

        labelnames: The names of its labels.

        labelvalues: Their values.

        help_text: The help of its family.

    Example:
        >>> mmap_key("hits", "hits_total", ["zone", "area"], ["1", "2"], "Hits.")
        '["hits", "hits_total", {"area": "2", "zone": "1"}, "Hits."]'
    """
    labels = dict(zip(labelnames, labelvalues, strict=False))
    return json.dumps([metric_name, name, labels, help_text], sort_keys=True)


def _used(data: bytes | mmap.mmap) -> int:
    """Give the number of bytes in use; none of a file that nobody has begun to fill."""
    if len(data) < _LENGTH.size:
        return 0
    used: int = _LENGTH.unpack_from(data)[0]
    return used


def _entries(data: bytes | mmap.mmap, used: int) -> Iterator[_Entry]:
    position = _HEADER_SIZE
    end = min(used, len(data))
    while position < used:
        start = position + _LENGTH.size
        length = _LENGTH.unpack_from(data, position)[0] if start <= end else -1
        key_end = start + length
        position = key_end + _padding(length)
        if length < 0 or position + _VALUE.size > end:
            raise RuntimeError("Read beyond file size detected, file is corrupted.")
        value, timestamp = _VALUE.unpack_from(data, position)
        yield data[start:key_end].decode(), value, timestamp, position
        position += _VALUE.size


def _padding(length: int) -> int:
    """Give how many spaces follow a key, so that the value is aligned: at least one."""
    return 8 - (length + _LENGTH.size) % 8
