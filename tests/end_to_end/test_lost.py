"""Runs whose two processes are both gone: any command that opens the project closes them, once, with their message."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import kill_both, notifying, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers import Project


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as running:
        yield running


def lose(project: Project, mode: str = "hang") -> None:
    before = len(project.folders())
    process = project.start("run", "double", "free", "--var", f"mode={mode}")
    wait_until(lambda: len(project.folders()) > before and (project.folders()[-1] / "stdout.log").exists())
    wait_until(lambda: (project.folders()[-1] / "stdout.log").stat().st_size)
    kill_both(process)


@pytest.mark.parametrize(
    "words",
    [
        ("heartbeat",),
        ("notify", "flush"),
        ("agents",),
        ("runs",),
        ("show", "last"),
        ("run", "double", "free"),
        ("run", "double", "free", "--dry-run"),
    ],
)
def test_any_command_closes_it_once(project: Project, server: Ntfy, words: tuple[str, ...]) -> None:
    lose(notifying(project, server.url))
    assert project(*words).returncode == 0
    first = project.feed()[0]
    assert (first["status"], first["reason"]) == ("lost", "lost")
    assert first["error"]["evidence"] == "transcript.log:1"
    assert "last sign of life" in first["error"]["message"]
    assert len(server.delivered("runs")[first["run_id"]]) == 1
    assert project.processes() == []
    project(*words)
    assert [line["status"] for line in project.feed()].count("lost") == 1
    assert len(server.delivered("runs")[first["run_id"]]) == 1
    assert os.listdir(project.root / "logs" / "live") == []


def test_the_agent_of_a_lost_run_is_ended_before_the_next_begins(project: Project) -> None:
    lose(project, "hang_with_daemon")
    assert project.processes()
    done = project("run", "double", "free", "--var", "mode=environment")
    assert done.returncode == 0, done.stderr
    assert [line["status"] for line in project.feed()] == ["lost", "success"]
    assert project.processes() == []


def test_a_restart_is_told_by_the_boot_and_not_by_the_clock(project: Project) -> None:
    """Another file in the place of the kernel's boot id, in a mount namespace: all that a restart is, but the wait."""
    lose(project)
    (project.home / "boot").write_text("00000000-0000-4000-8000-000000000000\n")
    inner = 'mount --bind "$HOME/boot" /proc/sys/kernel/random/boot_id && exec "$@"'
    command = [sys.executable, "-m", "runner", "heartbeat"]
    namespace = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    subprocess.run(
        [*namespace, "sh", "-c", inner, "sh", *command], cwd=project.root, env=project.environment(), check=True
    )
    assert "the machine was restarted" in project.record()["error"]["message"]


def test_a_damaged_outbox_file_hides_no_lost_run(project: Project, server: Ntfy) -> None:
    lose(notifying(project, server.url))
    (path,) = (project.root / "logs" / "outbox").glob("*.json")
    path.write_text('{"message": ')
    assert project("heartbeat").returncode == 0
    record = project.record()
    assert list(server.delivered("runs")) == [record["run_id"]]
    assert record["notification"]["state"] == "delivered"
    assert not list((project.root / "logs" / "outbox").glob("*.json"))
    assert [path.name for path in (project.root / "logs" / "outbox" / "dead").iterdir()] == [
        f"{record['run_id']}.json.damaged"
    ]


@pytest.mark.parametrize("owner", ["", "fre", "\x00\x00\x00\x00"])
def test_a_damaged_id_hides_no_lost_run(project: Project, server: Ntfy, owner: str) -> None:
    """A power cut leaves of a file that nobody brought to the disk what it likes."""
    lose(notifying(project, server.url))
    (path,) = (project.root / "logs" / "ids").iterdir()
    path.write_text(owner)
    assert project("heartbeat").returncode == 0
    assert [line["status"] for line in project.feed()] == ["lost"]
    assert list(server.delivered("runs")) == [project.record()["run_id"]]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"status": "running", "run_id": "x"}', '{"schema_version": 99}'])
def test_a_damaged_record_stops_no_command(project: Project, server: Ntfy, text: str) -> None:
    """It is left as it is, nothing of its run lives on, and somebody hears of it; the next lost run is closed."""
    lose(notifying(project, server.url), "hang_with_daemon")
    (project.folders()[0] / "metadata.json").write_text(text)
    lose(project)
    assert project("heartbeat").returncode == 0
    assert project.processes() == []
    assert (project.folders()[0] / "metadata.json").read_text() == text
    assert "is damaged" in (project.root / "logs" / "runner.log").read_text()
    assert os.listdir(project.root / "logs" / "live") == []
    assert len(server.delivered("runs")) == 2
    assert [line["status"] for line in project.feed()] == ["lost"]


def test_what_did_not_begin_is_forgotten(project: Project, server: Ntfy) -> None:
    """Killed between its lock and its record: nobody has heard of it."""
    logs = project.root / "logs"
    assert notifying(project, server.url)("runs").returncode == 0
    for run_id, owner in [("20260101_000001", None), ("20260101_000002", ""), ("20260101_000003", "free/double\n")]:
        (logs / "live").mkdir(parents=True, exist_ok=True)
        (logs / "ids").mkdir(exist_ok=True)
        (logs / "live" / run_id).touch()
        if owner is not None:
            (logs / "ids" / run_id).write_text(owner)
    assert project("heartbeat").returncode == 0
    assert (os.listdir(logs / "live"), os.listdir(logs / "ids")) == ([], [])
    assert server.delivered("runs") == {}
