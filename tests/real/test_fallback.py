"""A plan's limit on one real agent: the other one takes over, and the first is left alone until the reset."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from runner.modelserver import ModelServer
from runner.text import from_rfc3339, rfc3339
from tests.doubles.ntfy import Ntfy
from tests.helpers import make_project
from tests.real.clis import CLIS
from tests.real.rig import HELLO, NTFY_TOKEN, environment_of, home_untouched, living_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real

TOPIC = "night"
TASKS = "tasks:\n  debug_hello_simple: {extends: debug_hello_simple, fallback: {claude: [codex], codex: [claude]}}\n"
# A limit of the plan is told to a subscription only.
OF_A_PLAN = {"claude": {"CLAUDE_CODE_OAUTH_TOKEN": "no-secret", "ANTHROPIC_API_KEY": ""}, "codex": {}}


@pytest.mark.parametrize(("first", "second"), [("claude", "codex"), ("codex", "claude")])
def test_a_limit_falls_back_and_the_agent_is_left_alone(tmp_path: Path, first: str, second: str) -> None:
    project = make_project(tmp_path, stock=True)
    project.write("tasks.yaml", TASKS)
    scheduled = ("run", first, HELLO, "--unattended", "--timeout", "120s")
    with (
        Ntfy(token=NTFY_TOKEN, burst=1000) as ntfy,
        ModelServer("planlimit") as spent,
        ModelServer("hello") as well,
        home_untouched(),
    ):
        for name, server in ((first, spent), (second, well)):
            cli = CLIS[name]
            for path, text in cli.files(server.url).items():
                (project.home / path).parent.mkdir(parents=True, exist_ok=True)
                (project.home / path).write_text(text)
            project.env |= environment_of(cli, server.url, ntfy, TOPIC) | {f"{name.upper()}_MODEL": cli.model}
        project.env |= OF_A_PLAN[first]

        done = project(*scheduled, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        limited, answered = project.feed()
        assert (limited["agent"], limited["reason"]) == (first, "usage_limit")
        assert (answered["agent"], answered["status"]) == (second, "success")
        assert (answered["attempt"], answered["previous_run"]) == (2, limited["run_id"])
        told = [revisions[-1] for revisions in ntfy.delivered(TOPIC).values()]
        assert [message["title"] for message in told] == [
            f"{first} {HELLO}: rate_limited (usage_limit)",
            f"{second} {HELLO}: success",
        ]
        assert f"next: {second}" in told[0]["message"]
        path = project.root / "logs" / "state" / "cooldowns" / f"{first}.json"
        kept = json.loads(path.read_text())
        assert kept["until"] == limited["error"]["retry_at"]
        assert from_rfc3339(kept["until"]) > time.time() + 7200

        calls = len(spent.calls)
        assert calls
        assert project(*scheduled, timeout=300).returncode == 0
        assert [(line["agent"], line["status"]) for line in project.feed()[2:]] == [
            (first, "skipped"),
            (second, "success"),
        ]
        assert len(spent.calls) == calls, "no process of it was started"
        assert len(ntfy.delivered(TOPIC)) == 3, "the skip says nothing"

        # The reset has come: one probe, which meets the limit again.
        path.write_text(json.dumps({**kept, "until": rfc3339(time.time() - 1)}))
        assert project(*scheduled, timeout=300).returncode == 0
        assert len(spent.calls) > calls
        assert [line["reason"] for line in project.feed()[4:]] == ["usage_limit", None]
        assert json.loads(path.read_text())["run_id"] == project.feed()[4]["run_id"]
        assert living_of(project) == []
        assert ntfy.violations == []
