"""What a night left: each situation by a real run, found worst first, and explained."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner.history.findings import failures, limits
from tests.doubles.ntfy import Ntfy
from tests.helpers import AGENTS, DOUBLE, wait_until
from tests.history.test_history import check, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.helpers import Project

SCRIPTED = (
    AGENTS.replace("DOUBLE", str(DOUBLE))
    + """\
      model: {at: model, take: first}
    errors:
      - {in: {when: {type: result}, at: result}, match: "model .* does not exist", class: model_not_found}
      - {in: {when: {type: result}, at: result}, match: "limit reached", class: usage_limit}
"""
)
SCRIPTS = {
    "removed": """echo '{"type": "result", "is_error": true, "result": "model fast-1 does not exist"}'; exit 1""",
    "idle": """echo '{"type": "result", "is_error": false, "result": "I looked around."}'""",
    "spent": """echo '{"type": "result", "is_error": true, "result": "usage limit reached"}'; exit 1""",
    "slow": """printf '{"type": "result", "is_err'; exec sleep 60""",
    "crash": "kill -SEGV $$",
}
AGENT = "  {}:\n    extends: jsonl\n    binary: /bin/sh\n    argv: [-c, {}]\n"


@pytest.fixture
def night(project: Project) -> Project:
    """An agent for each situation."""
    agents = "".join(AGENT.format(name, json.dumps(script)) for name, script in SCRIPTS.items())
    # Where a terminal event is expected, its absence is what a crash is called.
    agents = agents.replace("crash:\n    extends: jsonl", "crash:\n    extends: double")
    project.write("agents.yaml", SCRIPTED.replace("parsers:\n", agents + "parsers:\n"))
    return project


def spend(night: Project) -> None:
    """In the least useful order."""
    assert night("run", "crash", "free").returncode == 1
    assert night("run", "slow", "free", "--timeout", "0.5s").returncode == 11
    assert night("run", "spent", "free").returncode == 10
    assert night("run", "idle", "must_commit").returncode == 1
    for _ in range(3):
        assert night("run", "removed", "free").returncode == 1


SITUATIONS = [
    ("removed", "model_not_found", ["stdout.log:1", "does not exist", "choose another model"]),
    ("idle", "no_commits", ["requires a commit", "read what the agent says it did"]),
    ("spent", "usage_limit", ["limit reached", "wait until the reset"]),
    ("slow", "timeout", ["at its timeout", "raise the timeout"]),
    ("crash", "crashed", ["SIGSEGV ended the agent", "check memory"]),
]


def test_each_situation_is_found_and_explained(night: Project) -> None:
    spend(night)
    done = night("triage", "--json")
    assert done.returncode == 1
    shown = json.loads(done.stdout)
    check("triage", shown)
    found = [finding for finding in shown["findings"] if finding["section"] == "failures"]
    assert [(finding["agent"], finding["reason"]) for finding in found] == [(a, reason) for a, reason, _ in SITUATIONS]
    assert [finding["count"] for finding in found] == [3, 1, 1, 1, 1]
    text = night("triage", "--since", "2h").stdout
    assert " ! removed: model_not_found ×3 since " in text
    places = [text.index(f"{agent}: {reason}") for agent, reason, _ in SITUATIONS]
    assert places == sorted(places)
    for agent, reason, parts in SITUATIONS:
        explained = words(night("why", f"last:{agent}").stdout)
        for part in (reason, *parts):
            assert part in explained
        folder = next((night.root / "logs").glob(f"*/{agent}/*/summary.txt"))
        explained = words(night("why", folder.parent.name).stdout)
        assert explained in words(folder.read_text())


def test_a_run_that_was_not_closed_comes_first(night: Project) -> None:
    night("run", "removed", "free")
    run = night.start("run", "double", "free", "--var", "mode=hang", env={"RUNNER_NTFY_TOPIC": ""})
    while not list((night.root / "logs").glob("free/double/*/stdout.log")):
        assert run.poll() is None
    run.send_signal(signal.SIGKILL)
    run.communicate(timeout=20)
    for pid in night.processes():
        os.kill(pid, signal.SIGKILL)
    first = json.loads(night("triage", "--json").stdout)["findings"][0]
    assert (first["section"], first["agent"], first["person"]) == ("silent", "double", True)
    night("heartbeat")
    first = json.loads(night("triage", "--json").stdout)["findings"][0]
    assert (first["section"], first["reason"]) == ("silent", "lost")
    assert "was lost" in night("why", "last:double").stdout


def test_all_is_well(project: Project) -> None:
    project("run", "double", "free")
    done = project("triage")
    assert done.returncode == 0
    assert done.stdout.startswith("fine:\n   1 run of 1 agent went well since ")
    assert project("triage", "--since", "soon").returncode == 2


def test_broken_configuration(project: Project) -> None:
    project("run", "double", "free")
    good = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", good + "surprise: 1\n")
    assert project("run", "double", "free").returncode == 3
    done = project("triage")
    assert done.returncode == 1
    assert "configuration:\n ! agents.yaml:" in done.stdout
    assert "surprise" in done.stdout
    project.write("agents.yaml", good)
    done = project("triage")
    assert done.returncode == 0
    assert "is right again; runs were refused ×1" in done.stdout


NOTIFY = """\
notify:
  ntfy: {url: "{{ env.RUNNER_NTFY_URL }}", topic: topic}
