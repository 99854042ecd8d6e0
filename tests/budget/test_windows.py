"""What all runs of a day may spend together: admitted one by one, whoever comes at once and whoever is killed."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT, kill_both, make_project, notifying, wait_until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.helpers import Project

AGENTS = """\
stock: false
agents:
  waits:
    binary: /bin/sh
    argv: [-c, "SCRIPT"]
    parser: paid
parsers:
  paid:
    format: jsonl
    success: {when: {type: result}}
    fields: {text: {when: {type: result}, at: text}, cost_usd: {when: {type: result}, at: cost}}
"""
RESULT = """echo '{\\"type\\": \\"result\\", \\"text\\": \\"done\\", \\"cost\\": 0.1}'"""


def limited(project: Project, budgets: str, *, own: str = "{cost: 0.3}", script: str = RESULT) -> Project:
    project.write("agents.yaml", AGENTS.replace("SCRIPT", script))
    budget = f", budget: {own}" if own else ""
    tasks = f"stock: false\ntasks:\n  t: {{prompt: prompts/free.md{budget}}}\n  other: {{prompt: prompts/free.md}}\n"
    project.write("tasks.yaml", f"{tasks}settings: {{budgets: {budgets}}}\n")
    return project


def waiting(project: Project) -> str:
    """The script of an agent that notes its start, and goes on when the file `go` is there."""
    return f"echo >> {project.home}/started; until [ -e {project.home}/go ]; do sleep 0.05; done; {RESULT}"


def started(project: Project) -> int:
    path = project.home / "started"
    return len(path.read_text().splitlines()) if path.exists() else 0


def ledger(project: Project) -> Path:
    return project.home / ".local/state/runner/budget/default.jsonl"


def shown(project: Project) -> list[dict[str, Any]]:
    done = project("budgets", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def begin(project: Project, count: int) -> list[subprocess.Popen[str]]:
    """Runs at once, each in a checkout of its own."""
    folders = [project.home / f"repo{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    return [project.start("run", "waits", "t", "--repo", str(folder), "--json") for folder in folders]


@pytest.mark.parametrize("killed", [0, 3])
def test_of_twenty_runs_at_once_seven_fit(project: Project, killed: int) -> None:
    limited(project, "[{per: day, cost: 2.1}]", script=waiting(project))
    running = begin(project, 20)
    wait_until(lambda: sum(process.poll() is not None for process in running) == 13, 120)
    wait_until(lambda: started(project) == 7, 60)
    (limit,) = shown(project)
    assert (limit["limit"]["cost"], limit["holders"]) == (2.1, 7)
    assert (limit["reserved"]["cost"], limit["left"]["cost"]) == (pytest.approx(2.1), pytest.approx(0))
    victims = [process for process in running if process.poll() is None][:killed]
    for victim in victims:
        kill_both(victim)
    if killed:
        assert shown(project)[0]["reserved"]["cost"] == pytest.approx(2.1 - 0.3 * killed)
    (project.home / "go").touch()
    outputs = [process.communicate(timeout=60)[0] for process in running if process not in victims]
    records = [json.loads(output) for output in outputs]
    skipped = [record for record in records if record["status"] == "skipped"]
    assert (started(project), len(records) - len(skipped), len(skipped)) == (7, 7 - killed, 13)
    assert {process.returncode for process in running if process not in victims} == {0, 12}
    for record in skipped:
        assert (record["reason"], record["exit_code"]) == ("budget_window", 12)
        assert "the budget of the day, $2.10, is used up: " in record["error"]["message"]
        assert record["error"]["retry_at"] > record["started_at"]
    project("notify", "flush")  # closes what was killed
    (limit,) = shown(project)
    assert (limit["reserved"]["cost"], limit["holders"]) == (0, 0)
    assert limit["used"]["cost"] == pytest.approx(0.1 * (7 - killed))
    # What was reserved and not spent is free again.
    assert project("run", "waits", "t").returncode == 0
    assert shown(project)[0]["unknown"] == killed


LIMITS = [
    # the settings, the run's own budget, how many runs of $0.10 begin one after the other
    ("[{per: day, cost: 0.35}]", "{cost: 0.1}", 3),
    ("[{per: week, cost: 0.35}]", "{cost: 0.1}", 3),
    ("[{per: month, cost: 0.3}]", "{cost: 0.1}", 3),
    ("[{per: day, cost: 0.35}]", "", 4),  # without a budget of its own a run may have what is left
    ("[{per: day, cost: 0.05}]", "{cost: 0.1}", 0),
    ("[{per: day, cost: 5}, {per: month, cost: 0.2}]", "{cost: 0.1}", 2),
    ("[{per: day, by: agent, cost: 0.2}]", "{cost: 0.1}", 2),
    ("[{per: day, by: task, cost: 0.2}]", "{cost: 0.1}", 2),
    ("[{per: day, tokens: 1M}]", "{cost: 0.1}", 0),  # nobody tells tokens
    ("[{per: day, tokens: 1M, on_unknown: allow}]", "{cost: 0.1}", 5),
]


@pytest.mark.parametrize(("budgets", "own", "fit"), LIMITS)
def test_how_many_runs_fit(project: Project, budgets: str, own: str, fit: int) -> None:
    limited(project, budgets, own=own)
    assert [project("run", "waits", "t").returncode for _ in range(5)] == [0] * fit + [12] * (5 - fit)


def test_a_task_has_a_limit_of_its_own(project: Project) -> None:
    limited(project, "[{per: day, by: task, cost: 0.1}]", own="")
    codes = [project("run", "waits", task).returncode for task in ("t", "t", "other", "other")]
    assert codes == [0, 12, 0, 12]


def test_without_a_budget_of_its_own_a_run_takes_what_is_left(project: Project) -> None:
    limited(project, "[{per: day, cost: 2.1}]", own="", script=waiting(project))
    first, second = begin(project, 2)
    wait_until(lambda: first.poll() is not None or second.poll() is not None, 60)
    assert shown(project)[0]["left"]["cost"] == 0
    (project.home / "go").touch()
    first.communicate()
    second.communicate()
    assert {first.returncode, second.returncode} == {0, 12}


def test_a_run_that_does_not_begin_reserves_nothing(project: Project) -> None:
    limited(project, "[{per: day, cost: 2.1}]")
    tasks = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", tasks.replace("free.md,", "free.md, preflight: [[/bin/false]],"))
    assert project("run", "waits", "t", "--unattended").returncode == 12
    (limit,) = shown(project)
    assert (limit["used"]["cost"], limit["reserved"]["cost"], limit["unknown"]) == (0, 0, 0)
    # The next run would count it among those whose spending nobody knows.
    assert project("run", "waits", "other").returncode == 0
    (limit,) = shown(project)
    assert (limit["used"]["cost"], limit["unknown"]) == (pytest.approx(0.1), 0)


HOSTILE = [
    b"\xff\xfe\x00 no text at all",
    b"[" * 100_000,
    b'{"kind": "spent"}',
    b'{"kind": "spent", "epoch": "today", "cost": 5}',
    b'{"kind": "spent", "epoch": NOW, "cost": -1000}',
    b'{"kind": "spent", "epoch": NOW, "cost": NaN}',
    b'{"kind": "spent", "epoch": NOW, "cost": 1e400}',
    b'{"kind": "spent", "epoch": NOW, "cost": true, "live": ["a"]}',
    b'{"kind": "reserve", "epoch": NOW, "cost": 2, "live": "/nowhere/live/x"}',
    b'{"kind": "reserve", "epoch": NOW, "cost": 2, "live": "/dev/tty"}',
    b'{"kind": "reserve", "epoch": NOW, "cost": 2, "live": "FIFO"}',
    b'{"kind": "reserve", "epoch": NOW, "cost": 2, "live": "a\\u0000b"}',
    b'{"kind": "reserve", "epoch": NOW, "cost": 2, "live": "/x/live/' + b"y" * 5000 + b'"}',
    b'{"kind": "spent", "epoch": NOW, "cost": 0.1, "live": "half a li',
    b"x" * 20_000_000,
]


@pytest.mark.parametrize("line", HOSTILE, ids=lambda line: line[:40].decode(errors="replace"))
def test_a_hostile_file_is_survived(project: Project, line: bytes) -> None:
    """Its line counts for nothing, and what is written after it counts."""
    limited(project, "[{per: day, cost: 0.2}]", own="{cost: 0.1}")
    fifo = project.home / "live" / "fifo"
    fifo.parent.mkdir()
    os.mkfifo(fifo)
    ledger(project).parent.mkdir(parents=True)
    ledger(project).write_bytes(line.replace(b"NOW", str(time.time()).encode()).replace(b"FIFO", str(fifo).encode()))
    runs = [project("run", "waits", "t") for _ in range(3)]
    assert [run.returncode for run in runs] == [0, 0, 12]
    assert not any("Traceback" in run.stderr for run in runs)
    assert fifo.is_fifo()


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_something_else_in_the_place_of_the_file_is_moved_aside(project: Project, kind: str) -> None:
    limited(project, "[{per: day, cost: 0.1}]", own="{cost: 0.1}")
    path = ledger(project)
    path.parent.mkdir(parents=True)
    {"folder": path.mkdir, "link": lambda: path.symlink_to("/dev/zero"), "fifo": lambda: os.mkfifo(path)}[kind]()
    assert [project("run", "waits", "t").returncode for _ in range(2)] == [0, 12]
    assert path.is_file()
    assert os.path.lexists(f"{path}.damaged")


def test_it_is_told_once_a_window(project: Project) -> None:
    """By the first run that is turned away, whatever its task; after the window's end again."""
    with Ntfy() as server:
        limited(project, "[{per: day, cost: 0.1}]", own="")
        notifying(project, server.url)
        assert [project("run", "waits", task).returncode for task in ("t", "t", "other", "t")] == [0, 12, 12, 12]
        told = [message["title"] for message in server.messages if "budget_window" in message["title"]]
        assert len(told) == 1, server.messages
        text = ledger(project).read_text()
        began = time.time() - 3 * 86400
        moved = [json.dumps({**json.loads(line), "epoch": began}) for line in text.splitlines() if '"spent"' in line]
        yesterday = text.replace(time.strftime("day %Y-%m-%d"), "day 2020-01-01")
        ledger(project).write_text(yesterday + "\n".join(moved))
        assert project("run", "waits", "other").returncode == 12
        told = [message["title"] for message in server.messages if "budget_window" in message["title"]]
        assert len(told) == 2, server.messages


