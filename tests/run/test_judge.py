"""The verdict, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from runner.model import (
    Changes,
    Commit,
    Evidence,
    Expectations,
    Fault,
    Outcome,
    Reply,
)
from runner.reasons import REASONS
from runner.run.judge import judge

PLACE = Evidence("stdout", 120, "the line")
STDERR = Evidence("stderr", 7, "Error: no such flag")
LIMIT = Fault("rate_limit", "slow down", 1_800_000_000.0, PLACE)
AUTH = Fault("auth", "log in", None, PLACE)
CLEAN = Changes(repository=True)
COMMITTED = Changes(repository=True, commits=(Commit("a" * 40, "work"),))
DIRTY = Changes(repository=True, dirt=("a.txt",))
BOTH = Changes(repository=True, commits=(Commit("a" * 40, "work"),), dirt=("a.txt", "b.txt", "c.txt", "d.txt"))
NO_GIT = Changes(repository=False)
FREE = Expectations()
COMMIT = Expectations(requires_commit=True)
COMMIT_OR_NOTHING = Expectations(requires_commit=True, nothing_to_do="(?i)^NOTHING TO DO: ")
OR_NOTHING = Expectations(nothing_to_do="^NOTHING TO DO: ")


def ended(**how: Any) -> Outcome:
    return Outcome(**{"ended_by": "exit", "started_at": 0.0, "ended_at": 61.0, "elapsed": 61.0, "exit_code": 0, **how})


def said(**what: Any) -> Reply:
    return Reply(**{"text": "done", "terminal": "good", **what})


OK, FAILED = ended(), ended(exit_code=1)
KILLED = ended(exit_code=None, signal=9)
TIMEOUT = ended(ended_by="timeout", exit_code=None, signal=15)
LINGER = ended(ended_by="linger", exit_code=None, signal=15)
WATCH = ended(ended_by="watch", exit_code=None, signal=15)
GOOD = said()
BAD = said(text="API Error: 500", terminal="bad", terminal_evidence=PLACE)
ABSENT = said(text="", terminal="absent")
PLAIN = said(terminal="undeclared")
EMPTY = said(text=" \n", terminal="undeclared")
NOTHING = said(text="I looked.\nNOTHING TO DO: all is well")

# what is expected, how it ended, what it said, what it left → reason, message
ROWS: list[tuple[Expectations, Outcome, Reply, Changes, str | None, str | None]] = [
    # ended by the runner, whatever else is true
    (FREE, ended(ended_by="signal", runner_signal=15), GOOD, CLEAN, "interrupted", "the runner received SIGTERM"),
    (COMMIT, TIMEOUT, GOOD, COMMITTED, "timeout", "the run took longer than its timeout (1m01s)"),
    (FREE, TIMEOUT, BAD, CLEAN, "timeout", "the run took longer than its timeout (1m01s)"),
    (FREE, TIMEOUT, said(failure=AUTH, fault=AUTH), CLEAN, "timeout", "the run took longer than its timeout (1m01s)"),
    (FREE, TIMEOUT, said(terminal="absent", stalled=LIMIT), COMMITTED, "rate_limit", "slow down"),
    (FREE, TIMEOUT, said(terminal="absent", stalled=AUTH), CLEAN, "auth", "log in"),
    (FREE, ended(ended_by="first_output"), ABSENT, CLEAN, "first_output", "the agent printed nothing in the time given (1m01s)"),
    (FREE, ended(ended_by="idle_timeout"), ABSENT, CLEAN, "idle_timeout", "the agent fell silent (1m01s)"),
    (FREE, ended(ended_by="idle_timeout"), said(stalled=LIMIT), CLEAN, "rate_limit", "slow down"),
    (FREE, WATCH, said(stalled=LIMIT), CLEAN, "rate_limit", "slow down"),
    (FREE, WATCH, said(fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, WATCH, GOOD, CLEAN, "network", "nothing but retries came"),
    (FREE, LINGER, GOOD, CLEAN, None, None),
    (COMMIT, LINGER, GOOD, CLEAN, "no_commits", "the task requires a commit and there is none"),
    (FREE, LINGER, BAD, CLEAN, "agent_error", "API Error: 500"),
    (FREE, LINGER, said(terminal="bad", fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, ended(ended_by="launch_failed", exit_code=None, launch_error="`x` is not there"), ABSENT, CLEAN, "launch_failed", "`x` is not there"),
    # an error that was not recovered from
    (COMMIT, OK, said(failure=AUTH), COMMITTED, "auth", "log in"),
    (FREE, OK, said(failure=LIMIT, fault=AUTH), CLEAN, "rate_limit", "slow down"),
    # a bad or absent terminal event
    (FREE, OK, BAD, CLEAN, "agent_error", "API Error: 500"),
    (FREE, OK, said(text="", terminal="bad"), CLEAN, "agent_error", "the agent reported an error"),
    (FREE, FAILED, said(terminal="bad", fault=LIMIT), CLEAN, "rate_limit", "slow down"),
    (COMMIT, OK, ABSENT, COMMITTED, "no_terminal_event", "the output ends without its terminal event, exit code 0"),
    (FREE, FAILED, ABSENT, CLEAN, "no_terminal_event", "the output ends without its terminal event, exit code 1"),
    (FREE, KILLED, ABSENT, CLEAN, "no_terminal_event", "the output ends without its terminal event, the agent was ended by SIGKILL"),
    (FREE, LINGER, ABSENT, CLEAN, "no_terminal_event", "the output ends without its terminal event, the agent did not exit and was ended"),
    (FREE, FAILED, said(terminal="absent", stderr_end=STDERR), CLEAN, "no_terminal_event", "the output ends without its terminal event, exit code 1; stderr ends with: Error: no such flag"),
    (FREE, FAILED, said(terminal="absent", fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, ended(exit_code=75), said(terminal="absent", exit_classes={75: "rate_limit"}), CLEAN, "rate_limit", "exit code 75"),
    (FREE, ended(exit_code=75), said(terminal="absent", exit_classes={75: "rate_limit"}, fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, OK, EMPTY, CLEAN, "no_output", "the agent ended well but said nothing"),
    (FREE, OK, said(text="", terminal="undeclared", fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, OK, said(text="", terminal="good"), CLEAN, None, None),
    # the exit code
    (FREE, FAILED, GOOD, CLEAN, "agent_error", "exit code 1"),
    (FREE, FAILED, said(stderr_end=STDERR), CLEAN, "agent_error", "exit code 1; stderr ends with: Error: no such flag"),
    (FREE, FAILED, said(fault=AUTH), CLEAN, "auth", "log in"),
    (FREE, FAILED, EMPTY, CLEAN, "agent_error", "exit code 1"),
    (FREE, ended(exit_code=41), said(exit_classes={41: "auth"}), CLEAN, "auth", "exit code 41"),
    (FREE, ended(exit_code=42), said(exit_classes={41: "auth"}), CLEAN, "agent_error", "exit code 42"),
    (FREE, KILLED, GOOD, CLEAN, "crashed", "the agent was ended by SIGKILL"),
    (FREE, KILLED, EMPTY, CLEAN, "crashed", "the agent was ended by SIGKILL"),
    (FREE, ended(signal=40), EMPTY, CLEAN, "crashed", "the agent was ended by signal 40"),
    (FREE, FAILED, said(ignore_exit_code=True), CLEAN, None, None),
    (FREE, KILLED, said(ignore_exit_code=True), CLEAN, None, None),
    (FREE, FAILED, said(text="", terminal="undeclared", ignore_exit_code=True), CLEAN, "no_output", "the agent ended well but said nothing"),
    # a class that a rule only names fails nothing
    (FREE, OK, said(fault=AUTH), CLEAN, None, None),
    (FREE, OK, said(stalled=LIMIT), CLEAN, None, None),
    # the postcondition
    (FREE, OK, GOOD, DIRTY, None, None),
    (FREE, OK, PLAIN, NO_GIT, None, None),
    (COMMIT, OK, GOOD, COMMITTED, None, None),
    (COMMIT, OK, GOOD, BOTH, None, None),
    (COMMIT, OK, GOOD, DIRTY, "uncommitted_changes", "not committed: a.txt"),
    (COMMIT, OK, GOOD, CLEAN, "no_commits", "the task requires a commit and there is none"),
    (COMMIT, OK, GOOD, NO_GIT, "no_commits", "the task requires a commit, and this is not a git checkout"),
    (COMMIT, OK, NOTHING, CLEAN, "no_commits", "the task requires a commit and there is none"),
    (COMMIT_OR_NOTHING, OK, NOTHING, CLEAN, "nothing_to_do", None),
    (COMMIT_OR_NOTHING, OK, NOTHING, DIRTY, "nothing_to_do", None),
    (COMMIT_OR_NOTHING, OK, NOTHING, COMMITTED, None, None),
    (COMMIT_OR_NOTHING, OK, GOOD, CLEAN, "no_commits", "the task requires a commit and there is none"),
    (COMMIT_OR_NOTHING, FAILED, NOTHING, CLEAN, "agent_error", "exit code 1"),
    (OR_NOTHING, OK, NOTHING, CLEAN, "nothing_to_do", None),
    (OR_NOTHING, OK, GOOD, CLEAN, None, None),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_verdict(row: tuple[Expectations, Outcome, Reply, Changes, str | None, str | None]) -> None:
    expectations, outcome, reply, changes, reason, message = row

    verdict = judge(expectations, outcome, reply, changes)

    assert (verdict.reason, verdict.message) == (reason, message)
    if reason == "interrupted":
        assert (verdict.status, verdict.exit_code) == ("interrupted", 143)
    else:
        expected = REASONS[reason] if reason else REASONS["nothing_to_do"]
        assert (verdict.status, verdict.exit_code) == (expected.status, expected.exit_code)


@pytest.mark.parametrize(("number", "code"), [(1, 129), (2, 130), (15, 143), (None, 130)])
def test_an_interrupted_run_ends_with_the_signals_code(number: int | None, code: int) -> None:
    outcome = ended(ended_by="signal", exit_code=None, runner_signal=number)

    assert judge(FREE, outcome, GOOD, COMMITTED).exit_code == code


@pytest.mark.parametrize(
    ("outcome", "reply", "evidence", "retry_at"),
    [
        (FAILED, said(fault=LIMIT), PLACE, 1_800_000_000.0),
        (TIMEOUT, said(stalled=LIMIT), PLACE, 1_800_000_000.0),
        (FAILED, said(fault=Fault("server", "broken", 1_800_000_000.0, PLACE)), PLACE, None),  # no limit, no time
        (OK, BAD, PLACE, None),
        (FAILED, said(stderr_end=STDERR), STDERR, None),
        (FAILED, said(terminal="absent", stderr_end=STDERR), STDERR, None),
        (OK, GOOD, None, None),
    ],
)
def test_evidence_and_the_time_to_try_again(
    outcome: Outcome, reply: Reply, evidence: Evidence | None, retry_at: float | None
) -> None:
    verdict = judge(FREE, outcome, reply, CLEAN)

    assert (verdict.evidence, verdict.retry_at) == (evidence, retry_at)


@pytest.mark.parametrize(
    ("expectations", "outcome", "changes", "notes"),
    [
        (COMMIT, OK, COMMITTED, ()),
        (COMMIT, OK, BOTH, ("the agent left changes that it did not commit: a.txt, b.txt, c.txt and 1 more",)),
        (FREE, OK, BOTH, ()),
        (FREE, LINGER, CLEAN, ("the agent reported its success, did not exit, and was ended",)),
        (COMMIT, OK, Changes(True, dirt=("a",), notes=("HEAD is detached",)), ("HEAD is detached",)),
    ],
)
def test_notes(expectations: Expectations, outcome: Outcome, changes: Changes, notes: tuple[str, ...]) -> None:
    assert judge(expectations, outcome, GOOD, changes).notes == notes


def test_the_reply_is_searched_at_its_ends_alone() -> None:
    line = "\nNOTHING TO DO: x\n"
    far = "x" * 200_000

    assert judge(OR_NOTHING, OK, said(text=far + line), CLEAN).reason == "nothing_to_do"
    assert judge(OR_NOTHING, OK, said(text=line + far), CLEAN).reason == "nothing_to_do"
    assert judge(OR_NOTHING, OK, said(text=far + line + far), CLEAN).reason is None
