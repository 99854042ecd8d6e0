"""The frozen values that the steps of a run hand to each other.

words, clock, environment → Request → Invocation → Outcome → Reply → Verdict → record.
Times are seconds since the epoch (UTC) unless a name says otherwise; durations are seconds.
"""

from __future__ import annotations

from runner.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, TypeAlias

    from runner.asked import Answer, Edit, Output, Protection

    # fmt: off
    Ending: TypeAlias = Literal[
        "exit", "timeout", "first_output", "idle_timeout", "linger", "watch", "budget", "signal",
        "launch_failed", "lost"
    ]
    # fmt: on
    Terminal: TypeAlias = Literal["good", "bad", "absent", "undeclared"]
    JsonObject: TypeAlias = dict[str, Any]
else:
    JsonObject = dict  # so that an import of it need not be hidden


@dataclass(frozen=True)
class Request:
    """What the command line (or a schedule) asks for; names are not checked yet.

    `wait` is how many seconds to wait for a checkout in which another run works. `attempt` counts from 1, and
    `previous_run` is the run that this one follows. `unattended` is as a schedule starts it: preflight commands count.
    `heed_cooldown` leaves an agent alone that is in one. `gate` asks the task's `when`.
    """

    agent: str
    task: str
    model: str | None = None
    timeout: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, str] = field(default_factory=dict)
    repo: str | None = None
    prompt: str | None = None
    trigger: str = "manual"
    wait: float = 0.0
    attempt: int = 1
    previous_run: str | None = None
    unattended: bool = False
    heed_cooldown: bool = False
    gate: bool = False


@dataclass(frozen=True)
class Limits:
    """Seconds, None for none; `stall` and `max_wait` are for retries (`max_wait` None: until the timeout).

    `max_output` is how many bytes of output each log keeps.
    """

    timeout: float | None = 900.0
    first_output: float | None = None
    idle_timeout: float | None = None
    grace: float = 5.0
    drain: float = 0.3
    linger: float = 10.0
    stall: float | None = 60.0
    max_wait: float | None = None
    max_output: int | None = 256 << 20


@dataclass(frozen=True)
class Expectations:
    """A task's postcondition. `protect_mode` is `fail` or `report`."""

    requires_commit: bool = False
    nothing_to_do: str | None = None
    auto_commit: bool = False
    denied: str = "note"
    output: Output | None = None
    protect: tuple[Protection, ...] = ()
    protect_mode: str = "fail"


@dataclass(frozen=True)
class Invocation:
    """One run, complete: everything that the executor needs and nothing that it must look up.

    `env` is the whole environment of the agent; only its names are ever recorded.
    `files` are settings files to write before the spawn: absolute path → content; `folders` are made if missing.
    `verify` is the task's, its checks with `argv` and `seconds`, and `env`, `prefix` and `tree_prefix`: what they run
    in, and a sandbox's words for the checkout and for a clone.
    `budget` is what `runner.budget.terms` makes its terms of, None for a run without any.
    `wrapped` is how many words of argv are a sandbox's, before the agent's own.
    `parser` is the raw rule mapping, so that the value stays JSON-able. `preflight` are the commands that must succeed
    first, each `{words, of, tests, default}`: `of` is `agent` or `task`, `tests` marks the project's test command, and
    `default` the one that nobody chose. `when` is the task's, with the words of its command.
    """

    run_id: str
    agent: str
    task: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    run_dir: str
    stdin: str | None
    prompt: str
    files: Mapping[str, str]
    model: str | None
    limits: Limits
    expectations: Expectations
    parser_name: str
    parser: Mapping[str, Any]
    trigger: str
    config_hash: str
    install: str | None = None
    attempt: int = 1
    previous_run: str | None = None
    preflight: tuple[JsonObject, ...] = ()
    wrapped: int = 0
    folders: tuple[str, ...] = ()
    verify: JsonObject | None = None
    when: JsonObject | None = None
    budget: JsonObject | None = None


@dataclass(frozen=True)
class Skip:
    """A run that does not begin: recorded as a line, without a folder. `exit_code` None: the reason's own.

    `for_all`: no other agent would fare better, whatever the reason's row says. `retry_at` is when it may be otherwise.
    `quiet`: a message has told of it already, that of another run.
    """

    reason: str
    message: str
    exit_code: int | None = None
    for_all: bool = False
    retry_at: float | None = None
    quiet: bool = False


