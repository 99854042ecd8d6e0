"""The pinned CLIs through `runner run` against the scripted model server: agent and scenario, and what must come of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml

from runner.modelserver import SCENARIOS
from runner.modelserver.scenario import Answer
from runner.reasons import REASONS, SUCCESS
from tests.helpers import ROOT
from tests.real.clis import CLIS
from tests.real.rig import ASKED, COMMIT, Row, subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real.rig import Cell

pytestmark = pytest.mark.real

ADDED = ("Add scripted.txt",)
THREE_HOURS = (10_000, 12_500)  # the CLIs add up to a tenth to a wait, or cut a time of day to the minute
NO_REPLY = ("timeout", "no_commits", "uncommitted_changes")  # reasons that the agent itself did not print


def row(scenario: str, reason: str, **more: object) -> Row:
    """A row without its CLI, its status and exit code from the reason."""
    known = REASONS[reason]
    assert known.exit_code is not None
    return replace(
        Row("", scenario, status=known.status, reason=reason, exit_code=known.exit_code),
        **more,  # type: ignore[arg-type]  (fields of Row, by name)
    )


GOOD = [
    Row("", "hello", counted=True),
    Row("", "mention", counted=True),
    Row("", "flaky", counted=True),
    Row("", "commit", COMMIT, commits=ADDED, counted=True),
    row("edit", "uncommitted_changes", task=COMMIT, dirt="?? scripted.txt", counted=True),
    row("toolfail", "no_commits", task=COMMIT, counted=True),
    row("modelnotfound", "model_not_found"),
]


def claude() -> Iterator[Row]:
    one_retry = (("CLAUDE_CODE_MAX_RETRIES", "1"),)  # ten by default, which takes minutes
    subscription = (("CLAUDE_CODE_OAUTH_TOKEN", "no-secret"), ("ANTHROPIC_API_KEY", ""))
    soon = (0, 60)
    yield Row("", "streamlimit", counted=True)  # it asks again without streaming
    yield row("quota", "billing", counted=True)
    for scenario, reason in [
        ("auth", "auth"),
        ("overloaded", "overloaded"),
        ("crash500", "server"),
        ("reset", "network"),
        ("ratelimit", "rate_limit"),
        ("ratelimit-bare", "rate_limit"),
    ]:
        yield row(scenario, reason, environment=one_retry, counted=True)
    yield row("broken", "network", environment=one_retry)
    yield row("streamlimit-late", "rate_limit")
    yield row("ratelimit", "rate_limit", timeout="10s", retry_in=soon)
    yield row("commitlimit", "rate_limit", task=COMMIT, commits=ADDED, timeout="10s", retry_in=soon)
    yield row("planlimit", "usage_limit", environment=subscription, retry_in=THREE_HOURS, within=30)
    yield from silent("8s", "hang", "stall")
    yield row("sleep", "timeout", task=COMMIT, timeout="8s")


def codex() -> Iterator[Row]:
    for scenario, reason in [
        ("quota", "billing"),
        ("auth", "auth"),
        ("overloaded", "overloaded"),
        ("crash500", "server"),
        ("reset", "network"),
        ("broken", "network"),
        ("ratelimit", "rate_limit"),
        ("ratelimit-bare", "rate_limit"),
        ("streamlimit", "rate_limit"),
        ("streamlimit-late", "rate_limit"),
    ]:
        yield row(scenario, reason)
    yield row("commitlimit", "rate_limit", task=COMMIT, commits=ADDED)
    yield row("planlimit", "usage_limit", retry_in=THREE_HOURS, within=30)
    yield from silent("10s", "hang", "stall")
    yield row("sleep", "no_commits", task=COMMIT)  # it gives a long command ten seconds, then goes on without it


def gemini() -> Iterator[Row]:
    yield row("auth", "auth")
    yield row("quota", "usage_limit")  # of the day; this service knows no credit
    yield row("broken", "network")
    yield row("streamlimit", "server")  # of the error in the stream it tells nothing
    yield row("streamlimit-late", "server")
    yield row("ratelimit", "rate_limit", timeout="25s", retry_in=(0, 60))
    yield row("ratelimit-bare", "rate_limit", timeout="25s", retry_in=(30, 90))
    yield row("commitlimit", "rate_limit", task=COMMIT, commits=ADDED, timeout="30s", retry_in=(0, 60))
    yield row("planlimit", "usage_limit", retry_in=THREE_HOURS, within=30)
    for scenario, reason in [("overloaded", "overloaded"), ("crash500", "server"), ("reset", "network")]:
        yield row(scenario, reason, timeout="25s")
    yield from silent("15s", "hang", "stall")


def qwen_0_15() -> Iterator[Row]:
    # exit code 0 and "success" for all of these; after a broken stream the error stands behind a piece of the answer
    yield row("auth", "auth")
    yield row("reset", "network")
    yield row("broken", "network")
    # it retries without a word for ten minutes and more
    yield from silent(
        "20s", "ratelimit", "quota", "planlimit", "overloaded", "crash500", "streamlimit", "hang", "stall"
    )
    yield row("commitlimit", "timeout", task=COMMIT, commits=ADDED, timeout="25s")


def qwen_0_24() -> Iterator[Row]:
    yield row("auth", "auth")
    yield row("broken", "network")
    # the wait that it announces, 60 s, does not fit
    yield row("streamlimit", "rate_limit", timeout="45s", retry_in=(20, 61), within=30)
    yield from silent("20s", "ratelimit", "quota", "planlimit", "overloaded", "crash500", "reset", "hang")


def provider_of_providers(timeout: str) -> Iterator[Row]:
    yield row("auth", "auth")
    yield row("ratelimit", "rate_limit", retry_in=(0, 5))
    for scenario, reason in [
        ("ratelimit-bare", "rate_limit"),
        ("quota", "billing"),
        ("overloaded", "overloaded"),
        ("crash500", "server"),
        ("reset", "network"),
        ("streamlimit", "rate_limit"),
    ]:
        yield row(scenario, reason, timeout=timeout)
    yield row("broken", "network", timeout="90s")  # it asks again in silence at first, for 40 s at times
    # On a busy machine they take up to a minute before they ask for the first time.
    yield row("planlimit", "rate_limit", timeout="120s", retry_in=THREE_HOURS, within=90)
    yield row("commitlimit", "rate_limit", task=COMMIT, commits=ADDED, retry_in=(0, 5))
    yield from silent(timeout, "hang")


def silent(timeout: str, *scenarios: str) -> Iterator[Row]:
    for scenario in scenarios:
        yield row(scenario, "timeout", timeout=timeout)


FAILING: dict[str, Callable[[], Iterator[Row]]] = {
    "claude": claude,
    "codex": codex,
    "gemini": gemini,
    "qwen-0.15": qwen_0_15,
    "qwen-0.24": qwen_0_24,
    "opencode": partial(provider_of_providers, "40s"),
    "kilo": partial(provider_of_providers, "60s"),
}
STOCK = yaml.safe_load((ROOT / "agents.yaml").read_text())["agents"]
DESCRIBED = [name for name, cli in CLIS.items() if cli.agent in STOCK]
TABLE = [replace(row, cli=cli) for cli in DESCRIBED for row in (*GOOD, *FAILING[cli]())]

PLANES = " ".join(chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0x41, 0x1234, 0xFFFD))
LONG = "\n".join(f"line {number:05} of a long prompt, with an é and a 𝄞" for number in range(4500))
PROMPT = f'-rf --help\n--model nothing\n"quotes" \' ` $(id) \\ %s {{braces}} <tags>\n{PLANES}\n{LONG}\nthe end'
PROMPTS = [Row(cli, "hello", ASKED, prompt=PROMPT, counted=True) for cli in DESCRIBED]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_table(check_cell: Callable[[Row, Callable[[Cell], None]], None], row: Row) -> None:
    check_cell(row, assert_row)


def assert_row(cell: Cell) -> None:
    """What a row of the table promises."""
    row, record = cell.row, cell.record
    assert (record["status"], record["reason"], cell.exit_code) == (row.status, row.reason, row.exit_code), shown(cell)
    assert_told(cell)
    assert_left(cell)
    if row.counted:
        assert {name: record["usage"][name] for name in cell.answered} == cell.answered
    if row.within is not None:
        assert record["elapsed_seconds"] < row.within
    if row.status == "success":
        assert_answered(cell)
    else:
        assert bool(record["error"]["evidence"]) == (row.reason not in NO_REPLY)
        assert_retry(cell)


@pytest.mark.parametrize("row", PROMPTS, ids=str)
def test_a_prompt_reaches_the_model_unchanged(
    check_cell: Callable[[Row, Callable[[Cell], None]], None], row: Row
) -> None:
    check_cell(row, assert_prompt)


def assert_prompt(cell: Cell) -> None:
    assert cell.exit_code == 0, shown(cell)
    assert PROMPT in "\n".join(cell.server.prompts)
    assert {call.model for call in cell.server.calls} == {cell.cli.model.rpartition("/")[2]}


def shown(cell: Cell) -> str:
    """What a person needs to see why: the command's stderr, and the end of what the agent printed."""
    transcript = (cell.project.folders()[-1] / "transcript.log").read_text(errors="replace")
    return f"{cell.stderr}\n{transcript[-6000:]}"


