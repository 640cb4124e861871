"""Where prometheus-distributed-client keeps its fields, and the notes about imports beside them.

In Redis a family is a hash, ``<prefix>_<family>``, and the notes are the hash
``<prefix>_<family>:tallymark``; in SQLite a field is a row of the table ``metrics``, and the notes
are in the table ``tallymark_imported``. A note is written once under a number, so that of two
imports only one begins. What the fields mean is not known here: see ``distributed_client``.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Last(NamedTuple):
    """The last import of a family that was begun."""

    number: int
    finished: bool
    about: str
    fields: dict[str, float]


class Place(Protocol):
    """What has been counted, and the notes about imports beside it."""

    def name(self, family: str) -> str:
        """Give what a family is called there, for messages."""

    def fields(self, family: str) -> dict[str, float]:
        """Give the numbers of a family, none if it is not there."""

    def others(self, families: Iterable[str]) -> list[str]:
        """Give what is there besides these families."""

    def last(self, family: str) -> Last | None:
        """Give the note about the last import."""

    def claim(self, family: str, number: int, note: str) -> bool:
        """Write the note about the import of this number, unless somebody has come before."""

    def finish(self, family: str, number: int) -> None:
        """Note that the import has come to its end."""

    def advice(self, family: str, number: int) -> str:
        """Give the command that says the same."""


def _last(number: int, finished: bool, note: str) -> Last:
    said = json.loads(note)
    return Last(number, finished, said["about"], said["fields"])


@contextmanager
def opened(source: Any, prefix: str) -> Iterator[Place]:
    """
    Have a block use a source; what is opened for it is closed at its end.

    Args:
        source: A URL or a client of Redis, or the path of an SQLite database or a connection to it.

        prefix: What the names of the hashes begin with in Redis.

    Raises:
        ValueError: No database of that package.
        FileNotFoundError: There is no database at the path.
        ImportError: The source is a URL, and the package ``redis`` is not installed.
        TypeError: The source is nothing of that kind.
    """
    if isinstance(source, sqlite3.Connection):
        yield _Sqlite(source)
    elif isinstance(source, str) and "://" in source:
        try:
            redis: Any = importlib.import_module("redis")
        except ImportError as problem:
            advice = "reading Redis needs the package redis: pip install redis"
            raise ImportError(advice) from problem
        with closing(redis.Redis.from_url(source)) as client:
            yield _Redis(client, prefix)
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source).absolute()
        if not path.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source))
        # Not made if it goes away meanwhile.
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=30)
        with closing(connection):
            try:
                place = _Sqlite(connection)
            except (ValueError, sqlite3.DatabaseError) as problem:
                raise ValueError(f"{source}: {problem}; choose another path") from problem
            yield place
    elif hasattr(source, "hgetall"):
        yield _Redis(source, prefix)
    else:
        raise TypeError(
            f"{source!r} is no source; give a URL or a client of Redis, or the path of an SQLite"
            " database or a connection to it"
        )


class _Redis:
    """A hash for each family; the notes are in a hash beside it."""

    _NOTES = ":tallymark"

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._prefix = f"{prefix}_"

    def name(self, family: str) -> str:
        return self._prefix + family

    def fields(self, family: str) -> dict[str, float]:
        key = self.name(family)
        kind = _text(self._client.type(key))
        if kind not in ("hash", "none"):
            raise ValueError(f"this is a {kind} and no hash, so something else keeps it")
        found = self._client.hgetall(key)
        return {_text(field): _number(_text(field), number) for field, number in found.items()}

    def others(self, families: Iterable[str]) -> list[str]:
        known = {self.name(family) for family in families}
        pattern = "".join(f"\\{it}" if it in "\\*?[]" else it for it in self._prefix) + "*"
        keys = {_text(key) for key in self._client.scan_iter(match=pattern, _type="hash")}
        return sorted(key for key in keys - known if not key.endswith(self._NOTES))

    def last(self, family: str) -> Last | None:
        found = self._client.hgetall(self.name(family) + self._NOTES)
        notes = {_text(field): _text(note) for field, note in found.items()}
        finished = int(notes.pop("finished", 0))
        number = max(map(int, notes), default=0)
        return _last(number, finished >= number, notes[str(number)]) if number else None

    def claim(self, family: str, number: int, note: str) -> bool:
        key, field = self.name(family) + self._NOTES, str(number)
        self._client.hsetnx(key, field, note)
        # Not what HSETNX answers: the client sends it again if the answer is lost. And where later
        # imports have come and gone, the note of this number has gone with them.
        written, finished = self._client.hmget(key, field, "finished")
        return _text(written) == note and int(finished or 0) < number

    def finish(self, family: str, number: int) -> None:
        key = self.name(family) + self._NOTES
        self._client.hset(key, "finished", number)
        self._client.hdel(key, str(number - 1))

    def advice(self, family: str, number: int) -> str:
        return f"HSET {self.name(family)}{self._NOTES} finished {number}"


def _text(answer: Any) -> str:
    """Give an answer as text; whether the client decodes them is its owner's choice."""
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _number(field: str, answer: Any) -> float:
    try:
        return float(_text(answer))
    except ValueError as problem:
        raise ValueError(
            f"the field {field!r} has {_text(answer)!r}, which is no number"
        ) from problem


