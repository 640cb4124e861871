"""
Prints what is in a file store: `docs/file-format.md` in a hundred lines.

    python docs/read_file.py /run/app/metrics.tally

It takes no lock, asks nobody whether an owner lives and reads the file once, so it is right for a
file that no process is using. Where a process is, it may meet half a change.
"""

from __future__ import annotations

import math
import struct
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

DATA = Path(sys.argv[1]).read_bytes()


def word(at: int, index: int = 0) -> int:
    return struct.unpack_from("<Q", DATA, at + 8 * index)[0]


def real(at: int, index: int = 0) -> float:
    return struct.unpack_from("<d", DATA, at + 8 * index)[0]


def texts(raw: bytes) -> Iterator[str]:
    while raw:
        length = int.from_bytes(raw[:4], "little")
        yield raw[4 : 4 + length].decode()
        raw = raw[4 + length :]


def image(at: int, version: int) -> tuple[int, bytes]:
    """Gives the stamp and the bytes of one version of an image."""
    half = ((word(at) & 0xFFFFFFFF) - 5) // 2
    copy = at + 8 * (5 + half * (version % 2))
    return word(copy), DATA[copy + 16 : copy + 16 + word(copy, 1)]


assert DATA[:8] == b"TALLYMRK", "not a Tallymark file"
assert word(0, 1) & 0xFFFFFFFF <= 1, "a newer format"
assert word(0, 7) == zlib.crc32(DATA[:56]), "a damaged header"
assert word(0, 2) == 0, "features that this reader does not know"

# The log: records from behind the header to the committed length.
slots: list[int] = []
families: list[str] = []
series: list[tuple[int, str, list[str]] | None] = []
chunks: list[int] = []
at = 4096
while at < word(0, 16):
    kind, length, payload = word(at) & 0xFFFF, word(at) >> 32, word(at, 1) >> 32
    fixed = at + {2: 16, 3: 48}.get(kind, 8 * length)
    covered = DATA[at : at + 8] + payload.to_bytes(8, "little") + DATA[fixed : at + 8 * length]
    is_intact = word(at, 1) & 0xFFFFFFFF == zlib.crc32(covered)
    if kind == 1:
        slots += [at + 16 + 64 * number for number in range(128)]
    elif kind == 2:
        key = DATA[at + 24 : at + 24 + word(at, 2)]
        families.append(next(texts(key[2:])) if is_intact else "?")
    elif kind == 3:
        values = DATA[at + 56 : at + 56 + payload]
        known = (at, families[word(at, 6)], list(texts(values))) if is_intact else None
        series.append(known)
    elif kind == 4:
        chunks.append(at)
    at += 8 * length

# The blocks: what each series has in each shard, and in the base shard.
source, target, version = word(0, 25), word(0, 26), word(0, 27)
numbers: dict[int, list[tuple[list[int], list[float]]]] = defaultdict(list)
gauges: dict[int, list[tuple[int, float, int]]] = defaultdict(list)
images: dict[tuple[int, int], list[tuple[int, bytes]]] = defaultdict(list)
for chunk in chunks:
    owner, at, end = word(chunk, 2), chunk + 64, chunk + 64 + 8 * word(chunk, 3)
    while owner != 0 and at < end:
        number, length, tag = word(at) >> 32, word(at) & 0xFFFFFFFF, word(at, 1)
        generation, part, code, flags = tag >> 32, tag >> 16 & 0xFFFF, tag >> 8 & 0xFF, tag & 0xFF
        known = series[number]
        current = word(known[0], 2) if known else 1
        if owner == 1 and current % 2 == 0:
            valid = version if source and at == target else word(at, 2)
            stamp, raw = image(at, valid) if valid else (0, b"")
            if raw and int.from_bytes(raw[:8], "little") == current:
                raw = raw[8:]
                words = [int.from_bytes(raw[i : i + 8], "little") for i in range(0, len(raw), 8)]
                reals = list(struct.unpack(f"<{len(words)}d", raw)) if code != 0x83 else []
                if code in (0x81, 0x82):
                    numbers[number].append((words[:-4], reals[-4:]))
                elif code == 0x83:
                    images[number, part].append((stamp, raw))
                else:
                    gauges[number] += zip(words[::3], reals[1::3], words[2::3], strict=True)
        elif owner > 1 and flags == 0 and generation == current and at != source:
            if code == 1:
                numbers[number].append(([word(at, 2)], [real(at, 3)]))
            elif code == 2:
                counts = [word(at, index) for index in range(7, length - 1)]
                total = real(at, length - 1)
                if word(at, 3) % 2 == 1:
                    total = real(at, 6)
                    if word(at, 4) < len(counts):
                        counts[word(at, 4)] = word(at, 5)
                numbers[number].append((counts, [total]))
            elif code == 3 and word(at, 2):
                images[number, part].append(image(at, word(at, 2)))
            elif code >= 16:
                pid = word(slots[owner - 2], 1)
                gauges[number].append((pid, real(at, 2), word(at, 3)))
        at += 8 * length

for number, known in enumerate(series):
    name = f"{known[1]} {known[2]}" if known else "?"
    for pid, value, stamp in gauges[number]:
        print(name, f"{value} of process {pid}, set at {stamp}")
    if numbers[number]:
        counts = [sum(column) for column in zip(*(it[0] for it in numbers[number]), strict=True)]
        print(name, counts, math.fsum(term for it in numbers[number] for term in it[1]))
for (number, part), versions in images.items():
    print(series[number][1], f"image {part}:", max(versions)[1])
