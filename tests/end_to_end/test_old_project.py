"""A project whose logs/, outbox, state and cache were written by an older runner (commit b06c8b8), kept as data.

It holds: two good runs (one message not delivered), a failed one, one that met `auth` (a cooldown), one whose message
is a dead letter, a skipped one, a schedule, a configuration that was broken once, and a run that lost its runner.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import DATA, ROOT, make_project, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers import Project

OLD = DATA / "old_project"
FACTS = json.loads((OLD / "facts.json").read_text())
RUNS = [
    ("20261128_000937", "success"),
    ("20261128_000937_02", "failed"),
    ("20261128_000938", "failed"),
    ("20261128_000938_02", "skipped"),
    ("20261128_000938_03", "failed"),
    ("20261128_000939", "success"),
    ("20261128_000941", "lost"),
]
PENDING, DEAD, LOST = "20261128_000939", "20261128_000938_03", "20261128_000941"


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as running:
        yield running


@pytest.fixture
def old(tmp_path: Path, server: Ntfy) -> Project:
    """The old project in a new place, with its state below a new home."""
    project = make_project(tmp_path)
    state = project.home / ".local" / "state" / "runner"
    shutil.copytree(OLD / "project", project.root, dirs_exist_ok=True)
    shutil.copytree(OLD / "state" / "runner", state)
    places = {
        FACTS["root"]: str(project.root),
        FACTS["home"]: str(project.home),
        FACTS["url"]: server.url,
        "CLONE": str(ROOT),
    }
    for path in (*project.root.rglob("*"), *state.rglob("*")):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".yaml", ".log") and ".git" not in path.parts:
            text = path.read_text()
            for before, after in places.items():
                text = text.replace(before, after)
            path.write_text(text)
            path.chmod(0o600)  # as the runner made it; git keeps no such modes
    # Files of the state are named by a digest of the project's folder.
    digest = hashlib.blake2b(os.fsencode(os.path.realpath(project.root)), digest_size=8).hexdigest()
    for path in [*(state / "projects").iterdir(), *(state / "config").iterdir()]:
        path.rename(path.with_name(f"{digest}.json"))
    return project


def messages(server: Ntfy) -> dict[str, int]:
    return {name: len(revisions) for name, revisions in server.delivered("runs").items()}


def test_every_run_is_there(old: Project) -> None:
    done = old("runs", "--json", "--limit", "all")
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["run_id"], line["status"]) for line in reversed(lines)] == RUNS
    for run_id, status in RUNS:
        shown = old("show", run_id, "--json")
        assert json.loads(shown.stdout)["status"] == status, shown.stderr
        assert old("why", run_id).returncode == 0


@pytest.mark.parametrize("first", [("heartbeat",), ("notify", "flush"), ("triage",)], ids=" ".join)
def test_what_was_left_is_finished_once(old: Project, server: Ntfy, first: tuple[str, ...]) -> None:
    """The lost run is closed, both messages arrive, and neither is repeated."""
    for words in (first, ("heartbeat",), ("notify", "flush"), ("heartbeat",)):
        done = old(*words)
        assert done.returncode == (1 if words == ("triage",) else 0), done.stderr
        if words != ("triage",):  # what it found another process sending is sent a moment later
            wait_until(lambda: not list((old.root / "logs" / "outbox").glob("*.json")))
    assert messages(server)[PENDING] == 1
    assert messages(server)[LOST] == 1
    assert os.listdir(old.root / "logs" / "live") == []
    assert [path.name for path in (old.root / "logs" / "outbox").glob("*.json")] == []
    assert old.record()["reason"] == "lost"
    assert old.record()["notification"]["state"] == "delivered"


def test_what_waits_for_a_person_is_shown(old: Project) -> None:
    letters = json.loads(old("notify", "list", "--json").stdout)
    assert DEAD in json.dumps(letters)
    told = old("triage", "--since", "all").stdout
    assert "lost" in told
    assert "message" in told
    assert json.loads((old.root / "logs/state/cooldowns/limited.json").read_text())["reason"] == "auth"
    assert old("agents", "clear", "limited").returncode == 0
    assert not (old.root / "logs/state/cooldowns/limited.json").exists()


def test_its_schedule_goes_on(old: Project, server: Ntfy) -> None:
    """Starts since then were missed, which is told; the schedule is not taken for a new one."""
    assert old("heartbeat").returncode == 0
    kept = json.loads((old.root / "logs/state/schedules/nightly.json").read_text())
    before = json.loads((OLD / "project/logs/state/schedules/nightly.json").read_text())
    assert kept["state"]["fingerprint"] == before["state"]["fingerprint"]
    assert kept["state"]["next_due"] >= before["state"]["next_due"]


def test_its_broken_configuration_is_told_by_the_old_settings(old: Project, server: Ntfy) -> None:
    (old.root / "tasks.yaml").write_text("tasks: [\n")
    for _ in range(3):
        assert old("heartbeat").returncode == 3
    found = [name for name in messages(server) if name.startswith("config_")]
    assert len([name for name in found if name != "config_1795824580361_6f180d00"]) == 1


def test_a_new_run_stands_beside_the_old_ones(old: Project, server: Ntfy) -> None:
    assert old("run", "double", "free").returncode == 0
    lines = [line["run_id"] for line in old.feed() if line["status"] == "success"]
    assert len(lines) == 3
    assert messages(server)[lines[-1]] == 1
    groups = json.loads(old("stats", "--json", "--since", "all").stdout)["groups"]
    assert sum(group["runs"] + group["skipped"] for group in groups) == len(RUNS) + 1
