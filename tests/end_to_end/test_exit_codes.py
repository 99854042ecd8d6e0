"""Every exit code, by the real command."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project


@pytest.mark.parametrize(
    ("mode", "task", "args", "status", "reason", "code"),
    [
        ("hello", "free", [], "success", None, 0),
        ("commits", "must_commit", [], "success", None, 0),
        ("nothing", "must_commit", [], "success", "nothing_to_do", 0),
        ("exit_with", "free", ["--set", "argument=7"], "failed", "agent_error", 1),
        ("silent", "free", [], "failed", "no_output", 1),
        ("kill_myself", "free", [], "failed", "crashed", 1),
        ("hello", "must_commit", [], "failed", "no_commits", 1),
        ("dirty", "must_commit", [], "failed", "uncommitted_changes", 1),
        ("hang", "free", ["--timeout", "300ms"], "timed_out", "timeout", 11),
        ("ignore_term", "free", ["--timeout", "300ms"], "timed_out", "timeout", 11),
    ],
)
def test_verdicts(
    project: Project, mode: str, task: str, args: list[str], status: str, reason: str | None, code: int
) -> None:
    if mode == "ignore_term":
        text = (project.root / "agents.yaml").read_text()
        project.write("agents.yaml", text.replace("    parser: text", "    parser: text\n    grace: 200ms"))

    done = project("run", "double", task, "--var", f"mode={mode}", *args)

    record = project.record()
    assert (record["status"], record["reason"], record["exit_code"]) == (status, reason, code), done.stderr
    assert done.returncode == code
    assert not project.processes()
    assert [line["run_id"] for line in project.feed()] == [record["run_id"]]
    assert os.listdir(project.root / "logs" / "live") == []


@pytest.mark.parametrize(
    "section", ["notify: {ntfy: {url: '{{ nonsense }}', topic: t}}", "settings: {heartbeat_url: '{{ nonsense }}'}"]
)
def test_a_broken_template_of_a_section_is_3(project: Project, section: str) -> None:
    """It is rendered when it is used, long after the files were checked."""
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + section + "\n")
    done = project("run", "double", "free")
    assert (done.returncode, "tasks.yaml:16:" in done.stderr, "nonsense" in done.stderr) == (3, True, True), done.stderr


LIMITED = """\
stock: false
agents:
  limited: {binary: sh, argv: [-c, "echo 'Error: 429 slow down' >&2; exit 1"], parser: limited}
parsers:
  limited: {format: text, errors: [{in: stderr, match: "429", class: rate_limit}]}
"""


def test_a_rate_limit_is_10(project: Project) -> None:
    project.write("agents.yaml", LIMITED)
    done = project("run", "limited", "free")
    assert (done.returncode, project.record()["reason"]) == (10, "rate_limit")
    assert project.record()["error"]["evidence"] == "transcript.log:1"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "doubel", "free"], "did you mean 'double'?"),
        (["run", "double", "fre"], "did you mean 'free'?"),
        (["run", "double"], "needs a task"),
        (["run"], "needs an agent and a task"),
        (["run", "double", "free", "more"], "unexpected argument `more`"),
        (["run", "double", "free", "--agent", "jsonl"], "unexpected argument `free`"),
        (["run", "double", "free", "--modle", "x"], "--mod"),
        (["run", "double", "free", "--set", "novalue"], "expects KEY=VALUE"),
        (["run", "double", "free", "--set", "argumen=1"], "did you mean 'argument'?"),
        (["run", "double", "free", "--timeout", "soon"], "expected a duration"),
        (["run", "double", "free", "--repo", "/nowhere"], "does not exist"),
        (["rnu", "double", "free"], "did you mean 'run'?"),
    ],
)
def test_wrong_usage_is_2(project: Project, args: list[str], message: str) -> None:
    done = project(*args)
    assert done.returncode == 2, done
    assert message in done.stderr
    assert done.stdout == ""
    assert project.folders() == []
    assert project.feed() == []


def test_a_broken_configuration_is_3_and_is_noted(project: Project) -> None:
    assert project("run", "double", "free").returncode == 0
    project.write("agents.yaml", "agents:\n  double:\n    binary: x\n    args: []\n    parser: text\n")
    done = project("run", "double", "free")
    assert done.returncode == 3
    assert "agents.yaml:4:5: agents.double.args: unknown key (did you mean 'argv'?)" in done.stderr
    assert "agents.double.args: unknown key" in (project.root / "logs" / "runner.log").read_text()
    assert len(project.folders()) == 1


def test_a_template_that_cannot_be_rendered_is_3(project: Project) -> None:
    project.write("prompts/free.md", "one\n{{ vars.nothing_of_that_name }}\n")
    done = project("run", "double", "free")
    assert done.returncode == 3
    assert "prompts/free.md:2:" in done.stderr
    assert project.feed() == []
    assert os.listdir(project.root / "logs" / "ids") == []


def test_a_dirty_workspace_is_12(project: Project) -> None:
    project.write("left-before", "x")
    done = project("run", "double", "committed_for")
    assert done.returncode == 12
    (line,) = project.feed()
    assert (line["status"], line["reason"]) == ("skipped", "dirty_workspace")
    assert "left-before" in line["error"]["message"]
    assert project.folders() == []


REQUIRING = """\
stock: false
agents:
  keyed: {binary: "true", argv: [], parser: text, requires: {env: [SOME_KEY]}}
  filed: {binary: "true", argv: [], parser: text, requires: {files: ["~/.login"]}}
  modelled: {binary: "true", argv: [], parser: text, model: {required: true, env: [SOME_MODEL]}}
  reader: {binary: "true", argv: [], parser: text, requires: {edits: false}}
