"""The index: caught up from the feed, made again whenever it does not fit."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner import metadata
from runner.history import Filter, entries, statistics
from runner.logs import Logs
from runner.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def record(run_id: str, **more: Any) -> dict[str, Any]:
    base = {
        "run_id": run_id,
        "agent": "double",
        "task": "free",
        "status": "success",
        "reason": None,
        "exit_code": 0,
        "model": "m",
        "session_id": None,
        "started_at": "2026-02-19T17:50:43.000Z",
        "ended_at": "2026-02-19T17:50:55.000Z",
        "elapsed_seconds": 12.0,
        "trigger": "manual",
        "usage": {"input_tokens": 10, "output_tokens": 5},
        "cost_usd": None,
        "tool_calls": None,
        "commits": [],
        "error": None,
        "attempt": 1,
        "previous_run": None,
        "schema_version": 1,
    }
    return {**base, **more}


def close(logs: Logs, found: dict[str, Any]) -> None:
    """As the closing of a run leaves it: folder and line."""
    if found["status"] != "skipped":
        folder = logs.path(found["task"], found["agent"], found["run_id"])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "metadata.json"), "w") as file:
            json.dump(found, file)
    logs.append_run(metadata.line_of(found))


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    logs = Logs(str(tmp_path / "logs"))
    logs.prepare()
    for second in range(5):
        close(logs, record(f"20260219_17504{second}"))
    close(logs, record("20260219_175045", status="skipped", reason="busy", elapsed_seconds=0.0))
    return logs


def ids(logs: Logs, **wanted: Any) -> list[str]:
    return [entry["run_id"][-1] for entry in entries(Store(logs), Filter(**wanted))]


ALL = ["5", "4", "3", "2", "1", "0"]


def test_newest_first(logs: Logs) -> None:
    assert ids(logs) == ALL
    assert ids(logs, status="skipped") == ["5"]
    assert ids(logs, limit=2) == ["5", "4"]
    assert ids(logs, agent="other") == []


def test_only_new_lines_are_read(logs: Logs) -> None:
    assert ids(logs) == ALL
    os.rename(logs.path("free"), logs.path("elsewhere"))  # a rebuild would find nothing
    logs.append_run(metadata.line_of(record("20260219_175046", status="failed", reason="no_commits")))
    assert ids(logs) == ["6", *ALL]
    assert ids(logs, reason="no_commits") == ["6"]


def test_the_last_line_of_a_run_wins(logs: Logs) -> None:
    assert ids(logs) == ALL
    logs.append_run(metadata.line_of(record("20260219_175042", status="lost", reason="lost", model="n")))
    assert ids(logs, status="lost") == ["2"]
    assert ids(logs) == ALL
    assert {group["name"]: group["runs"] for group in statistics(Store(logs), "model", None)} == {"m": 4, "n": 1}


def append(logs: Logs, data: bytes) -> None:
    with open(logs.path("runs.jsonl"), "ab") as file:
        file.write(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\n\n\n",
        b"\nnot json\n",
        b'\n{"run_id": "20260219_17',  # torn; what is appended next begins with a line feed
        b'\n{"run_id": 7, "agent": {}}\n',
        b'\n[1]\n\n"x"\n',
        b'\n{"run_id": "../../x", "agent": "a", "task": "b", "status": "success"}\n',
        b'\n{"pruned": true}\n\xff\xfe\n',
    ],
)
@pytest.mark.parametrize("before", [True, False], ids=["known", "new"])
def test_broken_lines_are_skipped(logs: Logs, data: bytes, before: bool) -> None:
    if before:
        assert ids(logs) == ALL
    append(logs, data)
    assert ids(logs) == ALL
    logs.append_run(metadata.line_of(record("20260219_175046")))
    if before:
        assert ids(logs) == ["6", *ALL]


def test_pruned_runs_are_gone(logs: Logs) -> None:
    assert ids(logs) == ALL
    append(logs, b'\n{"run_id": "20260219_175045", "pruned": true}\n\n{"run_id": "20260219_175041", "pruned": true}\n')
    assert ids(logs) == ["4", "3", "2", "0"]
    (group,) = statistics(Store(logs), "agent", None)
    assert (group["runs"], group["skipped"]) == (4, 0)
    # Made again from the folders, of which one is still there here.
    Store(logs).rebuild()
    assert ids(logs) == ["4", "3", "2", "1", "0"]


def damage_header(path: str) -> None:
    with open(path, "r+b") as file:
        file.write(b"not a database at all")


def damage_pages(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (os.path.getsize(path) - 4096))


def foreign(path: str) -> None:
    os.unlink(path)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE bookmarks (url)")
    db.close()


def an_older_one(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 0")
    db.close()


def a_link(path: str) -> None:
    os.unlink(path)
    os.symlink("/dev/null", path)


def checkpoint(path: str) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


@pytest.mark.parametrize("harm", [damage_header, damage_pages, foreign, an_older_one, a_link, os.unlink])
def test_a_damaged_index_is_made_again(logs: Logs, harm: Callable[[str], None]) -> None:
    assert ids(logs) == ALL
    path = logs.path("index.db")
    checkpoint(path)
    harm(path)
    assert ids(logs) == ALL
    assert not os.path.islink(path)
    assert os.stat(path).st_mode & 0o777 == 0o600


def other_inode(path: str) -> None:
    with open(path, "rb") as file:
        data = file.read()
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.rename(path + ".new", path)


def shorter(path: str) -> None:
    os.truncate(path, 100)


def same_length(path: str) -> None:
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(data.replace(b"busy", b"BUSY"))


@pytest.mark.parametrize("change", [other_inode, shorter, same_length, os.unlink])
def test_another_feed_means_a_rebuild(logs: Logs, change: Callable[[str], None]) -> None:
    assert ids(logs) == ALL
    os.rename(logs.path("free", "double", "20260219_175040"), logs.path("gone"))
    change(logs.path("runs.jsonl"))
    assert [name for name in ids(logs) if name != "5"] == ["4", "3", "2", "1"]


def test_cells_are_what_the_runs_add_up_to(logs: Logs) -> None:
    """Caught up line by line and made again: the same statistics."""
    ids(logs)
    for second in range(6, 10):
        close(logs, record(f"20260220_17504{second}", agent="other", cost_usd=0.5, elapsed_seconds=float(second)))
        ids(logs)
    caught_up = [statistics(Store(logs), kind, None) for kind in ("agent", "task", "model", "day")]
    store = Store(logs)
    assert store.rebuild() == 10
    assert [statistics(store, kind, None) for kind in ("agent", "task", "model", "day")] == caught_up
    other = caught_up[0][1]
    assert (other["median_seconds"], other["p95_seconds"], other["cost_usd"]) == (7.5, 9.0, 2.0)
    assert caught_up[0][0]["cost_usd"] is None
    assert caught_up[0][0]["runs_without_cost"] == 5


def test_since_counts_a_part_of_a_day(logs: Logs) -> None:
    close(logs, record("20260220_000000"))
    found = statistics(Store(logs), "agent", 1771523443.0)  # 2026-02-19T17:50:43Z
    assert [(group["runs"], group["skipped"]) for group in found] == [(3, 1)]


def test_no_log_folder_is_no_runs(tmp_path: Path) -> None:
    assert entries(Store(Logs(str(tmp_path / "nowhere"))), Filter()) == []
    assert not (tmp_path / "nowhere").exists()


def test_several_at_once(logs: Logs) -> None:
    """Each of many processes makes or finds the same index."""
    code = "import sys; from tests.test_store import ids; from runner.logs import Logs; print(ids(Logs(sys.argv[1])))"
    command = [sys.executable, "-c", code, logs.root]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert {process.communicate(timeout=60)[0] for process in processes} == {f"{ALL}\n"}
