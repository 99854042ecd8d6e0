"""`runner notify`: test the channels, list and send the messages that wait."""

from __future__ import annotations

import time

from runner.commands._project import Opened, open_project
from runner.errors import RunnerError
from runner.model import JsonObject
from runner.notify import delivery
from runner.notify.channels import poll, send
from runner.notify.channels.base import Message, Sent
from runner.notify.notifier import NO_CHANNEL
from runner.notify.outbox import Pending
from runner.run import recovery
from runner.text import json_text, one_line, printable, rfc3339

_TEST_BUDGET = 10.0
_FLUSH_BUDGET = 120.0


def test(project: str | None) -> int:
    """Send a message by every channel, now; 1 when one of them fails."""
    opened = open_project(project)
    targets = _targets(opened)
    now = time.time()
    message = Message(
        title="runner: a test",
        body=f"This is a test of the channel, from {opened.config.project.root}.",
        tags=("test_tube",),
        priority=3,
        click=None,
        actions=(),
        message_id=f"test_{now:.0f}",
    )
    failed = 0
    for target in targets:
        result = send(target["kind"], target, message, opened.environ, _TEST_BUDGET)
        if isinstance(result, Sent):
            print(f"{_shown(target)}: sent")
        else:
            print(f"{_shown(target)}: failed: {one_line(result.error)}")
            failed += 1
    return 1 if failed else 0


def list_messages(project: str | None, *, as_json: bool) -> int:
    """List the messages that wait, and the dead letters."""
    outbox = open_project(project).notifier({}).outbox
    rows = [(False, outbox.read(name)) for name in outbox.ids()]
    rows += [(True, outbox.read(name, dead=True)) for name in outbox.dead_ids()]
    found = [(dead, pending) for dead, pending in rows if pending is not None]
    if as_json:
        print(json_text([_described(pending, dead=dead) for dead, pending in found], 2))
    elif not found:
        print("no message waits")
    else:
        for dead, pending in found:
            print(_line(pending, dead=dead))
    return 0


def flush(project: str | None) -> int:
    """Close lost runs and send what waits; 1 when something remains."""
    opened = open_project(project)
    for lost in recovery.close_lost(opened.logs, opened.notifier_of):
        print(f"lost: {lost['agent']} {lost['task']} {lost['run_id']}")
    delivered, remaining = delivery.flush(opened.notifier({}), _FLUSH_BUDGET, due_only=False)
    dead = len(opened.notifier({}).outbox.dead_ids())
    print(f"{delivered} delivered, {remaining} waiting" + (f", {dead} dead (`runner notify list`)" if dead else ""))
    return 1 if remaining else 0


def history(project: str | None, since: str, *, as_json: bool) -> int:
    """List the messages that the ntfy server still holds."""
    opened = open_project(project)
    messages: list[JsonObject] = []
    targets = [target for target in _targets(opened) if target["kind"] == "ntfy"]
    if not targets:
        raise RunnerError("no ntfy topic is configured", hint="set RUNNER_NTFY_TOPIC, or `notify.ntfy` in tasks.yaml")
    for target in targets:
        found = poll("ntfy", target, since, opened.environ, _TEST_BUDGET)
        if not isinstance(found, list):
            raise RunnerError(f"{_shown(target)}: {one_line(found.error)}")
        messages += found
    if as_json:
        print(json_text(messages, 2))
        return 0
    for message in messages:
        when = message.get("time")
        stamp = rfc3339(when) if isinstance(when, int | float) else "?"
        print(f"{stamp}  {one_line(str(message.get('title') or message.get('message') or ''), 100)}")
    if not messages:
        print(f"the server holds no message since {printable(since)}")
    return 0


def _targets(opened: Opened) -> tuple[JsonObject, ...]:
    targets = opened.policy({}).all_targets
    if not targets:
        raise RunnerError(NO_CHANNEL)
    return targets


def _shown(target: JsonObject) -> str:
    """The kind, with the topic of ntfy: never an address, which may hold a secret."""
    return f"{target['kind']} {target['topic']}" if target.get("topic") else str(target["kind"])


def _described(pending: Pending, *, dead: bool) -> JsonObject:
    return {
        "id": pending.id,
        "title": pending.message.title,
        "dead": dead,
        "created_at": rfc3339(pending.created_at),
        "targets": [
            {
                "channel": _shown(target.settings),
                "state": target.state,
                "attempts": target.attempts,
                "last_error": target.last_error,
            }
            for target in pending.targets
        ],
    }


def _line(pending: Pending, *, dead: bool) -> str:
    errors = "; ".join(one_line(target.last_error, 80) for target in pending.targets if target.last_error)
    tries = sum(target.attempts for target in pending.targets)
    state = "dead" if dead else "waiting" if pending.final else "running"
    shown = f"{pending.id}  {state:<8} {tries} tries  {one_line(pending.message.title, 60)}"
    return f"{shown}\n  {errors}" if errors else shown
