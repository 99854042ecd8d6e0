"""`runner learn` on a CLI that nobody described, in each form of output: what is proposed judges every run right."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.helpers import ROOT

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project

DOUBLE = str(ROOT / "tests" / "doubles" / "unknown.py")
SCENARIOS = ("hello", "mention", "commit", "auth", "ratelimit", "overloaded", "broken")
VERDICTS = ("success",) * 3 + ("auth", "rate_limit", "overloaded", "network")


def learn(project: Project, form: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    pointed = ("--base-url-env", "UNKNOWN_URL", "--env", f"UNKNOWN_FORM={form}", "--timeout", "20s")
    return project("learn", "unknown", *pointed, *words, "--", sys.executable, DOUBLE, **options)


@pytest.mark.parametrize("form", ["lines", "document", "plain", "chatty"])
def test_what_is_proposed_judges_right(project: Project, form: str) -> None:
    done = learn(project, form, "--write", "--scenario", ",".join(SCENARIOS))

    assert done.returncode == 0, done.stderr
    for name, verdict in zip(SCENARIOS, VERDICTS, strict=True):
        assert any(line.split() == [name, f"{verdict}:", "right"] for line in done.stderr.splitlines()), done.stderr
    assert project("validate").returncode == 0
    checked = project("parse", "--check", "unknown")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "7 recordings: 7 as expected")


def entry(project: Project) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((project.root / "agents.yaml").read_text())
    return data


def test_fields_are_what_the_server_counted(project: Project) -> None:
    assert learn(project, "lines", "--write", "--scenario", "hello,commit,auth").returncode == 0

    fields = entry(project)["parsers"]["unknown"]["fields"]
    assert fields["session_id"]["at"] == "chat.sessionId"
    assert fields["model"]["at"] == "modelName"
    assert fields["tool_calls"] == {"when": {"kind": "tool.begin"}, "take": "count"}
    assert fields["usage.input_tokens"]["at"] == {"sum": ["usage.promptTokens", "usage.cachedTokens"]}
    parser = entry(project)["parsers"]["unknown"]
    assert parser["success"] == {"when": {"kind": "over", "outcome.status": "fine"}}
    assert parser["failure"] == {"when": {"kind": "over", "outcome.status": "failed"}}


def test_the_agent_runs_by_its_entry_and_can_be_checked_deeply(project: Project) -> None:
    assert learn(project, "lines", "--write", "--scenario", "hello,commit,auth").returncode == 0

    found = json.loads(project("doctor", "unknown", "--deep", "--json").stdout)
    (patient,) = found["agents"]
    assert [check["level"] for check in patient["checks"] if check["name"] == "deep"] == ["ok"], patient


def test_a_patch_is_printed_and_nothing_written(project: Project) -> None:
    before = (project.root / "agents.yaml").read_text()
    done = learn(project, "lines", "--scenario", "hello,auth")

    assert (project.root / "agents.yaml").read_text() == before
    assert done.stdout.startswith("--- a/agents.yaml\n+++ b/agents.yaml\n")
    project.write("proposal.patch", done.stdout)
    project.git("apply", "proposal.patch")
    assert project("validate").returncode == 0
    assert "unknown" in entry(project)["agents"]
    assert entry(project)["agents"]["double"] == yaml.safe_load(before)["agents"]["double"], "the others stay"


def test_recordings_are_read_without_a_run(project: Project) -> None:
    assert learn(project, "lines", "--scenario", "hello,commit").returncode == 0
    done = project("learn", "other", "--from", "recordings/unknown/hello", "recordings/unknown/commit")

    assert done.returncode == 0, done.stderr
    assert "sessionId" in done.stdout
    assert "usage.output_tokens" in done.stdout, "by its name, as nobody knows the truth"
    assert "nobody knows what it should be" in done.stderr


REFUSED = [
    (("learn", "Bad Name", "--", "true"), "no name for an agent"),
    (("learn", "x"), "nothing to run"),
    (("learn", "x", "--scenario", "helo", "--base-url-env", "U", "--", "true"), "there is no scenario `helo`"),
    (("learn", "x", "--base-url-env", "U", "--", "no-such-program"), "cannot be started"),
    (("learn", "x", "--base-url-env", "U", "--scenario", "hello", "--", "true"), "did not ask the scripted server"),
    (("learn", "x", "--file", "../up={}", "--", "true"), "cannot read"),
    (("learn", "x", "--from", "nowhere.jsonl"), "cannot read `nowhere.jsonl`"),
    (("learn", "x", "--", "true"), "nobody is there to agree"),
    (("learn", "x", "--yes", "--", "true"), "printed nothing"),
    (("learn", "x", "--base-url-env", "U", "--", "true", "{{ nothing }}"), "`nothing`"),
    (("learn", "double", "--from", "tasks.yaml"), "has `agents.double` already"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_refused_with_a_reason(project: Project, words: tuple[str, ...], said: str) -> None:
    before = (project.root / "agents.yaml").read_text()
    done = project(*words)

    assert done.returncode in (1, 2), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (project.root / "agents.yaml").read_text() == before


def test_a_real_run_needs_consent(project: Project) -> None:
    done = project("learn", "greeter", "--yes", "--", "sh", "-c", "cat >/dev/null; echo hello there")

    assert done.returncode == 0, done.stderr
    assert "it may cost money" in done.stderr
    assert "format: text" in done.stdout
    assert (project.root / "recordings" / "greeter" / "live" / "stdout").read_text() == "hello there\n"


def test_secrets_of_the_environment_reach_no_scripted_run(project: Project) -> None:
    show = ("sh", "-c", "env >&2")
    done = project("learn", "x", "--base-url-env", "U", "--", *show, env={"MY_API_KEY": "sk-from-the-environment"})

    assert done.returncode == 1
    assert "sk-from-the-environment" not in done.stderr
