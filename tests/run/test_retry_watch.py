"""How long a run waits for an agent that only retries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from runner.model import Fault, Limits
from runner.run.retry_watch import RetryWatch

if TYPE_CHECKING:
    from tests.helpers import Project

HOUR = 3600.0
WALL = 1_800_000_000.0


@dataclass
class View:
    watch: Fault | None = None
    retries: int = 1


def fault(wait: float | None) -> Fault:
    return Fault("rate_limit", "429", None if wait is None else WALL + wait)


@pytest.mark.parametrize(
    ("limits", "wait", "seconds"),
    [
        (Limits(timeout=900), None, 60),
        (Limits(timeout=900), 2, 62),
        (Limits(timeout=900), 300, 360),
        (Limits(timeout=900), 3 * HOUR, 0),
        (Limits(timeout=900), 901, 0),
        (Limits(timeout=None), 3 * HOUR, 3 * HOUR + 60),
        (Limits(timeout=None, max_wait=60), 61, 0),
        (Limits(timeout=900, stall=None), 300, None),
        (Limits(timeout=900, stall=5), None, 5),
    ],
)
def test_patience(limits: Limits, wait: float | None, seconds: float | None) -> None:
    watch = RetryWatch(View(fault(wait)), limits, began=100.0)
    assert watch.give_up_at(100.0, WALL) == (None if seconds is None else 100.0 + seconds)


def test_more_retries_do_not_buy_more_time_and_other_events_do() -> None:
    view = View(fault(2))
    watch = RetryWatch(view, Limits(timeout=900), began=100.0)
    assert watch.give_up_at(100.0, WALL) == 162.0
    view.watch = fault(40)
    assert watch.give_up_at(130.0, WALL) == 162.0
    view.watch, view.retries = None, 0
    assert watch.give_up_at(140.0, WALL) is None
    view.watch, view.retries = fault(2), 1
    assert watch.give_up_at(150.0, WALL) == 212.0


def test_an_attempt_may_last_and_its_failure_buys_no_more_time() -> None:
    view = View(fault(2))
    watch = RetryWatch(view, Limits(timeout=900), began=100.0)
    assert watch.give_up_at(100.0, WALL) == 162.0
    view.watch = None
    assert watch.give_up_at(400.0, WALL) is None
    view.watch, view.retries = fault(2), 2
    assert watch.give_up_at(410.0, WALL) == 162.0


AGENTS = """\
stock: false
agents:
  retrying:
    binary: "{{ python }}"
    argv: [-c, "{{ vars.code }}"]
    parser: retrying
    watch: {stall: 500ms}
    grace: 200ms
parsers:
  retrying:
    format: jsonl
    success: {when: {type: result}}
    fields: {text: {when: {type: result}, at: text}}
    watch:
      - {in: {when: {type: limit}, at: message}, class: rate_limit, reset: {at: seconds, kind: seconds}}
      - {in: {when: {type: retry}, at: message}, class: retry}
"""
SAY = "import json, sys, time; say = lambda **event: print(json.dumps(event), flush=True); "


@pytest.mark.parametrize(
    ("code", "words", "exit_code", "reason", "ended_by"),
    [
        ("say(type='limit', message='429', seconds=10800); time.sleep(600)", [], 10, "rate_limit", "watch"),
        (
            "say(type='limit', message='429', seconds=1); time.sleep(1); say(type='result', text='ok')",
            [],
            0,
            None,
            "exit",
        ),
        ("say(type='retry', message='again'); time.sleep(600)", [], 1, "network", "watch"),
        (
            "say(type='limit', message='429', seconds=1)\nwhile True: time.sleep(600)",
            ["--timeout", "1200ms"],
            10,
            "rate_limit",
            "timeout",
        ),
    ],
    ids=["three hours", "one second", "only retries", "timeout inside a limit"],
)
def test_a_run_that_only_retries(
    project: Project, code: str, words: list[str], exit_code: int, reason: str | None, ended_by: str
) -> None:
    project.write("agents.yaml", AGENTS)
    done = project("run", "retrying", "free", "--var", f"code={SAY}{code}", *words)
    record = project.record()
    assert (done.returncode, record["reason"], record["ended_by"]) == (exit_code, reason, ended_by), done.stderr
    assert record["elapsed_seconds"] < 10
    if reason == "rate_limit":
        assert record["error"]["retry_at"] is not None
    assert project.processes() == []
