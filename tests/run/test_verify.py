"""Checks of a task, end to end: an agent that commits, a check that the runner runs, and the verdict."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import wait_until

if TYPE_CHECKING:
    from tests.helpers import Project

COMMIT = "echo {} > state && git add -A && git commit -q -m work"
OK = "grep -q ok state"
JUNIT = """
cat > junit.xml <<END
<testsuite>$(for t in $(cat state); do echo "<testcase name=\\"$t\\"><failure/></testcase>"; done)</testsuite>
END
test ! -s state
"""


def task(project: Project, do: str, verify: Any, *, state: str = "ok", **more: Any) -> None:
    project.write("prompts/do.md", "Do it.")
    agent = {"binary": "/bin/sh", "argv": ["-c", f"{do}; echo done"], "parser": "text"}
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"sh": agent}}))
    tasks = {"work": {"prompt": "prompts/do.md", "verify": verify, **more}}
    project.write("tasks.yaml", json.dumps({"stock": False, "tasks": tasks}))
    project.write("state", f"{state}\n" if state else "")
    project.write(".gitignore", "logs\njunit.xml\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "base")


def entry(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = project.record()["verify"][0]
    return found


CHECK = [{"name": "tests", "run": OK}]
REPORT = [{"name": "tests", "run": JUNIT, "report": "junit.xml"}]
LOOSE = {"requires_commit": False}
# what the agent does, verify, what stands before it, reason, exit code, (baseline, result)
ROWS: dict[str, tuple[str, Any, str, dict[str, Any], str | None, int, tuple[str, str]]] = {
    "good": (COMMIT.format("ok again"), CHECK, "ok", {}, None, 0, ("passed", "passed")),
    "broken": (COMMIT.format("bad"), CHECK, "ok", {}, "verify_failed", 1, ("passed", "failed")),
    "red before": (COMMIT.format("worse"), CHECK, "bad", {}, "unverified", 0, ("failed", "failed")),
    "red before and mended": (COMMIT.format("ok"), CHECK, "bad", {}, None, 0, ("failed", "passed")),
    "to be mended and not": (
        COMMIT.format("worse"),
        {"checks": CHECK, "on_red_base": "fix"},
        "bad",
        {},
        "verify_failed",
        1,
        ("failed", "failed"),
    ),
    "old failures alone": (COMMIT.format("old"), REPORT, "old older", {}, None, 0, ("failed", "passed")),
    "a new failure": (COMMIT.format("old new"), REPORT, "old", {}, "verify_failed", 1, ("failed", "failed")),
    "no commit": ("true", CHECK, "ok", {}, "no_commits", 1, ("passed", "not_run")),
    "no commit asked for": ("true", CHECK, "ok", LOOSE, None, 0, ("passed", "not_run")),
    "good only uncommitted": (
        f"{COMMIT.format('bad')}; echo ok > state",
        CHECK,
        "ok",
        {},
        "verify_failed",
        1,
        ("passed", "failed"),
    ),
    "bad only uncommitted": (
        f"{COMMIT.format('ok indeed')}; echo bad > state",
        CHECK,
        "ok",
        {},
        None,
        0,
        ("passed", "passed"),
    ),
    "warns": (COMMIT.format("bad"), [{**CHECK[0], "require": "warn"}], "ok", {}, None, 0, ("passed", "failed")),
    "nothing that it is for": (
        COMMIT.format("bad"),
        [{**CHECK[0], "when": {"changed": ["*.py"]}}],
        "ok",
        {},
        None,
        0,
        ("passed", "not_run"),
    ),
    "too slow": (
        COMMIT.format("slow"),
        [{"name": "tests", "run": "grep -q slow state && sleep 60; true", "timeout": "1s"}],
        "ok",
        {},
        "verify_failed",
        1,
        ("passed", "failed"),
    ),
    "no baseline": (
        COMMIT.format("worse"),
        {"checks": CHECK, "baseline": False},
        "bad",
        {},
        "verify_failed",
        1,
        ("not_run", "failed"),
    ),
    "what decides over it is changed": (
        "echo > conftest.py; git add -A; git commit -q -m work",
        CHECK,
        "ok",
        {},
        "tampered",
        1,
        ("passed", "not_run"),
    ),
    "and may be": (
        "echo > conftest.py; git add -A; git commit -q -m work",
        CHECK,
        "ok",
        {"protect": []},
        None,
        0,
        ("passed", "passed"),
    ),
    "hooks planted": (
        f"{COMMIT.format('ok again')}; git config core.fsmonitor /bin/true",
        CHECK,
        "ok",
        {},
        "tampered",
        1,
        ("passed", "not_run"),
    ),
    "the check is deleted": (
        "rm check.sh; echo new > x; git add -A; git commit -q -m work",
        [{"name": "tests", "run": ["sh", "check.sh"]}],
        "ok",
        {},
        "verify_failed",
        1,
        ("passed", "failed"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_verdict(project: Project, name: str) -> None:
    do, verify, state, more, reason, exit_code, words = ROWS[name]
    project.write("check.sh", "exit 0\n")
    task(project, do, verify, state=state, **more)
    head = project.git("rev-parse", "HEAD")

    done = project("run", "sh", "work")

    record = project.record()
    assert (record["reason"], done.returncode) == (reason, exit_code), done.stdout + done.stderr
    assert (entry(project)["baseline"], entry(project)["result"]) == words
    assert project.processes() == []
    assert not (project.folders()[-1] / "tree").exists()
    if name not in ("no commit", "no commit asked for"):
        assert project.git("rev-parse", "HEAD") != head


def test_a_flaky_check_is_run_once_more(project: Project) -> None:
    twice = 'if [ -e "$HOME/second" ] || ! grep -q new state; then exit 0; fi; touch "$HOME/second"; exit 1'
    task(project, COMMIT.format("new"), [{"name": "tests", "run": twice}])

    assert project("run", "sh", "work").returncode == 0
    assert entry(project)["flaky"] is True
    assert "failed once and passed" in project.record()["notes"][0]


def test_the_baseline_is_run_once_for_a_tree(project: Project) -> None:
    counted = 'echo run >> "$HOME/count"; grep -q ok state'
    task(project, "true", [{"name": "tests", "run": counted}], **LOOSE)
    for _ in range(3):
        assert project("run", "sh", "work").returncode == 0
    assert (project.home / "count").read_text() == "run\n"

    project.write("state", "ok and more\n")
    project.git("commit", "-q", "-a", "-m", "other")
    assert project("run", "sh", "work").returncode == 0
    assert (project.home / "count").read_text() == "run\nrun\n"


@pytest.mark.parametrize(
    ("verify", "reason", "said"),
    [
        ({"checks": CHECK, "on_red_base": "skip"}, "preflight", "fails before the agent has begun"),
        ([{"name": "tests", "run": ["no-such-program"]}], "missing_requirement", "cannot be started"),
    ],
)
def test_not_a_token_is_spent(project: Project, verify: Any, reason: str, said: str) -> None:
    task(project, 'touch "$HOME/spent"', verify, state="bad")

    done = project("run", "sh", "work")

    assert done.returncode == 12
    assert reason in done.stdout
    assert said in done.stdout
    assert not (project.home / "spent").exists()


def test_a_fix_is_committed_before_the_checks(project: Project) -> None:
    fix = {"name": "format", "kind": "fix", "run": "echo ok > state"}
    task(project, COMMIT.format("bad"), [*CHECK, fix])

    assert project("run", "sh", "work").returncode == 0
    assert [commit["subject"] for commit in project.record()["commits"]] == ["format for work", "work"]
    assert project.git("status", "--porcelain") == ""


def test_what_stood_uncommitted_before_is_neither_committed_nor_counted(project: Project) -> None:
    fix = {"name": "format", "kind": "fix", "run": "echo fixed > new"}
    task(project, "echo work > file && git add file && git commit -q -m work", [*CHECK, fix], state="bad")
    project.write("state", "ok, and not committed\n")

    assert project("run", "sh", "work").returncode == 0
    assert (project.record()["reason"], entry(project)["baseline"]) == ("unverified", "not_run")
    assert [commit["subject"] for commit in project.record()["commits"]] == ["work"]
    assert project.git("status", "--porcelain") == "M state"


@pytest.mark.parametrize(("files", "reason"), [([], "unverified"), (["tools"], None)])
def test_a_copy_of_the_commit_may_lack_what_git_ignores(project: Project, files: list[str], reason: str | None) -> None:
    verify = {"checks": [{"name": "tests", "run": "sh tools/check.sh"}], "files": files}
    task(project, f"{COMMIT.format('ok again')}; echo more > left", verify)
    project.write(".gitignore", "logs\ntools\n")
    project.git("commit", "-q", "-a", "-m", "ignores")
    project.write("tools/check.sh", "grep -q ok state\n")

    assert project("run", "sh", "work").returncode == 0
    assert project.record()["reason"] == reason


def test_a_check_gets_no_key_and_its_log_no_secret(project: Project) -> None:
    show = 'env; echo "$SECRET_FROM_FILE"'
    task(project, COMMIT.format("ok again"), [{"name": "tests", "run": show}])
    agents = json.loads((project.root / "agents.yaml").read_text())
    agents["agents"]["sh"]["env"] = {"pass": ["MY_API_KEY"]}
    project.write("agents.yaml", json.dumps(agents))
    project.git("commit", "-q", "-a", "-m", "passes")

    done = project("run", "sh", "work", env={"MY_API_KEY": "sk-0123456789abcdef"})

    assert done.returncode == 0, done.stdout
    log = (project.folders()[-1] / "verify-tests.log").read_text()
    assert "RUNNER_RUN_ID" in log
    assert "MY_API_KEY" not in log


def test_what_a_check_starts_ends_with_it(project: Project) -> None:
    daemon = "(setsid sleep 300 >/dev/null 2>&1 &) ; grep -q ok state"
    task(project, COMMIT.format("ok again"), {"checks": [{"name": "tests", "run": daemon}], "baseline": False})

    assert project("run", "sh", "work").returncode == 0
    assert project.processes() == []


def test_ctrl_c_in_a_check(project: Project) -> None:
    slow = "grep -q new state && touch $HOME/there && sleep 300; true"
    task(project, COMMIT.format("new"), [{"name": "tests", "run": slow}])
    running = project.start("run", "sh", "work")
    wait_until((project.home / "there").exists)

    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)

    assert running.returncode == 130
    assert project.record()["reason"] == "interrupted"
    assert project.processes() == []


def test_kill_9_in_a_check(project: Project) -> None:
    """One message, a closed record, nothing left, and never a success that nobody checked."""
    with Ntfy() as ntfy:
        killed_in_a_check(project, ntfy)


def killed_in_a_check(project: Project, ntfy: Ntfy) -> None:
    slow = "grep -q new state && touch $HOME/there && sleep 300; true"
    task(project, COMMIT.format("new"), [{"name": "tests", "run": slow}])
    tasks = json.loads((project.root / "tasks.yaml").read_text())
    project.write("tasks.yaml", json.dumps({**tasks, "notify": {"ntfy": {"url": ntfy.url, "topic": "runs"}}}))
    project.git("commit", "-q", "-a", "-m", "a channel")
    running = project.start("run", "sh", "work")
    wait_until((project.home / "there").exists)

    running.kill()
    running.communicate(timeout=30)
    wait_until(lambda: not os.listdir(project.root / "logs" / "live"))

    assert project.record()["reason"] == "lost"
    wait_until(lambda: len(ntfy.delivered("runs")) == 1)
    wait_until(lambda: project.processes() == [])


def test_validate_names_what_is_wrong(project: Project) -> None:
    task(project, "true", [{"name": "a", "run": ["no-such-program"]}, {"name": "a", "run": "{{ nothing }}"}])

    done = project("validate")

    assert done.returncode == 3
    assert "there is a check `a` already" in done.stdout
    assert "no program `no-such-program`" in done.stdout
    assert "unknown variable `nothing`" in done.stdout


def test_a_run_without_checks_imports_nothing_of_it(project: Project) -> None:
    done = project("run", "double", "free", env={"PYTHONPROFILEIMPORTTIME": "1"})

    assert done.returncode == 0
    assert "runner.verify" not in done.stderr
    assert "runner.run.verification" not in done.stderr