def test_what_is_printed(project: Project) -> None:
    limited(project, "[{per: day, cost: 2.1, tokens: 3M, on_unknown: allow}, {per: week, by: agent, cost: 4}]")
    assert "no budgets" not in project("budgets").stdout
    assert project("run", "waits", "t").returncode == 0
    found = shown(project)
    Draft202012Validator(json.loads((ROOT / "schema/budgets.schema.json").read_text())).validate(found)
    assert [(row["per"], row["by"], row["of"], row["unknown"]) for row in found] == [
        ("day", "all", None, 1),
        ("week", "agent", "waits", 0),
    ]
    words = [line.split() for line in project("budgets").stdout.splitlines()]
    assert words[1][:7] == ["day", "all", "cost", "$2.10", "$0.10", "$0.00", "$2.00"]
    assert words[3][:8] == ["week", "agent", "waits", "cost", "$4.00", "$0.10", "$0.00", "$3.90"]


def test_a_long_file_is_made_short(project: Project) -> None:
    """What no window reaches back to goes; what counts today stays."""
    limited(project, "[{per: day, cost: 0.35}]", own="{cost: 0.1}")
    assert project("run", "waits", "t").returncode == 0
    old = json.dumps({"kind": "spent", "epoch": time.time() - 90 * 86400, "cost": 1, "live": "x" * 200})
    ledger(project).write_text((old + "\n") * 6000 + ledger(project).read_text())
    assert [project("run", "waits", "t").returncode for _ in range(3)] == [0, 0, 12]
    assert ledger(project).stat().st_size < 5000


def test_prune_leaves_it(project: Project) -> None:
    limited(project, "[{per: day, cost: 0.1}]", own="{cost: 0.1}")
    assert project("run", "waits", "t").returncode == 0
    project("prune", "--keep", "0s")
    assert project("run", "waits", "t").returncode == 12


def test_it_is_shared_by_all_projects(project: Project, tmp_path: Path) -> None:
    other = make_project(tmp_path / "second")
    other.env["XDG_STATE_HOME"] = project.env["XDG_STATE_HOME"] = str(tmp_path / "state")
    for one in (project, other):
        limited(one, "[{per: day, cost: 0.1}]", own="{cost: 0.1}")
    assert [one("run", "waits", "t").returncode for one in (project, other)] == [0, 12]
    assert (tmp_path / "state/runner/budget/default.jsonl").exists()