def assert_told(cell: Cell) -> None:
    """One message, of the reason's urgency."""
    reason = REASONS[cell.row.reason] if cell.row.reason else SUCCESS
    assert [(message["tags"], message["priority"]) for message in cell.messages] == [([reason.tag], reason.priority)]
    assert cell.record["notification"]["state"] == "delivered"


def assert_left(cell: Cell) -> None:
    """No process, nothing in the checkout but the expected commits and dirt."""
    row = cell.row
    assert cell.left == []
    assert tuple(commit["subject"] for commit in cell.record["commits"]) == row.commits
    assert tuple(subjects(cell.project)) == row.commits
    assert cell.project.git("status", "--porcelain") == row.dirt


def assert_answered(cell: Cell) -> None:
    steps = [step for step in SCENARIOS[cell.row.scenario].turns if isinstance(step, Answer)]
    record = cell.record
    if steps:
        assert record["text"] == steps[-1].text
    assert record["tool_calls"] == sum(step.command is not None for step in steps)
    assert record["model"] == cell.cli.model
    assert bool(record["cost_usd"]) == cell.cli.priced
    assert record["session_id"]
    if cell.cli.sessions is not None:
        names = [path.stem for path in cell.project.home.glob(cell.cli.sessions)]
        assert any(name.endswith(record["session_id"]) for name in names), names


def assert_retry(cell: Cell) -> None:
    told = cell.record["error"]["retry_at"]
    expected = cell.row.retry_in
    if expected is None:
        assert told is None
        return
    assert told is not None
    least, most = expected
    ended = datetime.fromisoformat(cell.record["ended_at"])
    assert least <= (datetime.fromisoformat(told) - ended).total_seconds() <= most
