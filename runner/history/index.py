"""The index of runs, SQLite: caught up from the feed, made again from the folders whenever it does not fit.

The feed and the records are the truth; index.db can be deleted at any time.
"""

from __future__ import annotations

import fcntl
import gc
import os
import sqlite3
from contextlib import contextmanager

from runner.errors import RunnerError
from runner.history.journal import (
    Mark,
    closed_records,
    feed_lines,
    mark_of,
    read_from,
    skipped_lines,
)
from runner.history.rows import row_of
from runner.history.tables import (
    ALWAYS,
    BEGUN,
    INDEXES,
    INSERT,
    KINDS,
    TABLES,
    UNIQUE,
    all_days,
    cells,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from runner.model import JsonObject
    from runner.records.folder import Logs

_APPLICATION = 0x52554E52  # `RUNR`, where SQLite keeps whose file it is
_VERSION = 2
_BUSY = 20.0  # seconds to wait for another process that catches up
_MANY = 500  # days and names at once, from where on counting everything again is cheaper


class Store:
    """An open index, brought up to the feed by the first query; a damaged one is made again."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._db = self._open()
        self._fresh = False

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query. Raises RunnerError when another process keeps the index to itself."""
        try:
            if not self._fresh:
                self._catch_up()
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            _refuse_locked(error)
            self.rebuild()
            return self._db.execute(sql, values).fetchall()

    def rebuild(self) -> int:
        """Make the index again from the folders; how many runs it holds."""
        self._db.close()
        try:
            with _alone(self._logs.root):
                self._remove()
            self._db = self._open()
            with self._writing():
                self._fill()
            self._settle()
        except sqlite3.DatabaseError as error:
            # No room on the disk, say: this command can still answer.
            _refuse_locked(error)
            self._db = _prepared(":memory:")
            self._fill()
        self._fresh = True
        number: int = self._db.execute("SELECT count(*) FROM runs").fetchone()[0]
        return number

    def _path(self) -> str:
        return self._logs.path("index.db")

    def _open(self) -> sqlite3.Connection:
        """The index on the disk; one in memory where the folder is not ours to write, or not there."""
        path = self._path()
        try:
            with _alone(self._logs.root):
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

    def _mark(self) -> Mark | None:
        """How far the feed is in the index; None for an index that was never filled."""
        if self._db.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
            return None
        found = self._db.execute("SELECT inode, begin, end, digest FROM mark").fetchone()
        return Mark(*found) if found else None

    def _catch_up(self) -> None:
        path = self._logs.path("runs.jsonl")
        mark = self._mark()
        if mark is None or read_from(path, mark) != b"":
            with self._writing():
                # Another process may have done it while we waited for the lock.
                mark = self._mark()
                news = read_from(path, mark) if mark else None
                filled = mark is None or news is None
                if mark is None or news is None:
                    self._fill()
                elif news:
                    self._apply(news, mark)
            if filled:
                self._settle()
        self._fresh = True

    def _settle(self) -> None:
        """Out of the journal: whoever opens the index next would read all of it first."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _apply(self, data: bytes, mark: Mark) -> None:
        """Lines that came since; the last one of a run wins."""
        touched: set[tuple[str, str, str | None]] = set()
        for line in feed_lines(data):
            row, pruned = row_of(line), line.get("pruned") is True and isinstance(line.get("run_id"), str)
            if row is None and not pruned:
                continue
            run_id = line["run_id"]
            touched |= self._names(run_id)
            self._db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,))
            if row is not None:
                self._db.execute(INSERT, row)
                touched |= self._names(run_id)
        self._count_again(touched)
        self._set_mark(mark.after(data))

    def _names(self, run_id: str) -> set[tuple[str, str, str | None]]:
        """The (kind, day, name) of the cells in which the run is counted."""
        rows = self._db.execute(f"SELECT {', '.join(KINDS.values())} FROM runs WHERE run_id = ?", (run_id,))  # noqa: S608
        return {(kind, run_id[:8], name) for names in rows for kind, name in zip(KINDS, names, strict=True)}

    def _count_again(self, touched: set[tuple[str, str, str | None]]) -> None:
        if len(touched) > _MANY:
            self._db.execute("DELETE FROM cells")
            for kind in KINDS:
                self._db.execute(f"INSERT INTO cells {cells(kind)}")
            self._db.execute(f"INSERT INTO cells {all_days()}")
            return
        drop = "DELETE FROM cells WHERE kind = ? AND day = ? AND name IS ?"
        for kind, day, name in touched:
            self._db.execute(drop, (kind, day, name))
            # `~` sorts behind everything that an id may hold; `+` has the planner look through the day, not the name.
            where = f"run_id BETWEEN ? AND ? || '~' AND +{KINDS[kind]} IS ?"
            self._db.execute(f"INSERT INTO cells {cells(kind, where)}", (day, day, name))
        for kind, name in {(kind, name) for kind, _, name in touched}:
            self._db.execute(drop, (kind, ALWAYS, name))
            self._db.execute(f"INSERT INTO cells {all_days('kind = ? AND name IS ?')}", (kind, name))

    def _fill(self) -> None:
        """Everything, from the folders and the lines of runs without one."""
        for name in ("runs", "mark", "cells"):
            self._db.execute(f"DROP TABLE IF EXISTS {name}")
        for sql in TABLES:
            self._db.execute(sql)
        path = self._logs.path("runs.jsonl")
        mark = mark_of(path)
        collecting = gc.isenabled()
        gc.disable()  # what is read holds no cycles, and looking for them costs a third of the time
        try:
            found = (row_of(record) for record in closed_records(self._logs.root))
            self._db.executemany(INSERT, (row for row in found if row is not None))
        finally:
            if collecting:
                gc.enable()
        try:
            self._db.execute(UNIQUE)
        except sqlite3.IntegrityError:
            self._db.execute("DELETE FROM runs WHERE rowid NOT IN (SELECT max(rowid) FROM runs GROUP BY run_id)")
            self._db.execute(UNIQUE)
        self._fill_skipped(skipped_lines(path, mark.end))
        for sql in INDEXES:
            self._db.execute(sql)
        self._set_mark(mark)
        self._db.execute(f"PRAGMA user_version = {_VERSION}")

    def _fill_skipped(self, lines: Iterable[JsonObject]) -> None:
        for line in lines:
            row = row_of(line)
            if row is not None:
                self._db.execute(INSERT.replace("INSERT", "INSERT OR IGNORE"), row)
            elif isinstance(line.get("run_id"), str):
                sql = f"DELETE FROM runs WHERE run_id = ? AND NOT status {BEGUN}"  # noqa: S608  # our own names
                self._db.execute(sql, (line["run_id"],))

    def _set_mark(self, mark: Mark) -> None:
        self._db.execute("DELETE FROM mark")
        self._db.execute("INSERT INTO mark VALUES (?, ?, ?, ?)", (mark.inode, mark.begin, mark.end, mark.digest))


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """While files are made or removed. Raises OSError where there is no such folder."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _made(path: str) -> str:
    """For its owner alone, and never through a link that somebody left. Raises OSError."""
    if os.path.islink(path):
        os.unlink(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return path


def _prepared(path: str) -> sqlite3.Connection:
    """Raises sqlite3.DatabaseError for a file that is no index of ours."""
    db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
    try:
        found = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        if found != [_APPLICATION, _VERSION]:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("made by something else")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute("PRAGMA synchronous = NORMAL")
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _refuse_locked(error: sqlite3.DatabaseError) -> None:
    """Raises RunnerError where making the index again would only disturb who writes it."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        raise RunnerError("the index of runs is busy", hint="another command makes it; try again") from None
