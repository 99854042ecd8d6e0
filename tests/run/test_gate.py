"""Whether a task needs to be run: what changed since its last success, and what a command says."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import answering, failing, script, starts

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project

CHANGED = {"changed": ["src/", "*.toml"]}


def gated(project: Project, when: dict[str, Any], words: str = "", **task: Any) -> Project:
    """The task `free` with a gate, in a checkout with a source, and the agent `one`."""
    project.write("src/a.py", "one\n")
    project.write("other.txt", "one\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "sources")
    script(project, one=f"{words or 'true'}; {answering('done')}", two=answering("done"))
    entry = {"prompt": "prompts/free.md", "when": when, **task}
    project.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"free": entry}}))
    return project


def run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return project("run", "one", "free", *(words or ("--unattended",)))


CHANGES = [
    ("true", False),
    ("echo two > src/a.py", True),
    ("echo two > src/new.py", True),
    ("echo two > a.toml", True),
    ("rm src/a.py", True),
    ("echo two > other.txt", False),
    ("echo two > new.txt", False),
    ("echo two > src/a.py; git commit -qam work", True),
    ("echo two > other.txt; git commit -qam work", False),
    ("git commit -q --allow-empty -m empty", False),
    ("touch -d 2001-01-01 src/a.py", False),  # the same text as in the commit
    ("git mv src/a.py a.py", True),
    ("git checkout -q --orphan other; git commit -qm other", False),
]


@pytest.mark.parametrize(("words", "needed"), CHANGES, ids=[words for words, _ in CHANGES])
def test_what_changed_since_the_last_success(project: Project, words: str, needed: bool) -> None:
    gated(project, CHANGED)
    assert run(project).returncode == 0
    os.chdir(project.root)
    assert os.system(f"HOME={project.home} sh -c '{words}'") == 0
    done = run(project)
    assert (done.returncode, starts(project, "one")) == (0, 2 if needed else 1), done.stdout
    assert ("skipped (not_needed)" in done.stdout) == (not needed)


def test_what_the_run_itself_left_is_no_change(project: Project) -> None:
    gated(project, CHANGED, "echo more >> src/a.py; echo x > src/new.py; git add src/a.py; git commit -qm work")
    run(project)
    done = run(project)
    assert "nothing that `when.changed` names has changed since run" in done.stdout
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "what it left")  # the same content, now in a commit
    assert "not_needed" in run(project).stdout
    project.write("src/new.py", "another\n")
    assert run(project).returncode == 0
    assert starts(project, "one") == 2


def test_it_is_one_line_and_no_message(project: Project) -> None:
    with Ntfy() as ntfy:
        gated(project, CHANGED)
        tasks = json.loads((project.root / "tasks.yaml").read_text())
        tasks["notify"] = {"ntfy": {"url": ntfy.url, "topic": "runs"}}
        project.write("tasks.yaml", json.dumps(tasks))
        run(project)
        log = project.root / "logs/free/task.log"
        before = log.read_text().splitlines()
        assert run(project).returncode == 0
        assert len(ntfy.delivered("runs")) == 1
    after = log.read_text().splitlines()
    assert len(after) == len(before) + 1
    assert "not_needed" in after[-1]
    assert [line["reason"] for line in project.feed()] == [None, "not_needed"]
    assert len(project.folders()) == 1
    assert project("triage").returncode == 0


def test_by_hand_it_is_asked_only_with_gate(project: Project) -> None:
    gated(project, CHANGED)
    assert run(project, "--json").returncode == 0
    assert "not_needed" not in run(project, "--json").stdout
    gate = run(project, "--gate", "--json")
    assert (gate.returncode, json.loads(gate.stdout)["reason"]) == (0, "not_needed")
    assert starts(project, "one") == 2


def test_a_failure_is_no_success_to_compare_with(project: Project) -> None:
    gated(project, CHANGED)
    script(project, one=failing("server"))
    run(project)
    run(project)
    assert starts(project, "one") == 2


def sh(text: str) -> dict[str, Any]:
    return {"run": ["/bin/sh", "-c", text]}


@pytest.mark.parametrize(
    ("when", "code", "reason", "message"),
    [
        (sh("exit 0"), 0, None, ""),
        (sh("exit 1"), 0, "not_needed", "`when.run` says no (exit code 1): `/bin/sh -c 'exit 1'`"),
        (sh("echo oh dear; exit 2"), 12, "preflight", "`when.run` ended with exit code 2"),
        (sh("kill -9 $$"), 12, "preflight", "`when.run` was ended by signal 9"),
        ({"run": ["not-there-at-all"]}, 12, "preflight", "`when.run` could not be started"),
        ({"run": ["test", "{{ task }}", "=", "free"]}, 0, None, ""),
        (sh('test "$RUNNER_RUN_DIR" -a "$(pwd)" = "$HOME/../project"'), 0, "not_needed", ""),
        ({"at_least_every": "7d"}, 0, None, ""),
    ],
)
def test_a_command(project: Project, when: dict[str, Any], code: int, reason: str | None, message: str) -> None:
    done = run(gated(project, when))
    assert done.returncode == code, done.stdout + done.stderr
    assert project.feed()[-1]["reason"] == reason
    assert message in done.stdout
    assert starts(project, "one") == (reason is None)
    if reason == "preflight" and "echo" in str(when):
        assert "oh dear" in done.stdout


@pytest.mark.parametrize(("says", "change", "needed"), [(0, False, True), (1, False, False), (1, True, True)])
def test_with_both_keys_either_says_yes(project: Project, says: int, change: bool, needed: bool) -> None:
    gated(project, {**CHANGED, **sh(f"echo asked >> {project.home}/asked; exit {says}")})
    run(project)
    assert not (project.home / "asked").exists()  # the first has nothing to compare with, which says yes
    if change:
        project.write("src/a.py", "two\n")
    run(project)
    assert starts(project, "one") == (2 if needed else 1)


@pytest.mark.parametrize(("days", "needed"), [(6, False), (8, True), (-1, True)])
def test_at_least_every(project: Project, days: int, needed: bool) -> None:
    gated(project, {**CHANGED, "at_least_every": "7d"})
    run(project)
    path = project.root / "logs/state/gates/free.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "at": time.time() - days * 86400}))
    run(project)
    assert starts(project, "one") == (2 if needed else 1)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"at": "x"}', "null"])
def test_a_damaged_memory_is_none(project: Project, text: str) -> None:
    gated(project, CHANGED)
    run(project)
    (project.root / "logs/state/gates/free.json").write_text(text)
    assert run(project).returncode == 0
    assert starts(project, "one") == 2


def test_other_globs_or_another_checkout_are_not_compared(project: Project) -> None:
    gated(project, CHANGED)
    run(project)
    tasks = json.loads((project.root / "tasks.yaml").read_text())
    tasks["tasks"]["free"]["when"] = {"changed": "src/"}
    project.write("tasks.yaml", json.dumps(tasks))
    run(project)
    assert starts(project, "one") == 2
    project.git("clone", "-q", str(project.root), str(project.home / "clone"))
    run(project, "--unattended", "--repo", str(project.home / "clone"))
    assert starts(project, "one") == 3


def test_it_is_asked_before_the_lock_and_no_other_agent_is_tried(project: Project) -> None:
    gated(project, CHANGED, fallback=["two"])
    run(project)
    holder = project.start("run", "one", "--prompt", "wait")  # holds nothing for long: the gate must not wait for it
    done = run(project, "--unattended", "--wait", "60s")
    holder.communicate(timeout=60)
    assert "not_needed" in done.stdout
    assert starts(project, "two") == 0


def test_validate_knows_its_templates(project: Project) -> None:
    gated(project, {"run": ["test", "{{ tsk }}"]})
    done = project("validate")
    assert (done.returncode, "unknown variable `tsk`" in done.stdout) == (3, True)
