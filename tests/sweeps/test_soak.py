"""Three hundred runs of agents that behave badly, six at a time: each has its record and its message, nothing grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from runner.process.cgroup import own_folder
from tests.doubles.ntfy import Ntfy
from tests.helpers import AGENTS, DOUBLE, make_project
from tests.sweeps.helpers import DOUBLES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures

pytestmark = pytest.mark.sweep

REPOSITORIES, RUNS = 6, 50
EARLIER = RUNS - 20  # runs after which everything is loaded, and the same manner was the last as at the end
GROWTH = 12 << 10  # kilobytes that the allocator keeps of a flood, another time more, another less
KEPT = 2  # objects that one run may leave: the driver's own note of it is one
TIMED_OUT = 11
MISSING = "  missing: {extends: double, binary: no-such-program}\nparsers:\n"
LIMITS = "    parser: text\n    grace: 200ms\n    linger: 200ms\n    max_output: 1MB\n"
# agent, mode, argument, and the exit code
MANNERS = [
    ("double", "hello", None, 0),
    ("double", "exit_with", "7", 1),
    ("double", "silent", None, 1),
    ("double", "hang", None, TIMED_OUT),
    ("double", "ignore_term", None, TIMED_OUT),
    ("double", "hang_silently", None, TIMED_OUT),
    ("double", "daemon_keeps_stdout", None, 0),
    ("double", "stubborn_daemon", None, 0),
    ("double", "double_fork", None, 0),
    ("double", "hang_with_daemon", None, TIMED_OUT),
    ("double", "long_line", "2", 0),
    ("double", "bytes_of_every_kind", None, 0),
    ("double", "numbers", None, 0),
    ("double", "flood", None, TIMED_OUT),
    ("double", "kill_myself", None, 1),
    ("double", "nap", None, 0),
    ("double", "dirty", None, 0),
    ("missing", "hello", None, 1),
    ("jsonl", "result_then_hang", None, 0),
    ("jsonl", "exit_with", "0", 1),
]


def words(number: int) -> list[str]:
    agent, mode, argument, code = MANNERS[number % len(MANNERS)]
    option = [] if argument is None else ["--set", f"argument={argument}"]
    timeout = "500ms" if code == TIMED_OUT else "60s"
    return ["run", agent, "free", "--var", f"mode={mode}", "--timeout", timeout, *option]


def soaked(folder: Path, url: str, topic: str) -> Project:
    project = make_project(folder)
    agents = AGENTS.replace("DOUBLE", str(DOUBLE)).replace("    parser: text\n", LIMITS).replace("parsers:\n", MISSING)
    project.write("agents.yaml", agents)
    tasks = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", f"{tasks}notify:\n  ntfy: {{url: '{url}', topic: {topic}}}\n")
    return project


def drive(project: Project, first: int) -> tuple[int, list[list[int]]]:
    """The runs of one repository, all in one process: its pid, and the exit code, open files, kilobytes in memory and
    objects after each.
    """
    process = subprocess.Popen(
        [sys.executable, DOUBLES / "driver.py"],
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = process.communicate(json.dumps([words(first + number) for number in range(RUNS)]), timeout=400)
    return process.pid, json.loads(out)


def test_three_hundred_runs(tmp_path: Path, figures: Figures) -> None:
    began = time.monotonic()
    with Ntfy(burst=10 * REPOSITORIES * RUNS) as server:
        topics = [f"soak{number}" for number in range(REPOSITORIES)]
        projects = [soaked(tmp_path / topic, server.url, topic) for topic in topics]
        with ThreadPoolExecutor(REPOSITORIES) as pool:
            seen = list(pool.map(drive, projects, range(0, 3 * REPOSITORIES, 3)))
        told = {topic: server.delivered(topic) for topic in topics}
        assert server.violations == []
    for index, (project, topic) in enumerate(zip(projects, topics, strict=True)):
        pid, after = seen[index]
        codes = [code for code, *_ in after]
        assert codes == [MANNERS[(3 * index + number) % len(MANNERS)][3] for number in range(RUNS)]
        records = [json.loads((folder / "metadata.json").read_text()) for folder in project.folders()]
        ids = {record["run_id"] for record in records}
        assert len(records) == len(ids) == RUNS
        assert [record["status"] for record in records if record["status"] in ("running", "lost")] == []
        assert Counter(record["survivors"] for record in records) == {0: RUNS}
        assert {line["run_id"] for line in project.feed()} == ids
        assert {name: len(revisions) for name, revisions in told[topic].items()} == dict.fromkeys(ids, 1)
        assert project.processes() == []
        assert os.listdir(project.root / "logs" / "live") == []
        assert [name for name in os.listdir(own_folder() or "/") if name.endswith(f"-{pid}")] == []
    files, memory, objects = ([(after[EARLIER - 1][at], after[-1][at]) for _, after in seen] for at in (1, 2, 3))
    figures.say(f"{REPOSITORIES * RUNS} runs in {time.monotonic() - began:.0f} s, {REPOSITORIES} at a time")
    for name, pairs in (("open files", files), ("kilobytes", memory), ("objects", objects)):
        figures.say(f"{name} after run {EARLIER} and after run {RUNS}: {pairs}")
    assert [end for _, end in files] == [start for start, _ in files]
    assert fmean(end - start for start, end in memory) < GROWTH, memory
    assert all(end - start <= KEPT * (RUNS - EARLIER) for start, end in objects), objects
