"""What the sweeps share."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.process.cgroup import own_folder
from runner.records.folder import candidate_ids
from tests.doubles.ntfy import Ntfy
from tests.helpers import AGENTS, make_project, notifying, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers import Project
    from tests.sweeps.faults import Point

DOUBLES = Path(__file__).resolve().parent / "doubles"
TOPIC = "runs"
SIDE_BY_SIDE = 3
_SOON = 30  # seconds
_BESIDE = (0, *(0, 1, -1, 2, -2) * 4)


class Pulse:
    """A named pipe that every process of an agent's tree holds open: it ends when the last of them has ended."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def over(self, seconds: float = 0.0) -> bool:
        """Whether there were processes and all are gone, within so many seconds."""
        return bool(self._poll.poll(seconds * 1000))

    def close(self) -> None:
        os.close(self._fd)


def sweep(points: list[Point], strike: Callable[[Point], tuple[str | None, list[str]]]) -> None:
    """Every point, some side by side; fails with what was wrong at each.

    `strike` gives the point that was met, by its `what`, and what was wrong. No life has as many wake-ups as the one in
    which the points were counted: what was not met is looked for beside its place.
    """
    met: set[str | None] = set()
    wrong: list[str] = []

    def one(point: Point) -> tuple[str | None, list[str]]:
        try:
            what, found = strike(point)
        except Exception as error:
            what, found = point.what, [repr(error)]
        return what, [f"{point}: {line}" for line in found]

    for beside in _BESIDE:
        left = [replace(point, number=max(1, point.number + beside)) for point in points if point.what not in met]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for what, found in pool.map(one, left):
                met.add(what)
                wrong += found
    wrong += [f"{point}: not met" for point in points if point.what not in met]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def coming_ids() -> list[str]:
    """The names that a run has which begins soon."""
    now = time.time()
    return [next(candidate_ids(now + seconds)) for seconds in range(_SOON)]


def talking(folder: Path, server: Ntfy) -> Project:
    """A project whose agent keeps count of what it says, and which sends messages."""
    folder.mkdir(parents=True)
    project = notifying(make_project(folder), server.url)
    project.write("agents.yaml", AGENTS.replace("DOUBLE", str(DOUBLES / "talker.py")))
    return project


def warm(folder: Path) -> None:
    """Modules are compiled once; what is counted afterwards does not see it."""
    with Ntfy() as server:
        project = talking(folder, server)
        assert project("run", "double", "free", "--var", "mode=go").returncode == project("heartbeat").returncode == 0


def settled(project: Project) -> None:
    """Until the runner and the guardian are both gone: the workspace lock says so."""
    path = project.root / ".git" / "runner.lock"
    if path.exists():
        wait_until(lambda: _free(path), 30)


def _free(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def broken_promises(project: Project, server: Ntfy, begun: int) -> list[str]:
    """What is wrong after whatever happened to so many runs that had begun, once the next command has ended."""
    logs = project.root / "logs"
    found = []

    def expect(what: str, seen: object, wanted: object) -> None:
        if seen != wanted:
            found.append(f"{what}: {seen} and not {wanted}")

    records, damaged = _records(project)
    ids = sorted(record["run_id"] for record in records)
    expect("damaged records", damaged, [])
    expect("records", len(records), begun)
    expect("open records", [record["run_id"] for record in records if record["status"] == "running"], [])
    closed = {line["run_id"]: line["status"] for line in project.feed()}
    skipped = {run_id: status for run_id, status in closed.items() if status == "skipped"}
    expect("feed", closed, {record["run_id"]: record["status"] for record in records} | skipped)
    expect("sequence ids of messages", sorted(server.delivered(TOPIC)), sorted({*ids, *skipped}))
    states = {record["notification"]["state"] for record in records}
    expect("messages by the records", states, {"delivered"} if records else set())
    expect("outbox", _names(logs / "outbox"), [])
    expect("live files", _names(logs / "live"), [])
    # A skipped run may have found no room for its id.
    expect("claimed ids", sorted({*_names(logs / "ids"), *skipped}), sorted({*ids, *skipped}))
    expect("folders of runs", sorted(path.name for path in logs.glob("free/*/*")), ids)
    # Of what may be lost (the configuration's cache, the streaks) one may be left: the next write takes its place.
    staging = [path for path in logs.rglob("*.new") if path.parent.name != "streaks"]
    expect("staging files", staging, [])
    expect("processes", project.processes(), [])
    expect("cgroup", _group(project), None)
    expect("what the server refused", server.violations, [])
    return found


def _records(project: Project) -> tuple[list[dict[str, Any]], list[str]]:
    records, damaged = [], []
    for folder in project.folders():
        try:
            records.append(json.loads((folder / "metadata.json").read_text()))
        except ValueError:
            damaged.append(folder.name)
    return records, damaged


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.is_dir()) if folder.exists() else []


def _group(project: Project) -> str | None:
    """The cgroup of the last run, if it is still there; the lock of the workspace says whose that was."""
    path = project.root / ".git" / "runner.lock"
    said = re.match(r"run (\S+) \(.*, pid (\d+)\)", path.read_text()) if path.exists() else None
    group = os.path.join(own_folder() or "", f"runner-{said[1]}-{said[2]}") if said else ""
    return group if os.path.isdir(group) else None
