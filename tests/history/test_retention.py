"""Old runs are removed: which ones, and never one that is live or was not reported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runner.history.retention import OldRun, Retention, read_retention, select
from tests.history.test_history import check

if TYPE_CHECKING:
    from tests.helpers import Project

NOW = 1771523443.0  # 2026-02-19T17:50:43Z
DAY = 86400.0
RUNS = [
    OldRun("20260101_000000", "a", good=False, size=10),
    OldRun("20260102_000000", "b", good=True, size=10),
    OldRun("20260210_000000", "c", good=False, size=10),
    OldRun("20260211_000000", "d", good=True, size=10),
    OldRun("20260219_000000", "e", good=True, size=10),
]


@pytest.mark.parametrize(
    ("bounds", "gone"),
    [
        ({}, ""),
        ({"keep": 30 * DAY}, "b"),
        ({"keep": 30 * DAY, "failures": 40 * DAY}, "ab"),
        ({"failures": 1 * DAY}, "ac"),
        ({"count": 3}, "bd"),
        ({"count": 1}, "abde"),
        ({"size": 25}, "bde"),
        ({"keep": 30 * DAY, "count": 3}, "bd"),
        ({"size": 0, "keep": 0.0}, "abcde"),
    ],
)
def test_which_go(bounds: dict[str, Any], gone: str) -> None:
    wanted = Retention(**{"keep": None, "failures": None, "count": None, "size": None, **bounds})
    assert "".join(run.folder for run in select(RUNS, wanted, NOW)) == gone


def test_failures_are_kept_longer_by_default() -> None:
    assert read_retention({}) == Retention(90 * DAY, 180 * DAY, None, None)
    assert read_retention({"retention": {"keep": "none", "failures": "1d"}}).keep is None
    assert read_retention({"retention": {"keep": "2d", "count": 5, "size": "1kB"}}) == Retention(
        2 * DAY, 4 * DAY, 5, 1000
    )


@pytest.fixture
def kept_one(project: Project) -> Project:
    """Four runs of which one may stay."""
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + "settings: {retention: {count: 1}}\n")
    for _ in range(4):
        project("run", "double", "free")
    return project


def test_prune(kept_one: Project) -> None:
    folders = kept_one.folders()
    done = kept_one("prune", "--dry-run")
    assert done.stdout.splitlines()[-1] == "3 runs would be removed"
    assert kept_one.folders() == folders
    shown = json.loads(kept_one("prune", "--json").stdout)
    check("prune", shown)
    assert shown["runs"] == [folder.name for folder in folders[:3]]
    assert kept_one.folders() == folders[3:]
    assert [path.name for path in (kept_one.root / "logs" / "ids").iterdir()] == [folders[3].name]
    assert not list((kept_one.root / "logs" / "live").iterdir())
    for words in (["runs", "--json"], ["runs", "--rebuild", "--json"]):
        assert [json.loads(line)["run_id"] for line in kept_one(*words).stdout.splitlines()] == [folders[3].name]
    assert kept_one("prune").stdout == "0 runs removed\n"


def test_what_was_not_reported_stays(kept_one: Project) -> None:
    first, second, third, _ = kept_one.folders()
    found = json.loads((first / "metadata.json").read_text())
    found["notification"]["state"] = "pending"
    (first / "metadata.json").write_text(json.dumps(found))
    kept_one.write(f"logs/outbox/{second.name}.json", "{}")
    (third / "metadata.json").write_text("damaged")
    assert kept_one("prune", "--dry-run").stdout == "0 runs would be removed\n"
    assert kept_one("prune").stdout == "0 runs removed\n"
    assert len(kept_one.folders()) == 4
    assert not list((kept_one.root / "logs" / "live").iterdir())


def test_a_live_run_is_kept(kept_one: Project) -> None:
    import fcntl

    first = kept_one.folders()[0]
    with kept_one.write(f"logs/live/{first.name}", "").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert kept_one("prune").stdout == "2 runs removed\n"
    assert first.exists()


def test_the_heartbeat_prunes_once_a_day(kept_one: Project) -> None:
    assert kept_one("heartbeat").returncode == 0
    assert len(kept_one.folders()) == 1
    kept_one("run", "double", "free")
    kept_one("heartbeat")
    assert len(kept_one.folders()) == 2
    kept_one.write("logs/state/pruned", "0\n")
    kept_one("heartbeat")
    assert len(kept_one.folders()) == 1
    assert "pruned 1" in (kept_one.root / "logs" / "heartbeat" / "task.log").read_text()
