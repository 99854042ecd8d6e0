"""Report a configuration that is broken while nobody watches: once for each error, by the last valid settings."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence

from runner.errors import ConfigError, RunnerError
from runner.mask import mask_known_tokens, mask_text, secrets_of
from runner.notify.last_good import LOGGED, MISSING, LastGoodConfig, LastGoodFile, digest_of, logs_of, policy_of
from runner.notify.message import Breakage, broken_message
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Policy, effective_priority
from runner.records.folder import Logs
from runner.values import replace

_TIMES = r"\d{4,}|\d+[-:]\d\d(?:[-:]\d\d)*"  # in words of a crontab such as `$(date +%H:%M)`
_BUDGET = 5.0  # seconds for messages
_CONFIG = ("configuration broken", "fix it and check with `runner validate`; `runner triage` says what was missed")
_COMMAND = ("a run cannot begin", "correct the command (in the crontab?), or the name in the YAML")


def report(file: LastGoodFile, cause: str, error: RunnerError, environ: Mapping[str, str], *, log_always: bool) -> bool:
    """Write the error to the runner's log and send a message, once while it stays the same; return whether it is new.

    `cause` is what is wrong, in a few words. Dates and other long numbers are not a change. With
    `log_always` it is logged each time. Never raises for what a server does.
    """
    now = time.time()
    known = file.read() or LastGoodConfig()
    breakage = _breakage(error, file.root, environ)
    digest = digest_of(re.sub(_TIMES, "#", "\n".join(breakage.problems)).encode(errors="replace"))
    logs = logs_of(known.logs, file.root, environ)
    is_new = digest not in known.reported.values()
    if log_always or is_new:
        note(logs, [*breakage.problems, *([] if cause == MISSING else [f"error: {error.message}"])], now)
    lock = file.lock()
    if lock is None:
        return is_new  # another process reports it, or nothing can be kept
    try:
        known = file.read() or known
        reported = {**known.reported, **({} if cause == MISSING else {LOGGED: digest})}
        policy = policy_of(known, environ)
        is_due = digest not in known.resolved(LOGGED).reported.values()
        # Without a channel only missing files count as reported: an error is sent once a topic is set.
        if is_due and (policy.all_targets or cause == MISSING):
            reported[cause] = digest
        # Before it is sent: what cannot be kept would be sent each minute.
        kept = reported == known.reported or file.write(replace(known, reported=reported))
        if kept and is_due and policy.all_targets:
            name = f"config_{now * 1000:.0f}_{digest[:8]}"
            if not _send(name, breakage, Outbox(logs, environ), policy, now):
                file.write(replace(known, reported=reported).resolved(cause))
    finally:
        os.close(lock)
    return is_new


def note(logs: Logs, lines: Sequence[str], now: float) -> None:
    """Write to the runner's own log, where there is a log folder: nobody reads the output of cron."""
    if os.path.isdir(logs.root):
        logs.note("\n".join(lines), now)


def _breakage(error: RunnerError, root: str, environ: Mapping[str, str]) -> Breakage:
    """The same wherever the command was started: paths are relative to the project."""
    if isinstance(error, ConfigError):
        base = os.path.join(root, "")
        found = [replace(one, file=os.path.abspath(one.file).removeprefix(base)) for one in error.problems]
        lines = [str(problem) for problem in found]
    else:
        lines = [line.removeprefix("error: ") for line in error.lines()]
    secrets = secrets_of(environ)
    masked = tuple(mask_text(mask_known_tokens(line), secrets) for line in lines)
    return Breakage(root, masked, *(_CONFIG if isinstance(error, ConfigError) else _COMMAND))


def _send(name: str, breakage: Breakage, outbox: Outbox, policy: Policy, now: float) -> bool:
    """Return whether the message is on its way: in the outbox, so that a dead server only delays it, or sent."""
    message = broken_message(name, breakage)
    message = replace(message, priority=effective_priority(policy, message.priority, now))
    pending = Pending(message, now, tuple(Target(target) for target in policy.all_targets))
    logs = outbox.logs
    claim = None
    if os.path.isdir(logs.root):
        try:
            logs.prepare()
            claim = logs.lock(name)
            outbox.write(pending)
        except (OSError, RunnerError):
            pass  # a full disk, or the folder of another user: it goes straight to the server
    sent = outbox.send(pending, time.time, min(_BUDGET, policy.budget))
    on_disk = os.path.exists(outbox.path(name))
    if claim is not None:
        try:
            outbox.record_result(sent)
        except OSError:
            pass
        logs.release(claim, keep_id=True)
    return on_disk or sent.notification()["state"] != "pending"
