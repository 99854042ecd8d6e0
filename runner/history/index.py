"""The index of runs, SQLite: brought up to date from the journal, rebuilt from the folders whenever it does not fit.

The journal and the records are the truth; index.db can be deleted at any time.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from runner.errors import RunnerError
from runner.history import tables
from runner.history.journal import (
    Position,
    closed_records,
    decoded_lines,
    end_position,
    lines_until,
    read_from,
)
from runner.records.folder import Logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _T = TypeVar("_T")


_APPLICATION = 0x52554E52  # `RUNR`, where SQLite keeps whose file it is
_VERSION = 3
NOT_OURS = (TypeError, ValueError, KeyError, OverflowError)
"""What comes of values that are of other types than those we write."""
_BUSY_SECONDS = 20.0  # for another process that writes the index
_MAX_TOTALS = 500  # changed at once; above it, adding up everything is cheaper


class Index:
    """An open index, brought up to date by the first query; a damaged one is rebuilt."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._db = self._open()
        self._current = False

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one query. Raises RunnerError when another process keeps the index locked."""
        try:
            if not self._current:
                self._update()
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            _refuse_locked(error)
            self.rebuild()
            return self._db.execute(sql, values).fetchall()

    def answer(self, question: Callable[[], _T]) -> _T:
        """Ask several queries at once; where a row is not what we wrote, the index is rebuilt, once."""
        try:
            return question()
        except (sqlite3.DatabaseError, *NOT_OURS) as error:
            if isinstance(error, sqlite3.DatabaseError):
                _refuse_locked(error)
            self.rebuild()
            return question()

    def texts(self, sql: str, values: Sequence[Any] = ()) -> list[str]:
        """The one column of a query."""
        return self.answer(lambda: [_text(value) for (value,) in self.rows(sql, values)])

    def rebuild(self) -> int:
        """Make the index from the folders, and return how many runs it holds."""
        self._db.close()
        try:
            with _folder_locked(self._logs.root):
                self._remove()
            self._db = self._open()
            with self._writing():
                self._fill()
            self._checkpoint()
        except sqlite3.DatabaseError as error:
            # Perhaps the disk is full: this command can still answer.
            _refuse_locked(error)
            self._db = _prepared(":memory:")
            self._fill()
        self._current = True
        number: int = self._db.execute("SELECT count(*) FROM runs").fetchone()[0]
        return number

    def _path(self) -> str:
        return self._logs.path("index.db")

    def _open(self) -> sqlite3.Connection:
        """Open the index on the disk, or one in memory where the folder cannot be written or is missing."""
        path = self._path()
        try:
            with _folder_locked(self._logs.root):
                try:
                    return _prepared(_made(path))
                except sqlite3.DatabaseError as error:
                    _refuse_locked(error)
                    self._remove()
                    return _prepared(_made(path))
        except (OSError, sqlite3.DatabaseError):
            return _prepared(":memory:")

    def _remove(self) -> None:
        for end in ("", "-wal", "-shm"):
            try:
                os.unlink(self._path() + end)
            except OSError:
                continue

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.rollback()
            raise
        self._db.commit()

    def _position(self) -> Position | None:
        """How far the journal is in the index; None for an index that was never filled."""
        if self._db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            return None
        found = self._db.execute("SELECT inode, begin, end, digest FROM mark").fetchone()
        return Position(*found) if found else None

    def _update(self) -> None:
        path = self._logs.path("runs.jsonl")
        position = self._position()
        if position is None or read_from(path, position) != b"":
            with self._writing():
                # Another process may have done it while we waited for the lock.
                position = self._position()
                news = read_from(path, position) if position else None
                filled = position is None or news is None
                if position is None or news is None:
                    self._fill()
                elif news:
                    self._apply(news, position)
            if filled:
                self._checkpoint()
        self._current = True

    def _checkpoint(self) -> None:
        """Empty the write-ahead log: the next process to open the index would read all of it first."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _apply(self, data: bytes, position: Position) -> None:
        """Take in lines that are new; the last one of a run wins."""
        touched: set[tuple[str, str, str | None]] = set()
        for line in decoded_lines(data):
            row, pruned = tables.row_of(line), line.get("pruned") is True and isinstance(line.get("run_id"), str)
            if row is None and not pruned:
                continue
            run_id = line["run_id"]
            touched |= self._names(run_id)
            self._db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            if row is not None:
                self._db.execute(tables.INSERT, row)
                touched |= self._names(run_id)
        self._add_up(touched)
        self._set_position(position.after(data))

    def _names(self, run_id: str) -> set[tuple[str, str, str | None]]:
        """The (group, day, name) of the totals in which the run is counted."""
        rows = self._db.execute(f"SELECT {', '.join(tables.GROUPS.values())} FROM runs WHERE run_id = ?", (run_id,))  # noqa: S608  # our own names
        return {(group, run_id[:8], name) for names in rows for group, name in zip(tables.GROUPS, names, strict=True)}

    def _add_up(self, touched: set[tuple[str, str, str | None]]) -> None:
        if len(touched) > _MAX_TOTALS:
            self._db.execute("DELETE FROM cells")
            for group in tables.GROUPS:
                self._db.execute(f"INSERT INTO cells {tables.daily_totals(group)}")
            self._db.execute(f"INSERT INTO cells {tables.totals_of_all_days()}")
            return
        drop = "DELETE FROM cells WHERE kind = ? AND day = ? AND name IS ?"
        for group, day, name in touched:
            self._db.execute(drop, (group, day, name))
            # `~` sorts behind every character of an id; `+` makes the planner search by the day, not by the name.
            where = f"run_id BETWEEN ? AND ? || '~' AND +{tables.GROUPS[group]} IS ?"
            self._db.execute(f"INSERT INTO cells {tables.daily_totals(group, where)}", (day, day, name))
        for group, name in {(group, name) for group, _, name in touched}:
            self._db.execute(drop, (group, tables.ALL_DAYS, name))
            sql = f"INSERT INTO cells {tables.totals_of_all_days('kind = ? AND name IS ?')}"
            self._db.execute(sql, (group, name))

    def _fill(self) -> None:
        """Take in everything: the folders, and the lines of runs without one."""
        for name in ("runs", "mark", "cells"):
            self._db.execute(f"DROP TABLE IF EXISTS {name}")
        for sql in tables.TABLES:
            self._db.execute(sql)
        path = self._logs.path("runs.jsonl")
        position = end_position(path)
        collecting = gc.isenabled()
        gc.disable()  # what is read has no cycles, and the search for them takes a third of the time
        try:
            found = (tables.row_of(record) for record in closed_records(self._logs.root))
            self._db.executemany(tables.INSERT, (row for row in found if row is not None))
        finally:
            if collecting:
                gc.enable()
        try:
            self._db.execute(tables.UNIQUE)
        except sqlite3.IntegrityError:
            self._db.execute("DELETE FROM runs WHERE rowid NOT IN (SELECT max(rowid) FROM runs GROUP BY run_id)")
            self._db.execute(tables.UNIQUE)
        self._fill_from_lines(lines_until(path, position.end))
        for sql in tables.indexes():
            self._db.execute(sql)
        self._set_position(position)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _fill_from_lines(self, lines: Iterable[tuple[str, bytes]]) -> None:
        """Every line that is not pruned is a run, with or without a folder; of a folder the record is the truth."""
        from_folders = self._db.execute("SELECT max(rowid) FROM runs").fetchone()[0] or 0
        for run_id, line in lines:
            found = self._db.execute("SELECT rowid FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if found and found[0] <= from_folders:
                continue
            if found:
                self._db.execute("DELETE FROM runs WHERE rowid = ?", found)
            entry = next(decoded_lines(line), {})
            row = None if entry.get("status") == "running" else tables.row_of(entry)
            if row is not None:
                self._db.execute(tables.INSERT.replace("INSERT", "INSERT OR IGNORE"), row)

    def _set_position(self, position: Position) -> None:
        self._db.execute("DELETE FROM mark")
        values = (position.inode, position.begin, position.end, position.digest)
        self._db.execute("INSERT INTO mark VALUES (?, ?, ?, ?)", values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not what we wrote")
    return value


@contextmanager
def _folder_locked(folder: str) -> Iterator[None]:
    """Lock the folder while files are made or removed. Raises OSError where there is no such folder."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _made(path: str) -> str:
    """Make the file for its owner alone, and never through a symbolic link. Raises OSError."""
    if os.path.islink(path):
        os.unlink(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return path


def _prepared(path: str) -> sqlite3.Connection:
    """Open a database. Raises sqlite3.DatabaseError for a file that is not our index."""
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found != [_APPLICATION, _VERSION]:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("made by something else")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
        if db.execute("SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()[0]:
            raise sqlite3.DatabaseError("somebody added to it")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA trusted_schema = OFF")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _refuse_locked(error: sqlite3.DatabaseError) -> None:
    """Raises RunnerError where a rebuild would only disturb the process that writes the index."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        raise RunnerError("the index of runs is busy", hint="another command makes it; try again") from None