"""


@pytest.fixture
def reported(project: Project) -> Iterator[tuple[Project, Ntfy]]:
    """A project whose messages go to a server."""
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + NOTIFY)
    with Ntfy() as server:
        project.env["RUNNER_NTFY_URL"] = server.url
        yield project, server


def messages(project: Project) -> list[tuple[str, bool]]:
    found = json.loads(project("triage", "--json").stdout)["findings"]
    return [
        (finding["text"].split(":")[0][:30], finding["person"]) for finding in found if finding["section"] == "messages"
    ]


def test_undelivered_messages(reported: tuple[Project, Ntfy]) -> None:
    """A server that refuses makes dead letters; one that fails makes messages wait."""
    project, server = reported
    server.mode = "forbidden"
    project("run", "double", "free")
    assert messages(project) == [("1 dead letter, no retry will d", True)]
    server.mode = "internal_error"
    project("run", "double", "free")
    assert [person for _, person in messages(project)] == [True, False]  # it waits for less than ten minutes
    outbox = next((project.root / "logs" / "outbox").glob("*.json"))
    pending = json.loads(outbox.read_text())
    outbox.write_text(json.dumps({**pending, "created_at": time.time() - 3600}))
    assert [person for _, person in messages(project)] == [True, True]
    assert project("triage").returncode == 1
    outbox.unlink()
    assert messages(project)[1] == ("1 record wait for a message th", True)


def test_what_the_server_does_not_hold(reported: tuple[Project, Ntfy]) -> None:
    project, server = reported
    project("run", "double", "free")
    project("run", "double", "free")
    assert project("triage").returncode == 0
    server.messages.pop()
    assert messages(project) == [("1 delivered message the server", True)]
    server.mode = "internal_error"
    assert messages(project) == []  # it does not answer, which says nothing


def entry(run_id: str, agent: str, reason: str | None, **more: Any) -> dict[str, Any]:
    error = {"message": "m", "retry_at": None, "evidence": None, **more}
    return {
        "run_id": run_id,
        "agent": agent,
        "task": "t",
        "status": "failed" if reason else "success",
        "reason": reason,
        "exit_code": 1 if reason else 0,
        "started_at": "2026-02-19T15:30:00.000Z",
        "error": error if reason else None,
    }


def test_after_a_success_no_person_is_needed() -> None:
    good, bad = entry("2", "a", None), entry("1", "a", "timeout")
    assert [finding.person for finding in failures([good, bad], 0)] == [False]
    assert [finding.person for finding in failures([entry("3", "a", "timeout"), good, bad], 0)] == [True]
    assert [finding.person for finding in failures([entry("2", "b", None), bad], 0)] == [True]


def test_the_last_success_counts() -> None:
    rows = [entry("3", "a", None), entry("2", "a", "timeout"), entry("1", "a", None)]
    assert [finding.person for finding in failures(rows, 0)] == [False]


@pytest.mark.parametrize(("reason", "number"), [("busy", 0), ("cooldown", 0), ("preflight", 1)])
def test_what_was_skipped_for_a_while_is_not_a_failure(reason: str, number: int) -> None:
    skipped = {**entry("1", "a", reason), "status": "skipped", "exit_code": 12}
    assert len(failures([skipped], 0)) == number


def test_of_the_same_class_the_most_frequent_comes_first() -> None:
    rows = [entry("3", "a", "timeout"), entry("2", "b", "timeout"), entry("1", "b", "timeout")]
    assert [(finding.agent, finding.count) for finding in failures(rows, 0)] == [("b", 2), ("a", 1)]


def test_a_live_run_is_fine(project: Project) -> None:
    project("run", "double", "free")
    run = project.start("run", "double", "free", "--var", "mode=hang")
    wait_until(lambda: len(project.folders()) == 2 and (project.folders()[-1] / "transcript.log").exists())
    done = project("triage", "--json")
    assert json.loads(project("show", "last", "--json").stdout)["status"] == "running"  # not the one that ended
    run.terminate()
    run.communicate(timeout=20)
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["section"], found["count"]) == ("fine", 1)
    assert found["text"].endswith(", 1 running now")


def test_a_limit_with_a_reset_needs_no_person_until_then() -> None:
    met = [entry("1", "a", "rate_limit", retry_at="1970-01-01T01:00:00.000Z")]
    assert [finding.person for finding in failures(met, 0)] == [False]
    assert [finding.person for finding in failures(met, 7200)] == [True]
    assert [finding.text for finding in limits(met, 0)] == ["a: rate_limit until 1970-01-01T01:00:00.000Z"]
    assert limits(met, 7200) == []
    assert limits([entry("2", "a", None), *met], 0) == []
