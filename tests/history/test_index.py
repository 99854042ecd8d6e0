"""The index: caught up from the feed, made again whenever it does not fit."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import RunnerError
from runner.history import index
from runner.history.index import Index
from runner.history.queries import Filter, entries, run_id_at, statistics
from runner.reasons import NOT_BEGUN
from runner.records import metadata
from runner.records.folder import Logs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    if found["status"] not in NOT_BEGUN:
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
    return [entry["run_id"][-1] for entry in entries(Index(logs), Filter(**wanted))]


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
    assert {group["name"]: group["runs"] for group in statistics(Index(logs), "model", None)} == {"m": 4, "n": 1}


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


def test_a_line_that_is_being_written_is_read_when_it_is_whole(logs: Logs) -> None:
    assert ids(logs) == ALL
    line = b"\n" + json.dumps(metadata.line_of(record("20260219_175046"))).encode() + b"\n"
    append(logs, line[:99])
    assert ids(logs) == ALL
    append(logs, line[99:])
    assert ids(logs) == ["6", *ALL]


def test_what_no_database_takes(logs: Logs) -> None:
    """Numbers and texts of an agent, or of another writer of the line."""
    assert ids(logs) == ALL
    error = {"class": "crashed", "message": "x" * 10_000, "retry_at": 7, "evidence": None}
    strange = {"error": error, "tool_calls": 2**70, "cost_usd": 1e300, "session_id": "\ud800", "commits": []}
    line = metadata.line_of(record("20260219_175046", **strange)) | {"elapsed_seconds": float("inf")}
    append(logs, b"\n" + json.dumps(line).encode() + b"\n")
    (found,) = entries(Index(logs), Filter(limit=1))
    assert found["run_id"] == "20260219_175046"
    assert len(found["error"]["message"]) == 500
    assert [found[key] for key in ("tool_calls", "cost_usd", "session_id", "elapsed_seconds")] == [
        None,
        None,
        "?",
        None,
    ]


def test_a_running_run_is_not_in_the_index(logs: Logs) -> None:
    close(logs, record("20260219_175046", status="running"))
    assert ids(logs) == ALL


def test_an_index_that_another_process_writes_is_not_touched(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids(logs) == ALL
    monkeypatch.setattr(index, "_BUSY_SECONDS", 0.05)
    logs.append_run(metadata.line_of(record("20260219_175046")))
    other = sqlite3.connect(logs.path("index.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    inode = os.stat(logs.path("index.db")).st_ino
    with pytest.raises(RunnerError, match="busy"):
        ids(logs)
    assert os.stat(logs.path("index.db")).st_ino == inode
    other.close()
    assert ids(logs) == ["6", *ALL]


def test_pruned_runs_are_gone(logs: Logs) -> None:
    assert ids(logs) == ALL
    append(logs, b'\n{"run_id": "20260219_175045", "pruned": true}\n\n{"run_id": "20260219_175041", "pruned": true}\n')
    assert ids(logs) == ["4", "3", "2", "0"]
    (group,) = statistics(Index(logs), "agent", None)
    assert (group["runs"], group["skipped"]) == (4, 0)
    # Made again from the folders, of which one is still there here.
    Index(logs).rebuild()
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


@pytest.mark.parametrize(
    ("change", "there"), [(other_inode, True), (shorter, False), (same_length, True), (os.unlink, False)]
)
def test_another_feed_means_a_rebuild(logs: Logs, change: Callable[[str], None], there: bool) -> None:
    assert ids(logs) == ALL
    os.rename(logs.path("free", "double", "20260219_175040"), logs.path("gone"))
    close(logs, record("20260219_175041", model="made again"))
    change(logs.path("runs.jsonl"))
    found = [entry for entry in entries(Index(logs), Filter()) if entry["run_id"][-1] != "5"]
    assert [entry["model"] for entry in found if entry["run_id"].endswith("1")] == ["made again"]
    # Of a run without a folder there is the journal's line, as long as there is that.
    assert [entry["run_id"][-1] for entry in found] == ["4", "3", "2", "1", *(["0"] if there else [])]


def test_cells_are_what_the_runs_add_up_to(logs: Logs) -> None:
    """Caught up line by line and made again: the same statistics."""
    ids(logs)
    for second in range(6, 10):
        close(logs, record(f"20260220_17504{second}", agent="other", cost_usd=0.5, elapsed_seconds=float(second)))
        ids(logs)
    caught_up = [statistics(Index(logs), kind, None) for kind in ("agent", "task", "model", "day")]
    made = Index(logs)
    assert made.rebuild() == 10
    assert [statistics(made, kind, None) for kind in ("agent", "task", "model", "day")] == caught_up
    other = caught_up[0][1]
    assert (other["median_seconds"], other["p95_seconds"], other["cost_usd"]) == (7.5, 9.0, 2.0)
    assert caught_up[0][0]["cost_usd"] is None
    assert caught_up[0][0]["runs_without_cost"] == 5


@pytest.mark.parametrize(
    ("seconds", "median", "p95"),
    [([None], None, None), ([1], 1.0, 1.0), ([2, 1, None], 1.5, 2.0), ([3, 1, 2], 2.0, 3.0), (range(100), 49.5, 94.0)],
    ids=["unknown", "1", "2", "3", "100"],
)
def test_quantiles(tmp_path: Path, seconds: Sequence[float | None], median: float | None, p95: float | None) -> None:
    logs = Logs(str(tmp_path / "logs"))
    logs.prepare()
    for number, elapsed in enumerate(seconds):
        close(logs, record(f"20260219_{number:06}", elapsed_seconds=elapsed))
    (group,) = statistics(Index(logs), "agent", None)
    assert (group["runs"], group["median_seconds"], group["p95_seconds"]) == (len(seconds), median, p95)


SINCE = (None, 1771502400.0, 1771523443.0, 1771632000.0)  # always, from a midnight, within a day, from a day to come


@pytest.mark.parametrize("many", [500, 3], ids=["few", "many"])
@pytest.mark.parametrize("seed", range(3))
def test_statistics_equal_a_plain_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, many: int) -> None:
    """After the first filling, after lines that came since and took runs away, and after a rebuild."""
    monkeypatch.setattr(index, "_MAX_TOTALS", many)
    dice = random.Random(seed)
    logs = Logs(str(tmp_path / "logs"))
    logs.prepare()
    known: dict[str, dict[str, Any]] = {}

    def reckoned() -> bool:
        found = Index(logs)
        wanted = [(kind, since) for kind in ("agent", "task", "model", "day") for since in SINCE]
        for kind, since in wanted:
            assert statistics(found, kind, since) == reckon(list(known.values()), kind, since), (kind, since)
        return True

    for _ in range(80):
        found = drawn(dice)
        known[found["run_id"]] = found
        close(logs, found)
    assert reckoned()
    for number in range(40):
        found = drawn(dice)
        old = dice.choice(list(known))
        if number % 4 == 0:
            shutil.rmtree(logs.path(known[old]["task"], known[old]["agent"], old), ignore_errors=True)
            del known[old]
            append(logs, json.dumps({"run_id": old, "pruned": True}).encode().join([b"\n", b"\n"]))
        elif found["run_id"] not in known:
            known[found["run_id"]] = found
            close(logs, found)
        assert number % 10 or reckoned()
    assert reckoned()
    Index(logs).rebuild()
    assert reckoned()


def drawn(dice: random.Random) -> dict[str, Any]:
    """A run of one of three days, with all that may be unknown."""
    run_id = (
        f"2026021{dice.randrange(8, 11) % 10}_{dice.randrange(24):02}{dice.randrange(60):02}{dice.randrange(60):02}"
    )
    return record(
        run_id.replace("20260210", "20260220"),
        agent=dice.choice(("double", "other")),
        task=dice.choice(("free", "tidy", "tests")),
        model=dice.choice((None, "m", "n")),
        status=dice.choice(("success", "success", "failed", "skipped", "missed")),
        elapsed_seconds=dice.choice((None, dice.randrange(20000) / 1000, dice.randrange(5) / 1.0)),
        usage=dice.choice((None, {"input_tokens": dice.randrange(1000), "output_tokens": 5})),
        cost_usd=dice.choice((None, 0.0, dice.randrange(64) / 64)),
        commits=[{"sha": "a", "subject": "b"}] * dice.randrange(3),
    )


def reckon(records: list[dict[str, Any]], kind: str, since: float | None) -> list[dict[str, Any]]:
    """The statistics as one would write them without an index."""
    began = "" if since is None else run_id_at(since)
    groups: dict[Any, list[dict[str, Any]]] = {}
    for found in records:
        if found["run_id"] >= began:
            day = found["run_id"][:8]
            name = f"{day[:4]}-{day[4:6]}-{day[6:]}" if kind == "day" else found[kind]
            groups.setdefault(name, []).append(found)
    return [reckon_group(name, groups[name], kind) for name in sorted(groups, key=lambda name: name or "")]


def reckon_group(name: str | None, found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    began = [run for run in found if run["status"] not in NOT_BEGUN]
    usages = [run["usage"] for run in found if run["usage"]]
    costs = [run["cost_usd"] for run in found if run["cost_usd"] is not None]
    elapsed = sorted(round(1000 * run["elapsed_seconds"]) for run in began if run["elapsed_seconds"] is not None)
    per_day = Counter(run["run_id"][:8] for run in began)
    return {
        "name": name,
        "runs": len(began),
        "successes": sum(run["status"] == "success" for run in found),
        "success_rate": sum(run["status"] == "success" for run in found) / len(began) if began else None,
        "skipped": len(found) - len(began),
        "median_seconds": median(elapsed) / 1000 if elapsed else None,
        "p95_seconds": elapsed[math.ceil(95 * len(elapsed) / 100) - 1] / 1000 if elapsed else None,
        "input_tokens": sum(usage["input_tokens"] for usage in usages) if usages else None,
        "output_tokens": sum(usage["output_tokens"] for usage in usages) if usages else None,
        "cache_read_tokens": None,
        "runs_without_tokens": sum(run["usage"] is None for run in began),
        "cost_usd": sum(costs) if costs else None,
        "runs_without_cost": sum(run["cost_usd"] is None for run in began),
        "commits": sum(len(run["commits"]) for run in found),
        "days": {} if kind == "day" else {run["run_id"][:8]: per_day[run["run_id"][:8]] for run in found},
    }


def test_days_are_all_or_the_last(logs: Logs) -> None:
    for day in range(1, 21):
        close(logs, record(f"202603{day:02}_120000"))
    for last, number in ((None, 21), (14, 14), (1, 1)):
        (group,) = statistics(Index(logs), "agent", None, last)
        assert len(group["days"]) == number
        assert max(group["days"]) == "20260320"


def test_since_counts_a_part_of_a_day(logs: Logs) -> None:
    close(logs, record("20260220_000000"))
    found = statistics(Index(logs), "agent", 1771523443.0)  # 2026-02-19T17:50:43Z
    assert [(group["runs"], group["skipped"]) for group in found] == [(3, 1)]


def test_no_log_folder_is_no_runs(tmp_path: Path) -> None:
    assert entries(Index(Logs(str(tmp_path / "nowhere"))), Filter()) == []
    assert not (tmp_path / "nowhere").exists()


def test_several_at_once(logs: Logs) -> None:
    """Each of many processes makes or finds the same index."""
    code = "import sys; from tests.history.test_index import ids; from runner.records.folder import Logs; print(ids(Logs(sys.argv[1])))"
    command = [sys.executable, "-c", code, logs.root]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert {process.communicate(timeout=60)[0] for process in processes} == {f"{ALL}\n"}
