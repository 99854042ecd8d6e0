"""Where the message of a run goes, and with what priority: a pure table."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from runner.notify.policy import Policy, Quiet, Streak, read_policy, route
from runner.template import TemplateError

NTFY = {"kind": "ntfy", "url": "https://ntfy.example", "topic": "t"}
SECOND = {"kind": "command", "argv": ["mail"]}
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
NIGHT = datetime(2026, 3, 1, 23, 30, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
BOTH = Policy(targets=(NTFY,), failure_targets=(SECOND,))
AFTER_3 = Policy(targets=(NTFY,), fold_after=3)
QUIET = Policy(targets=(NTFY,), quiet=Quiet(22 * 60, 7 * 60, "Europe/Berlin"))
ONLY_FAILED = Policy(targets=(NTFY,), statuses=frozenset({"failed"}))
NEVER_MIND = Policy(targets=(NTFY,), statuses=frozenset({"failed"}), recovery=False)


def record(status: str, reason: str | None = None) -> dict[str, object]:
    return {"status": status, "reason": reason, "task": "t", "agent": "a"}


@pytest.mark.parametrize(
    ("policy", "status", "reason", "before", "targets", "note", "priority"),
    [
        (Policy(), "success", None, Streak(), 0, None, None),
        (BOTH, "success", None, Streak(), 1, None, 2),
        (BOTH, "failed", "auth", Streak(), 2, None, 4),
        (BOTH, "success", None, Streak("auth", 14), 1, "recovered after 14 failed runs (auth)", 2),
        (BOTH, "success", "nothing_to_do", Streak("auth", 1), 1, "recovered after 1 failed run (auth)", 2),
        (AFTER_3, "failed", "auth", Streak(), 1, None, 4),
        (AFTER_3, "failed", "auth", Streak("auth", 1), 1, None, 4),
        (AFTER_3, "failed", "auth", Streak("auth", 2), 1, "the 3rd time in a row", 4),
        (AFTER_3, "failed", "auth", Streak("auth", 3), 0, None, None),
        (AFTER_3, "failed", "auth", Streak("auth", 99), 0, None, None),
        (AFTER_3, "failed", "billing", Streak("auth", 99), 1, None, 4),
        (AFTER_3, "success", None, Streak("auth", 99), 1, "recovered after 99 failed runs (auth)", 2),
        (ONLY_FAILED, "success", None, Streak(), 0, None, None),
        (ONLY_FAILED, "failed", "auth", Streak(), 1, None, 4),
        (ONLY_FAILED, "success", None, Streak("auth", 2), 1, "recovered after 2 failed runs (auth)", 2),
        (NEVER_MIND, "success", None, Streak("auth", 2), 0, None, None),
    ],
)
def test_decisions(
    policy: Policy,
    status: str,
    reason: str | None,
    before: Streak,
    targets: int,
    note: str | None,
    priority: int | None,
) -> None:
    found = route(policy, record(status, reason), before, NOW)
    assert (len(found.targets), found.priority) == (targets, priority)
    assert (found.note is None) == (note is None)
    assert note is None or (found.note or "").startswith(note)


@pytest.mark.parametrize(
    ("reason", "when", "priority"),
    [("auth", NOW, 4), ("auth", NIGHT, 2), ("lost", NIGHT, 5), (None, NIGHT, 2), ("rate_limit", NIGHT, 2)],
)
def test_quiet_hours_lower_the_priority(reason: str | None, when: float, priority: int) -> None:
    assert route(QUIET, record("failed", reason), Streak(), when).priority == priority


@pytest.mark.parametrize(
    ("begin", "end", "hour", "quiet"),
    [(22, 7, 23, True), (22, 7, 6, True), (22, 7, 7, False), (22, 7, 12, False), (1, 5, 3, True), (1, 5, 5, False)],
)
def test_quiet_hours_may_span_midnight(begin: int, end: int, hour: int, quiet: bool) -> None:
    policy = Policy(targets=(NTFY,), quiet=Quiet(begin * 60, end * 60, "UTC"))
    when = datetime(2026, 3, 1, hour, 0, tzinfo=ZoneInfo("UTC")).timestamp()
    assert route(policy, record("failed", "auth"), Streak(), when).priority == (2 if quiet else 4)


SECTION = {
    "ntfy": {
        "url": "{{ env.URL or 'https://ntfy.sh' }}",
        "topic": "{{ env.TOPIC }}",
        "token_env": "TOKEN",
        "click": None,
    },
    "webhook": {"url": "{{ env.HOOK }}", "secret_env": "S"},
    "failures": {"command": {"argv": ["mail", "{{ env.WHO }}"]}},
}


@pytest.mark.parametrize(
    ("environ", "task", "kinds"),
    [
        ({}, {}, ["command"]),
        ({"TOPIC": "t"}, {}, ["ntfy", "command"]),
        ({"TOPIC": "t", "HOOK": "http://h"}, {}, ["ntfy", "webhook", "command"]),
        ({"TOPIC": "t"}, {"notify": False}, []),
        ({"TOPIC": "t"}, {"notify": {"failures": None}}, ["ntfy"]),
        ({"TOPIC": "t"}, {"notify": {"ntfy": {"topic": "mine"}}}, ["ntfy", "command"]),
    ],
)
def test_a_channel_counts_when_it_is_configured(
    environ: dict[str, str], task: dict[str, object], kinds: list[str]
) -> None:
    assert [target["kind"] for target in read_policy(SECTION, task, environ).all_targets] == kinds


def test_targets_hold_the_names_of_secrets_and_not_their_values() -> None:
    (target, *_) = read_policy(SECTION, {}, {"TOPIC": "t", "TOKEN": "hunter2-hunter2"}).targets
    assert target == {"kind": "ntfy", "url": "https://ntfy.sh", "topic": "t", "token_env": "TOKEN", "click": None}


def test_a_broken_template_is_an_error() -> None:
    with pytest.raises(TemplateError):
        read_policy({"ntfy": {"topic": "{{ nonsense }}"}}, {}, {})


def test_a_webhook_whose_address_is_a_secret_counts() -> None:
    (target,) = read_policy({"webhook": {"url_env": "HOOK"}}, {}, {}).targets
    assert target == {"kind": "webhook", "url_env": "HOOK"}