class Skipped(Exception):  # noqa: N818  # no error: the run is recorded as skipped
    """Raised by the step of a run that finds that it must not begin."""

    def __init__(self, reason: str, message: str, exit_code: int | None = None, **more: Any) -> None:
        """`more` are the other fields of a Skip."""
        super().__init__(message)
        self.skip = Skip(reason, message, exit_code, **more)


@dataclass(frozen=True)
class Outcome:
    """What the system saw. `exit_code` is None when a signal ended the agent; times by the wall clock."""

    ended_by: Ending
    started_at: float
    ended_at: float
    elapsed: float
    exit_code: int | None = None
    signal: int | None = None
    runner_signal: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    survivors: int = 0
    containment: str = "subreaper"
    launch_error: str | None = None
    output_error: str | None = None
    output_left_out: int = 0


@dataclass(frozen=True)
class Usage:
    """Tokens with the OpenTelemetry GenAI meaning; None is unknown.

    `input_tokens` is everything sent, cache reads and writes included; `output_tokens` everything produced, reasoning
    included. `approximate`: one of them was rounded by the CLI.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    approximate: bool = False


@dataclass(frozen=True)
class Evidence:
    """The line that shows it: where its log holds it (`source` is stdout, stderr or a file's name) and its beginning.

    `offset` is the byte at which the line begins, in stdout.log for stdout and in transcript.log for stderr.
    """

    source: str
    offset: int
    text: str


@dataclass(frozen=True)
class Fault:
    """A classified error: `kind` is a reason of `reasons.py`."""

    kind: str
    message: str
    retry_at: float | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True)
class Reply:
    """What the agent said.

    `terminal` is `undeclared` when the parser knows no terminal event. `failure` fails the run by itself (a rule with
    `fails`); `fault` names the class of a run that failed otherwise; `stalled` is what the agent was retrying when its
    output ended. `denials` is `{count, names}` of the tool calls that were denied; `doubts` are notes on what was not
    believed; `slow_rules` are the rules whose patterns ran out of time, and whether each could have failed the run.
    `output` is the answer that a schema was asked for, where the CLI gives it as a value of its own.
    believed; `spent` is what the record has of cost and budget beside `cost_usd`, and in which words the run was ended,
    None for a run that nobody metered; `slow_rules` are the rules whose patterns ran out of time, and whether each
    could have failed the run.
    """

    text: str
    session_id: str | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_usd: float | None = None
    tool_calls: int | None = None
    terminal: Terminal = "undeclared"
    terminal_evidence: Evidence | None = None
    failure: Fault | None = None
    fault: Fault | None = None
    stalled: Fault | None = None
    ignore_exit_code: bool = False
    skipped_lines: int = 0
    exit_classes: Mapping[int, str] = field(default_factory=dict)
    stderr_end: Evidence | None = None
    denials: JsonObject | None = None
    output: Any = None
    doubts: tuple[str, ...] = ()
    spent: JsonObject | None = None
    slow_rules: tuple[tuple[tuple[str | int, ...], bool], ...] = ()


@dataclass(frozen=True)
class Commit:
    sha: str
    subject: str


@dataclass(frozen=True)
class Changes:
    """What a run left in the workspace; `repository` is False where there is no git checkout.

    `left` is what git itself was left with, as the record has it. `unknown` says what git could not tell. `tampered`
    names what can make git run programs and was changed.
    """

    repository: bool
    commits: tuple[Commit, ...] = ()
    dirt: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left: tuple[JsonObject, ...] = ()
    unknown: str | None = None
    tampered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What we conclude. `reason` is None on a plain success; `evidence` is `FILE:LINE` once it is resolved."""

    status: str
    reason: str | None
    exit_code: int
    message: str | None = None
    evidence: Evidence | None = None
    retry_at: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """All that is known of a run whose agent has ended.

    `protected` are the edits of what the task protects; None where it protects nothing.
    """

    outcome: Outcome
    reply: Reply
    changes: Changes
    verdict: Verdict
    verify: tuple[JsonObject, ...] = ()
    answer: Answer | None = None
    protected: tuple[Edit, ...] | None = None
