"""Every reason a run can end with, as data: the one table behind exit codes, summaries, messages and documentation."""

from __future__ import annotations

from runner.values import dataclass


@dataclass(frozen=True)
class Reason:
    """`exit_code` None: the run never returned. `meaning` and `advice` are one sentence each, for people.

    `cooldown` is how many seconds the agent is left alone after it, where no reset is announced; None: not at all.
    """

    status: str
    exit_code: int | None
    tag: str
    priority: int
    meaning: str
    advice: str
    next_agent_helps: bool = False
    cooldown: float | None = None


def _failed(
    priority: int, meaning: str, advice: str, *, next_agent_helps: bool = False, cooldown: float | None = None
) -> Reason:
    return Reason("failed", 1, "x", priority, meaning, advice, next_agent_helps, cooldown)


def _skipped(meaning: str, advice: str, *, priority: int = 0, next_agent_helps: bool = True) -> Reason:
    return Reason("skipped", 12, "x" if priority else "", priority, meaning, advice, next_agent_helps)


_HOUR = 3600.0

SUCCESS = Reason("success", 0, "white_check_mark", 2, "the run succeeded", "nothing to do")

REASONS: dict[str, Reason] = {
    "nothing_to_do": Reason(
        "success", 0, "white_check_mark", 2, "the agent looked and found nothing to do", "nothing to do"
    ),
    "unverified": Reason(
        "success",
        0,
        "warning",
        3,
        "the work is there, and its checks could say nothing about it",
        "look at the checks that were red before, or give them a report",
    ),
    "agent_error": _failed(4, "the agent reported an error", "read the evidence line, then the transcript"),
    "no_output": _failed(4, "the agent ended well but said nothing", "run it by hand with the same argv and look"),
    "no_terminal_event": _failed(
        4,
        "the output ends without the event that says how the run went",
        "read the end of the transcript; if the CLI is new, its output may no longer fit the parser",
    ),
    "refusal": _failed(4, "the model refused the task", "reword the prompt"),
    "context_overflow": _failed(
        4, "the conversation outgrew the model's context", "split the task, or choose a model with a larger context"
    ),
    "permission": _failed(
        4, "the agent was not allowed to do what it needed", "check the permission flags in the agent's argv"
    ),
    "crashed": _failed(
        4, "the agent was ended by a signal that the runner did not send", "check memory and the system log"
    ),
    "no_commits": _failed(3, "the task requires a commit and there is none", "read what the agent says it did"),
    "uncommitted_changes": _failed(
        3, "the agent changed files and did not commit them", "look at the working tree, then commit or discard"
    ),
    "invalid_output": _failed(
        3,
        "the answer that the task asks for is absent, or does not fit its schema",
        "read what the message says of it, then the reply; the schema may ask for too much",
    ),
    "tampered": _failed(
        4,
        "the agent changed what makes git run programs, or what the task protects",
        "look at the named settings and files before git is used there again",
    ),
    "verify_failed": _failed(
        4, "a check of the task failed on the final commit", "read the check's log, then the commits"
    ),
    "turn_limit": _failed(
        3, "the agent reached its own cap of turns or tool calls", "raise the cap, or make the task smaller"
    ),
    "budget": _failed(
        3, "the run reached its budget, or the agent its own cap of money", "raise the cap, or make the task smaller"
    ),
    "model_not_found": _failed(
        4,
        "the service does not know the model",
        "choose another model by --model or in the YAML",
        next_agent_helps=True,
    ),
    "auth": _failed(
        4,
        "the service did not accept the login",
        "log in with the CLI once, or renew its key",
        next_agent_helps=True,
        cooldown=_HOUR,
    ),
    "billing": _failed(
        4,
        "the account has no credit or its payment was refused",
        "top up or fix the payment",
        next_agent_helps=True,
        cooldown=_HOUR,
    ),
    "launch_failed": _failed(
        4, "the agent could not be started", "install the binary, or set its path", next_agent_helps=True
    ),
    "overloaded": _failed(3, "the service is overloaded", "try again later", next_agent_helps=True),
    "server": _failed(3, "the service failed on its side", "try again later", next_agent_helps=True),
    "network": _failed(
        3, "the service could not be reached", "check the network, the proxy and the base URL", next_agent_helps=True
    ),
    "rate_limit": Reason(
        "rate_limited",
        10,
        "hourglass",
        3,
        "the service limits requests",
        "wait until the reset",
        next_agent_helps=True,
        cooldown=_HOUR / 4,
    ),
    "usage_limit": Reason(
        "rate_limited",
        10,
        "hourglass",
        3,
        "the plan's usage window is used up",
        "wait until the reset, or use another agent",
        next_agent_helps=True,
        cooldown=_HOUR,
    ),
    "timeout": Reason(
        "timed_out", 11, "x", 4, "the run took longer than its timeout", "raise the timeout, or make the task smaller"
    ),
    "first_output": Reason(
        "timed_out", 11, "x", 4, "the agent printed nothing in the time given", "check its login and the network"
    ),
    "idle_timeout": Reason(
        "timed_out", 11, "x", 4, "the agent fell silent", "read the end of the transcript for what it waited on"
    ),
    # The checkout and the disk are the same for every agent.
    "busy": _skipped("another run works in the same checkout", "nothing to do, or use --wait", next_agent_helps=False),
    "not_needed": Reason("skipped", 0, "", 0, "the task's `when` says that there is nothing to do", "nothing to do"),
    "cooldown": _skipped("the agent is left alone until its limit resets", "nothing to do"),
    "preflight": _skipped("a preflight command failed", "fix what it reports", priority=3),
    "dirty_workspace": _skipped(
        "the checkout is not in a state from which the run can begin",
        "do what the message names, then run again",
        priority=3,
        next_agent_helps=False,
    ),
    "missing_requirement": _skipped(
        "something that the agent or task requires is not there", "provide what the message names", priority=3
    ),
    "disk_full": _skipped(
        "there is no room for the record, or it cannot be written",
        "see that the log folder can be written (`runner doctor`) and has room",
        priority=3,
        next_agent_helps=False,
    ),
    "budget_window": _skipped(
        "what all runs of the day, week or month may use is used up or reserved",
        "wait until the window ends, or raise the limit under `settings.budgets`",
        priority=3,
    ),
    "lost": Reason("lost", None, "x", 5, "the run ended without closing its record", "read the end of the transcript"),
    "missed": Reason(
        "missed",
        None,
        "x",
        4,
        "a schedule's due time passed and nothing was started",
        "see that the machine was on and that cron runs `runner heartbeat` each minute",
    ),
    "interrupted": Reason("interrupted", 130, "x", 2, "the runner was told to stop", "run it again"),
    "internal": Reason("failed", 70, "x", 5, "the runner itself failed", "report it with logs/runner.log"),
}


NOT_BEGUN = frozenset(("skipped", "missed"))
"""The statuses of what never began: a line in runs.jsonl and no folder."""


def reason_of(name: str | None, status: str | None = None) -> Reason:
    """The row of a reason; None is a plain success. One that this version does not know has the first of its status."""
    if name is None:
        return SUCCESS
    rows = (row for row in REASONS.values() if row.status == status)
    return REASONS.get(name) or next(rows, REASONS["internal"])


_OURS = (
    "no_commits uncommitted_changes no_terminal_event no_output launch_failed internal tampered verify_failed".split()
)

FAULT_CLASSES = frozenset(
    name
    for name, row in REASONS.items()
    if name == "timeout" or (row.status in ("failed", "rate_limited") and name not in _OURS)
)
"""The classes that a parser's rule may name."""
