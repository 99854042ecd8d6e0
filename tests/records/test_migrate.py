"""Records of older versions of the schema stay readable, by every command that reads one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from runner.records.metadata import SCHEMA_VERSION
from runner.records.migrate import MIGRATIONS, upgrade
from runner.records.store import read_metadata
from tests.helpers import DATA, ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

OLD = sorted((DATA / "records").glob("*.json"))
SCHEMA = json.loads((ROOT / "schema" / "metadata.schema.json").read_text())


def test_there_is_a_step_from_every_version() -> None:
    assert sorted(MIGRATIONS) == list(range(SCHEMA_VERSION))
    assert {int(path.name.split("_")[0]) for path in OLD} == set(MIGRATIONS)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_old_records_become_present_ones(path: Path) -> None:
    old = json.loads(path.read_text())
    new = upgrade({"argv": ["x"], "cwd": "/", "config_hash": "0", "runner_version": "0", **old})
    jsonschema.validate(new, SCHEMA)
    assert {key: new[key] for key in old if key not in ("commits", "usage")} == {
        key: old[key] for key in old if key not in ("commits", "usage")
    }
    assert [commit["sha"] for commit in new["commits"]] == old.get("commits", [])


def test_what_was_known_of_a_message_stays() -> None:
    new = upgrade({"notification": {"state": "delivered", "attempts": 2}})["notification"]
    assert (new["state"], new["attempts"], new["last_error"]) == ("delivered", 2, None)


def test_a_version_to_come_is_left_alone() -> None:
    assert upgrade({"schema_version": 99, "commits": "?"}) == {"schema_version": 99, "commits": "?"}


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_commands_read_them(project: Project, path: Path) -> None:
    old = json.loads(path.read_text())
    place = f"logs/{old['task']}/{old['agent']}/{old['run_id']}"
    project.write(f"{place}/metadata.json", path.read_text())
    project.write(f"logs/ids/{old['run_id']}", f"{old['task']}/{old['agent']}\n")
    assert read_metadata(str(project.root / place))["schema_version"] == SCHEMA_VERSION  # type: ignore[index]
    for words in (["show", old["run_id"]], ["why", "last"], ["runs"], ["stats"], ["triage"], ["prune", "--dry-run"]):
        done = project(*words)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
    assert old["run_id"] in project("runs").stdout
