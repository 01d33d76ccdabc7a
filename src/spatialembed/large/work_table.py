"""What is done, in a table on disk: a run that is started again goes on where it stopped."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from spatialembed.errors import UserError

TABLE = "work.sqlite"
"""Its usual name, beside what the work gives."""

AT_ONCE = 1000
"""Rows that are read at a time."""


class Failure(NamedTuple):
    """A piece of work that was set aside."""

    name: str
    reason: str


def refuse_if_used(path: Path) -> None:
    """Look whether a run uses the table of ``path``, before anything beside it is deleted.

    Raises:
        UserError: one does.
    """
    if path.is_file():
        WorkTable(path).close()


class WorkTable:
    """Pieces of work by name, each waiting, done with what came of it, or set aside.

    One process writes it: the one that hands out the work. SQLite keeps it whole when that is
    killed at any moment.

    Raises:
        UserError: the file cannot be written, or is no such table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, isolation_level=None)
            self._base.execute("PRAGMA locking_mode=EXCLUSIVE")  # one run at a time
            # A power cut may lose the last rows, whose work is then done again; waiting for the
            # disk at each row would cost more than that.
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS work (name TEXT PRIMARY KEY, note TEXT, reason TEXT)"
                " WITHOUT ROWID"
            )
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{path} cannot be used as the table of what is done: {error}; wait for another "
                "run that uses it, free space, or delete it to begin anew"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def add(self, names: Iterable[str]) -> None:
        """Add pieces of work that are not there yet; those set aside earlier wait again."""
        self._execute("BEGIN")
        for name in names:
            self._execute("INSERT OR IGNORE INTO work (name) VALUES (?)", (name,))
        self._execute("UPDATE work SET reason = NULL WHERE reason IS NOT NULL")
        self._execute("COMMIT")

    def waiting(self, first: str = "", last: str = "\U0010ffff") -> Iterator[str]:
        """Names from ``first`` to ``last`` that are neither done nor set aside, in their order."""
        after, bound = first, ">="
        while True:
            with closing(
                self._execute(
                    f"SELECT name FROM work WHERE name {bound} ? AND name <= ? AND note IS NULL"
                    " AND reason IS NULL ORDER BY name LIMIT ?",
                    (after, last, AT_ONCE),
                )
            ) as rows:
                names = [name for (name,) in rows]
            if not names:
                return
            yield from names
            after, bound = names[-1], ">"

    def notes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Names and what came of them, of all that is done."""
        with closing(
            self._execute("SELECT name, note FROM work WHERE note IS NOT NULL ORDER BY name")
        ) as rows:
            for name, note in rows:
                yield name, json.loads(note)

    def result(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """What came of a piece of work, None where it is not done; and why it was set aside."""
        row = self._execute("SELECT note, reason FROM work WHERE name = ?", (name,)).fetchone()
        note, reason = row or (None, None)
        return (None if note is None else json.loads(note)), reason

    def is_done(self, name: str) -> bool:
        """Whether this piece of work is done."""
        return self.result(name)[0] is not None

    def done(self, name: str, note: dict[str, Any]) -> None:
        """Remember that a piece of work is done, and what came of it."""
        self._execute(
            "UPDATE work SET note = ?, reason = NULL WHERE name = ?", (json.dumps(note), name)
        )

    def undo(self, name: str) -> None:
        """Forget that a piece of work was done."""
        self._execute("UPDATE work SET note = NULL WHERE name = ?", (name,))

    def failed(self, name: str, reason: str) -> None:
        """Set a piece of work aside."""
        self._execute("UPDATE work SET reason = ? WHERE name = ?", (reason, name))

    def failures(self) -> list[Failure]:
        """What was set aside."""
        rows = self._execute("SELECT name, reason FROM work WHERE reason IS NOT NULL ORDER BY name")
        return [Failure(*row) for row in rows]

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement, values)
        except sqlite3.Error as error:
            raise UserError(
                f"{self.path} cannot be written: {error}; free space, and run the same command to "
                "go on with what is left"
            ) from error