class _Sqlite:
    """A row for each field, in one table; the notes are in another."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            raise ValueError("the connection has a transaction open; commit it, or give the path")
        self._connection = connection
        if not self._has("metrics"):
            raise ValueError("no database of prometheus-distributed-client (no table 'metrics')")

    def name(self, family: str) -> str:
        return f"metric_key {family!r}"

    def fields(self, family: str) -> dict[str, float]:
        rows = self._rows("SELECT subkey, value FROM metrics WHERE metric_key = ?", family)
        return {field: float(number) for field, number in rows}

    def others(self, families: Iterable[str]) -> list[str]:
        keys = {key for (key,) in self._rows("SELECT DISTINCT metric_key FROM metrics")}
        return sorted(keys.difference(families))

    def last(self, family: str) -> Last | None:
        if not self._has("tallymark_imported"):
            return None
        rows = self._rows(
            "SELECT number, finished, note FROM tallymark_imported WHERE metric_key = ?"
            " ORDER BY number DESC LIMIT 1",
            family,
        )
        return _last(rows[0][0], bool(rows[0][1]), rows[0][2]) if rows else None

    def claim(self, family: str, number: int, note: str) -> bool:
        with self._connection:
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS tallymark_imported (metric_key TEXT NOT NULL,"
                " number INTEGER NOT NULL, finished INTEGER NOT NULL, note TEXT NOT NULL,"
                " PRIMARY KEY (metric_key, number))"
            )
            written = self._connection.execute(
                "INSERT INTO tallymark_imported SELECT ?1, ?2, 0, ?3 WHERE NOT EXISTS"
                " (SELECT 1 FROM tallymark_imported WHERE metric_key = ?1 AND number >= ?2)",
                (family, number, note),
            )
            return written.rowcount == 1

    def finish(self, family: str, number: int) -> None:
        with self._connection:
            self._connection.execute(
                "UPDATE tallymark_imported SET finished = 1 WHERE metric_key = ? AND number = ?",
                (family, number),
            )
            self._connection.execute(
                "DELETE FROM tallymark_imported WHERE metric_key = ? AND number < ?",
                (family, number),
            )

    def advice(self, family: str, number: int) -> str:
        return f"UPDATE tallymark_imported SET finished = 1 WHERE metric_key = '{family}'"

    def _has(self, table: str) -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE name = ?", table))

    def _rows(self, query: str, *arguments: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        # Whatever the connection's owner makes of rows.
        cursor.row_factory = None
        return cursor.execute(query, arguments).fetchall()