"""


@pytest.mark.parametrize(
    ("agent", "task", "named"),
    [
        ("keyed", "free", "SOME_KEY"),
        ("filed", "free", "~/.login"),
        ("modelled", "free", "SOME_MODEL"),
        ("reader", "must_commit", "cannot change files"),
    ],
)
def test_a_missing_requirement_is_12(project: Project, agent: str, task: str, named: str) -> None:
    project.write("agents.yaml", REQUIRING)
    done = project("run", agent, task)
    assert done.returncode == 12
    (line,) = project.feed()
    assert (line["reason"], line["agent"]) == ("missing_requirement", agent)
    assert named in line["error"]["message"]
    assert named in done.stdout


def test_a_task_that_requires_a_commit_needs_a_checkout(project: Project, tmp_path: object) -> None:
    bare = project.home / "no-checkout"
    bare.mkdir()
    done = project("run", "double", "must_commit", "--repo", str(bare))
    assert done.returncode == 12
    assert "not a git repository" in done.stdout


BREAK_THE_JUDGE = """\
import runner.run.conclusion
def judge(*_):
    raise RuntimeError("the judge is broken")
runner.run.conclusion.judge = judge
"""


def test_an_internal_error_is_70_and_closes_the_record(project: Project) -> None:
    broken = project.write("broken/sitecustomize.py", BREAK_THE_JUDGE)
    done = project("run", "double", "free", env={"PYTHONPATH": str(broken.parent)})
    assert done.returncode == 70
    record = project.record()
    assert (record["status"], record["reason"]) == ("failed", "internal")
    assert "the judge is broken" in record["error"]["message"]
    assert "RuntimeError: the judge is broken" in (project.root / "logs" / "runner.log").read_text()
    assert os.listdir(project.root / "logs" / "live") == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_agent_first(project: Project, number: int) -> None:
    process = project.start("run", "double", "free", "--var", "mode=hang")
    _wait_for_output(project, process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)

    record = project.record()
    assert process.returncode == 128 + number
    assert (record["status"], record["reason"], record["exit_code"]) == ("interrupted", "interrupted", 128 + number)
    assert "interrupted" in out
    assert not project.processes()


def test_a_second_signal_forces(project: Project) -> None:
    process = project.start("run", "double", "free", "--var", "mode=ignore_term")
    _wait_for_output(project, process)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode in {130, 143}, "signals that arrive together are noted in their numbers' order"
    assert time.monotonic() - began < 4, "the grace time of 5 s was waited for"


def test_a_signal_that_the_caller_ignores_stays_ignored(project: Project) -> None:
    """`nohup runner run …` survives the end of the terminal."""
    process = project.start("run", "double", "free", "--var", "mode=hang", "--timeout", "2s", preexec_fn=_ignore_hangup)
    _wait_for_output(project, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=20)
    assert process.returncode == 11


def _ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _wait_for_output(project: Project, process: subprocess.Popen[str]) -> None:
    """Wait until the agent has printed something."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        if any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")):
            return
        time.sleep(0.01)
    raise AssertionError("the agent printed nothing")


def test_the_record_is_running_while_the_agent_runs(project: Project) -> None:
    process = project.start("run", "double", "free", "--var", "mode=hang")
    _wait_for_output(project, process)
    record = project.record()
    assert (record["status"], record["exit_code"]) == ("running", None)
    assert os.listdir(project.root / "logs" / "live") == [record["run_id"]]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert json.loads((project.folders()[0] / "metadata.json").read_text())["status"] == "interrupted"
