"""A run that is ended when its own budget is used up, within one message of the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

# A CLI that tells each message twice, and at its end what everything came to.
AGENTS = """\
stock: false
agents:
  metered:
    binary: /bin/sh
    argv: [-c, SCRIPT]
    parser: metered
    model: {default: some-model}
parsers:
  metered:
    format: jsonl
    success: {when: {type: result}}
    fields:
      text: {when: {type: result}, at: text}
      tool_calls: {when: {type: tool}, take: count}
      cost_usd: {when: {type: result}, at: cost}
      usage.input_tokens: {when: {type: result}, at: input}
      usage.output_tokens: {when: {type: result}, at: output}
    live:
      usage.input_tokens: {when: {type: message}, at: input, take: sum, by: id}
      usage.output_tokens: {when: {type: message}, at: output, take: sum, by: id}
"""
PRICES = '  prices: [{match: "some-*", input: 1, output: 100}]\n'


def message(number: int) -> str:
    """100 tokens sent, 10 produced; by PRICES $0.0011."""
    line = json.dumps({"type": "message", "id": f"m{number}", "input": 100, "output": 10})
    return f"echo '{line}'; echo '{line}'"


def result(**fields: Any) -> str:
    return "echo '" + json.dumps({"type": "result", "text": "done", **fields}) + "'"


def metered(project: Project, budget: str, *lines: str, settings: str = "") -> Project:
    """A task with that budget, and an agent that waits between two lines until it is ended."""
    script = "; sleep 0.05; ".join(lines)
    project.write("agents.yaml", AGENTS.replace("SCRIPT", json.dumps(script)))
    task = f"stock: false\ntasks:\n  t: {{prompt: prompts/free.md, budget: {budget}}}\n"
    project.write("tasks.yaml", task + (f"settings:\n{settings}" if settings else ""))
    return project


MESSAGES = [message(number) for number in range(1, 9)]
COMMIT = "git commit -q --allow-empty -m work"
TOOL = """echo '{"type": "tool"}'"""
ENDED = [
    # budget, what the agent does, settings; unit, what was used, how much too much
    ("{tokens: 330}", [*MESSAGES, "sleep 60"], "", "tokens", 330, None),
    ("{tokens: 331}", [*MESSAGES, "sleep 60"], "", "tokens", 440, 109),
    ("{tokens: 'output:35'}", [*MESSAGES, "sleep 60"], "", "output_tokens", 40, 5),
    ("{cost: 0.005}", [*MESSAGES, "sleep 60"], PRICES, "cost", 0.0055, 0.0005),
    ("{tool_calls: 2}", [TOOL, TOOL, TOOL, "sleep 60"], "", "tool_calls", 2, None),
]


@pytest.mark.parametrize(("budget", "does", "settings", "unit", "used", "over"), ENDED)
def test_a_run_is_ended_with_the_message_that_uses_up_its_budget(
    project: Project, budget: str, does: list[str], settings: str, unit: str, used: float, over: float | None
) -> None:
    done = metered(project, budget, COMMIT, *does, settings=settings)("run", "metered", "t")
    record = project.record()
    assert done.returncode == 1, done.stdout + done.stderr
    assert (record["status"], record["reason"], record["ended_by"]) == ("failed", "budget", "budget")
    assert record["budget"]["used"][unit] == pytest.approx(used)
    assert record["budget"]["overshoot"].get(unit) == (None if over is None else pytest.approx(over))
    assert [commit["subject"] for commit in record["commits"]] == ["work"]
    assert record["error"]["message"].startswith("ended by the runner: 1")
    assert not project.processes()


def test_eighty_percent_are_noted_once_while_it_runs(project: Project) -> None:
    done = metered(project, "{tokens: 1000}", *MESSAGES[:8], result(input=800, output=80))("run", "metered", "t")
    record = project.record()
    assert record["status"] == "success"
    assert done.stderr.count("80% of the budget is used: 880 tokens of 1,000 tokens") == 0
    assert done.stderr.count("88% of the budget is used: 880 tokens of 1,000 tokens") == 1
    assert record["notes"] == ["88% of the budget is used: 880 tokens of 1,000 tokens"]
    used = {"tokens": 880, "output_tokens": 80, "tool_calls": 0}
    assert record["budget"] == {"limit": {"tokens": 1000.0}, "used": used, "overshoot": {}}


def test_a_run_that_is_done_is_not_ended(project: Project) -> None:
    """A CLI that tells only in the end: what it did is done, and how much it was too much is told."""
    done = metered(project, "{tokens: 100}", result(input=800, output=80), "true")("run", "metered", "t")
    record = project.record()
    assert (done.returncode, record["status"], record["ended_by"]) == (0, "success", "exit")
    assert record["budget"]["overshoot"] == {"tokens": 780.0}
    assert record["notes"] == ["880% of the budget is used: 880 tokens of 100 tokens"]


COSTS = [
    # settings, what the result tells; cost, source, lower bound
    ("", {"cost": 0.5, "input": 1, "output": 1}, 0.5, "reported", False),
    (PRICES, {"cost": 0.5, "input": 1, "output": 1}, 0.5, "reported", False),
    (PRICES, {"input": 1000, "output": 100}, 0.011, "table", False),
    ('  prices: [{match: "SOME-*", from: 2026-01-31, input: 2, output: 0}]\n', {"input": 1000, "output": 100}, 0.002, "table 2026-01-31", False),
    (PRICES, {"output": 100}, 0.01, "table", True),
    (PRICES, {}, None, None, False),
    ('  prices: [{match: "other", input: 2, output: 0}]\n', {"input": 1000, "output": 100}, None, None, False),
    ('  prices: [{match: "*", from: "2999-01-01", input: 2, output: 0}]\n', {"input": 1000}, None, None, False),
    ("", {"input": 1000, "output": 100}, None, None, False),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "told", "cost", "source", "bound"), COSTS)
def test_the_cost_in_the_record_says_where_it_comes_from(
    project: Project, settings: str, told: dict[str, Any], cost: float | None, source: str | None, bound: bool
) -> None:
    metered(project, "{tokens: 1M}", result(**told), settings=settings)("run", "metered", "t")
    record = project.record()
    assert (record["cost_usd"], record["cost_source"], record["cost_lower_bound"]) == (cost, source, bound)


def test_a_run_that_is_killed_before_it_told_has_a_lower_bound(project: Project) -> None:
    metered(project, "{tokens: 1M}", MESSAGES[0], "exit 3", settings=PRICES)("run", "metered", "t", "--timeout", "30s")
    record = project.record()
    assert record["status"] == "failed"
    assert (record["cost_usd"], record["cost_source"], record["cost_lower_bound"]) == (0.0011, "table", True)


def test_the_task_is_stronger_than_the_agent_key_by_key(project: Project) -> None:
    metered(project, "{tokens: 500}", result(input=1, output=1))
    agents = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", f"{agents}defaults: {{budget: {{tokens: 5, tool_calls: 7}}}}\n")
    project("run", "metered", "t")
    assert project.record()["budget"]["limit"] == {"tokens": 500.0, "tool_calls": 7.0}


def test_the_agents_own_cap_is_told_from_the_runners(stock_project: Project) -> None:
    """A recorded result of a CLI that ended at its own cap of money."""
    event = {"type": "result", "subtype": "error_max_budget_usd", "is_error": False, "session_id": "s", "errors": []}
    stock_project.write("tasks.yaml", "tasks:\n  t: {prompt: p.md, budget: {tokens: 1M}}\n")
    stock_project.write("p.md", "Do.\n")
    script = "echo '" + json.dumps(event) + "'"
    entry = f"agents:\n  capped: {{binary: /bin/sh, argv: [-c, {json.dumps(script)}], parser: claude-jsonl}}\n"
    stock_project.write("agents.yaml", entry)
    stock_project("run", "capped", "t")
    record = stock_project.record()
    assert (record["reason"], record["ended_by"]) == ("budget", "agent")


def test_the_demo_agent_is_ended_by_what_its_messages_tell(stock_project: Project) -> None:
    """By the stock parser: the words of each message, each of which comes with its id."""
    steps = "".join(f"Create the file `f{number}` with the one line `a b c d e`.\n" for number in range(40))
    stock_project.write("p.md", steps)
    stock_project.write("tasks.yaml", "tasks:\n  t: {prompt: p.md, budget: {tokens: 'output:60'}}\n")
    done = stock_project("run", "demo", "t")
    record = stock_project.record()
    assert (done.returncode, record["ended_by"]) == (1, "budget")
    assert record["budget"]["used"]["output_tokens"] >= 60
