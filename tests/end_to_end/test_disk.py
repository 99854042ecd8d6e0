"""Full, read-only and deleted folders: what happened to the agent is recorded and told all the same."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from runner.process.pump import Log
from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers import Project

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as running:
        yield running


@pytest.fixture
def small(project: Project) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system as the log folder."""
    logs = project.root / "logs"

    def mount(options: str) -> Path:
        logs.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(logs)], check=True)
        return logs

    yield mount
    subprocess.run(["umount", "-l", str(logs)], check=False, stderr=subprocess.DEVNULL)


@needs_root
@pytest.mark.parametrize("options", ["size=64k", "size=1m,nr_inodes=8", "ro"])
def test_no_room_before_the_run(project: Project, server: Ntfy, small: Callable[[str], Path], options: str) -> None:
    small(options)
    done = notifying(project, server.url)("run", "double", "free", "--var", "mode=touch_dirty", "--set", "argument=ran")
    assert done.returncode == 12, done.stdout + done.stderr
    assert "disk_full" in done.stdout
    assert not (project.root / "ran").exists()
    ((message,),) = server.delivered("runs").values()
    assert message["title"] == "double free: skipped (disk_full)"


@needs_root
@pytest.mark.parametrize("size", [256, 300, 400])
def test_the_disk_fills_while_the_agent_prints(
    project: Project, server: Ntfy, small: Callable[[str], Path], size: int
) -> None:
    logs = small(f"size={size}k")
    done = notifying(project, server.url)("run", "double", "free", "--var", "mode=long_line", "--set", "argument=4")
    assert done.returncode == 0, done.stdout + done.stderr
    record = project.record()
    assert record["status"] == "success"
    assert any("no space left on device" in note for note in record["notes"])
    assert record["agent_exit_code"] == 0
    assert os.listdir(logs / "live") == []
    ((message,),) = server.delivered("runs").values()
    assert "success" in message["title"]
    assert not list(logs.rglob("*.new"))
    for path in logs.rglob("metadata.json"):
        json.loads(path.read_text())


@needs_root
def test_the_disk_is_filled_by_the_agent(project: Project, server: Ntfy, small: Callable[[str], Path]) -> None:
    logs = small("size=400k")
    done = notifying(project, server.url)("run", "double", "free", "--var", "mode=fill", "--set", f"argument={logs}/x")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (project.record()["status"], project.record()["agent_exit_code"]) == ("failed", 7)


def test_an_agent_that_cleans_the_checkout(project: Project, server: Ntfy) -> None:
    notifying(project, server.url)("run", "double", "free")
    earlier = project.folders()[0]
    done = project("run", "double", "free", "--var", "mode=clean")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not earlier.exists()
    (folder,) = project.folders()
    record = project.record()
    assert (record["status"], record["text"]) == ("success", "before\nafter")
    assert any("was deleted" in note for note in record["notes"])
    assert (folder / "stdout.log").read_text() == (folder / "transcript.log").read_text() == "before\nafter\n"
    assert (folder / "prompt.md").read_text() == "Do what the double does.\n"
    assert (project.root / "logs" / "ids" / folder.name).read_text() == "free/double\n"
    assert [line["run_id"] for line in project.feed()] == [folder.name]
    assert len(server.delivered("runs")) == 2
    assert os.listdir(project.root / "logs" / "live") == []


def test_the_beginning_and_the_end_of_long_output_are_kept(project: Project) -> None:
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text.replace("    parser: text\n", "    parser: text\n    max_output: 10kB\n"))
    done = project("run", "double", "free", "--var", "mode=numbers")
    assert done.returncode == 0, done.stderr
    for name in ("stdout.log", "transcript.log"):
        kept = (project.folders()[0] / name).read_text()
        assert kept.startswith("line 0\nline 1\n")
        assert kept.endswith("line 99999\n")
        assert "bytes left out]\n" in kept
        assert len(kept) < 10_100
    assert any("max_output" in note for note in project.record()["notes"])


@pytest.mark.parametrize("limit", [None, 0, 1, 7, 1000, 5000, 10_000_000])
@pytest.mark.parametrize("piece", [1, 13, 4096])
def test_a_log_keeps_its_ends(tmp_path: Path, limit: int | None, piece: int) -> None:
    data = b"".join(b"%d\n" % number for number in range(1000))
    log = Log(str(tmp_path / "log"), limit)
    for start in range(0, len(data), piece):
        log.write(memoryview(data[start : start + piece]))
    log.finish()
    log.close()
    kept = (tmp_path / "log").read_bytes()
    if limit is None or limit >= len(data):
        assert (kept, log.left_out) == (data, 0)
        return
    head = limit - limit // 2
    tail = data[-(limit // 2) :] if limit // 2 else b""
    assert kept == data[:head] + b"\n[runner: %s bytes left out]\n" % f"{len(data) - limit:,}".encode() + tail
    assert log.size == len(data)
