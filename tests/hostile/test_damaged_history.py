"""Records, journal and index as an agent, a newer version or a disk may leave them; and one look at a wrong clock."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner.history.tables import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Project

COMMANDS = [
    "show last",
    "show last --json",
    "why last",
    "diff last",
    "logs last",
    "runs",
    "runs --json",
    "stats",
    "stats --by day --json",
    "triage",
    "prune --dry-run",
    "ps",
    "heartbeat",
]
LIMIT = 30.0
DAMAGES: dict[str, dict[str, Any]] = {
    "commits are a text": {"commits": "x"},
    "commits are numbers": {"commits": [1, 2]},
    "a commit without subject": {"commits": [{"sha": "0123456"}]},
    "notes are objects": {"notes": [{}]},
    "notes are null": {"notes": None},
    "text is a number": {"text": 5},
    "model is a list": {"model": ["m"]},
    "a reason to come": {"reason": "moon_phase", "status": "failed", "error": None},
    "a reason and an error to come": {
        "reason": "moon_phase",
        "status": "failed",
        "error": {"class": "moon_phase", "message": "full", "retry_at": None, "evidence": None},
    },
    "a status to come": {"status": "paused", "reason": "tea"},
    "status is a number": {"status": 7},
    "usage is a text": {"usage": "many"},
    "usage has texts": {"usage": {"input_tokens": "x", "output_tokens": []}},
    "cost is a text": {"cost_usd": "free"},
    "cost is huge": {"cost_usd": 1e300},
    "elapsed is NaN": {"elapsed_seconds": float("nan")},
    "elapsed is negative": {"elapsed_seconds": -1e9},
    "error is a text": {"error": "bad"},
    "evidence is a number": {"status": "failed", "reason": "agent_error", "error": {"evidence": 5}},
    "evidence is elsewhere": {
        "status": "failed",
        "reason": "agent_error",
        "error": {"class": "agent_error", "message": "m", "retry_at": "soon", "evidence": "../../x:1"},
    },
    "notification is null": {"notification": None},
    "notification is a list": {"notification": []},
    "notification has numbers": {"notification": {"state": 5}},
    "no version": {"schema_version": None, "usage": "x", "notification": 5, "commits": {}},
    "a version below all": {"schema_version": -4},
    "a version to come": {"schema_version": 99, "shape": {}},
    "a version that is none": {"schema_version": "two"},
    "attempt is a text": {"attempt": "first"},
    "times are numbers": {"started_at": 5, "ended_at": None},
    "left is a text": {"left": "much"},
    "argv is a text": {"argv": "rm"},
    "exit code is true": {"exit_code": True},
    "agent is a path": {"agent": "../.."},
    "another's id": {"run_id": "20300101_000000"},
}
FILES = {
    "empty": b"",
    "torn": b'{"run_id": "2026',
    "a list": b"[1, 2]",
    "deep": b"[" * 100_000,
    "no text": bytes(range(256)),
    "nulls": b"\0" * 5000,
}
INDEX = {
    "texts for numbers": "UPDATE runs SET elapsed_ms = 'x', input_tokens = 'y', commits = 'z', cost_usd = 'c'",
    "numbers for texts": "UPDATE runs SET agent = 5, status = 7, model = 1.5",
    "blobs": "UPDATE runs SET run_id = CAST(run_id AS BLOB), task = x'00'",
    "nulls": "UPDATE runs SET started_at = NULL, elapsed_ms = NULL, model = NULL",
    "huge": "UPDATE runs SET elapsed_ms = 9223372036854775807, exit_code = 1e300",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON runs BEGIN SELECT RAISE(FAIL, 'no'); END",
    "a trigger that works for ever": "CREATE TRIGGER t BEFORE DELETE ON mark BEGIN"
    " INSERT INTO mark WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x, x, x, x FROM c; END",
    "a view that never ends": "DROP TABLE runs; CREATE VIEW runs AS"
    " WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    f" SELECT {', '.join(f'x AS {name}' for name in COLUMNS)} FROM c",
    "other columns": "DROP TABLE runs; CREATE TABLE runs (x)",
    "no table": "DROP TABLE runs",
    "totals of texts": "UPDATE cells SET runs = 'many', cost_usd = 'x', name = 5",
    "a mark of texts": "UPDATE mark SET inode = 'a', begin = 'b', end = 'c', digest = 5",
    "a mark far away": "UPDATE mark SET begin = 9223372036854775807, end = -5",
    "two marks": "INSERT INTO mark SELECT * FROM mark",
    "another version": "PRAGMA user_version = 77",
    "not ours": "PRAGMA application_id = 5",
}


@pytest.fixture
def ran(project: Project) -> Project:
    for mode in ("hello", "hello"):
        assert project("run", "double", "free", "--var", f"mode={mode}").returncode == 0
    project("runs")
    return project


def all_answer(project: Project) -> None:
    """Every command that reads runs ends in time, with no traceback and no internal error."""
    for command in COMMANDS:
        done = project(*command.split(), timeout=LIMIT)
        assert done.returncode in (0, 1), (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, command


@pytest.mark.parametrize("index", ["kept", "made again"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record(ran: Project, damage: str, index: str) -> None:
    path = ran.folders()[-1] / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **DAMAGES[damage]}))
    if index == "made again":
        (ran.root / "logs" / "index.db").unlink()

    all_answer(ran)
    assert len(ran("runs").stdout.splitlines()) == 3, "a line of the journal is a run in every list"


@pytest.mark.parametrize("content", FILES)
def test_a_record_that_is_none(ran: Project, content: str) -> None:
    (ran.folders()[-1] / "metadata.json").write_bytes(FILES[content])
    (ran.root / "logs" / "index.db").unlink()

    all_answer(ran)
    assert len(ran("runs").stdout.splitlines()) == 3


@pytest.mark.parametrize("sql", INDEX)
def test_a_damaged_index(ran: Project, sql: str) -> None:
    before = ran("runs").stdout
    with sqlite3.connect(ran.root / "logs" / "index.db") as db:
        db.executescript(INDEX[sql])
    db.close()

    all_answer(ran)
    assert sql == "nulls" or ran("runs").stdout == before


def gone(path: Path) -> None:
    shutil.rmtree(path)


def linked(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("/nowhere")


def replaced(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no folder")


@pytest.mark.parametrize("index", ["kept", "made again"])
@pytest.mark.parametrize("change", [gone, linked, replaced])
def test_a_run_of_which_only_the_line_is_left(ran: Project, change: Callable[[Path], None], index: str) -> None:
    first, last = ran.folders()
    change(last)
    if index == "made again":
        (ran.root / "logs" / "index.db").unlink()
    (ran.root / "logs" / "ids" / first.name).unlink()

    listed = [json.loads(line)["run_id"] for line in ran("runs", "--json").stdout.splitlines()]
    assert listed == [last.name, first.name]
    assert last.name in ran("why", "last").stdout
    assert last.name in ran("show", last.name).stdout
    assert json.loads(ran("stats", "--json").stdout)["groups"][0]["runs"] == 2
    assert ran("logs", "last").returncode == 1
    assert ran("prune").returncode == 0


def test_a_pruned_run_stays_gone(ran: Project) -> None:
    ran.write("tasks.yaml", (ran.root / "tasks.yaml").read_text() + "settings: {retention: {count: 1}}\n")
    kept = ran.folders()[-1].name
    assert ran("prune").stdout == "1 run removed\n"
    (ran.root / "logs" / "index.db").unlink()

    assert [json.loads(line)["run_id"] for line in ran("runs", "--json").stdout.splitlines()] == [kept]


def aged(project: Project, run_id: str, new: str) -> None:
    """A run as if it had begun at another time."""
    for path in project.root.glob(f"logs/**/{run_id}"):
        path.rename(path.with_name(new))
    whole_id = re.compile(rf"{run_id}(?![-_\w])")  # the second run of a second is named after the first
    for path in [*project.root.glob(f"logs/*/*/{new}/metadata.json"), project.root / "logs" / "runs.jsonl"]:
        path.write_text(whole_id.sub(new, path.read_text()))
    (project.root / "logs" / "index.db").unlink(missing_ok=True)


def test_one_look_at_a_wrong_clock_removes_nothing(ran: Project) -> None:
    for at, folder in enumerate(ran.folders()):
        aged(ran, folder.name, f"2016010{at + 1}_000000")
    look = ran.root / "logs" / "state" / "pruned"

    for seen in (None, time.time() - 400 * 86400, time.time() + 10 * 365 * 86400):
        look.unlink(missing_ok=True)
        if seen is not None:
            ran.write("logs/state/pruned", f"{seen}\n")
        assert ran("heartbeat").returncode == 0
        assert len(ran.folders()) == 2
    assert "2 old runs stay for now" in (ran.root / "logs" / "runner.log").read_text()

    ran.write("logs/state/pruned", f"{time.time() - 86500}\n")
    assert ran("heartbeat").returncode == 0
    assert len(ran.folders()) == 0, "two looks a day apart agree"


def test_a_person_prunes_at_once(ran: Project) -> None:
    aged(ran, ran.folders()[0].name, "20160101_000000")

    assert ran("prune").stdout == "1 run removed\n"


def test_last_is_not_a_run_of_the_future(ran: Project) -> None:
    first, last = (folder.name for folder in ran.folders())
    aged(ran, first, "20360101_000000")

    assert ran("show", "last").stdout.count(last) >= 1
    assert last in ran("show", "last:double/free").stdout
    aged(ran, last, "20370101_000000")
    assert "20370101_000000" in ran("show", "last").stdout, "where all are of the future, the last of them"
