"""What all agents need from this machine: git, room for records, a channel for messages, a line in the crontab."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from zoneinfo import available_timezones

import yaml

from runner import __version__, git
from runner.config import Config
from runner.config.checks import schedule_problems
from runner.crontab import crontab, crontab_io, systemd
from runner.crontab.crontab import block_of, find, matches
from runner.crontab.environment import heartbeat_command
from runner.doctor.check import Check
from runner.errors import RunnerError, UsageError
from runner.files import reason
from runner.history.findings import silence
from runner.mask import SHORTEST, short_secrets
from runner.notify.channels import examine as channels_examine
from runner.notify.outbox import Outbox
from runner.notify.policy import read_policy
from runner.process.containment import CONTAINMENT_VARIABLE, Containment, check_rung
from runner.records.folder import Logs
from runner.schedule.due import MISFIRE_GRACE_TIME, schedules_of
from runner.schedule.state import last_heartbeat
from runner.template import TemplateError
from runner.units import format_duration

_LITTLE_ROOM, _NO_ROOM = 1 << 30, 16 << 20  # bytes
_CRON_ADVICE = "`runner cron install` lets the heartbeat start what is due, close lost runs and send what waits"


def examine(config: Config, logs: Logs, outbox: Outbox, environ: Mapping[str, str], now: float) -> list[Check]:
    root = config.project.root
    return [
        Check("runner", "ok", f"{__version__}, Python {sys.version.split()[0]}, project {root}"),
        _identity(root, environ),
        *_logs(logs, root, environ),
        _disk(logs),
        _yaml(),
        _zones(),
        *_messages(config, outbox, environ),
        _cron(config, environ),
        *_heartbeat(config, logs, now),
        *_short_secrets(environ),
        _containment(environ),
    ]


def _identity(root: str, environ: Mapping[str, str]) -> Check:
    (found,) = git.run_all([["config", "--get-regexp", r"^user\.(name|email)$"]], root, dict(environ))
    if found.code == 127:
        return Check("git", "fail", found.err.decode(errors="replace").strip(), "install git")
    known = dict(line.split(" ", 1) for line in found.out.decode(errors="replace").splitlines() if " " in line)
    name = environ.get("GIT_AUTHOR_NAME") or known.get("user.name")
    email = environ.get("GIT_AUTHOR_EMAIL") or known.get("user.email")
    if name and email:
        return Check("git", "ok", f"commits are by {name} <{email}>")
    lacking = " and ".join(key for key, value in (("user.name", name), ("user.email", email)) if not value)
    return Check(
        "git", "warn", f"{lacking} not set, so no agent can commit", 'set them: git config --global user.name "…"'
    )


def _logs(logs: Logs, root: str, environ: Mapping[str, str]) -> Iterator[Check]:
    refused = _refused(logs.root)
    if refused is not None:
        yield Check("logs", "fail", f"cannot write to {logs.root}: {refused}", "fix it, or set `settings.logs`")
        return
    (top,) = git.run_all([["rev-parse", "--show-toplevel"]], root, dict(environ))
    checkout = os.fsdecode(top.out).removesuffix("\n")
    if top.code == 0 and os.path.realpath(logs.root).startswith(os.path.join(os.path.realpath(checkout), "")):
        yield Check(
            "logs",
            "warn",
            f"{logs.root} is inside the checkout, where an agent's `git clean -fdx` deletes it",
            "`settings.logs` in tasks.yaml moves it",
        )
    else:
        yield Check("logs", "ok", logs.root)


def _refused(folder: str) -> str | None:
    """Why no file can be made in a folder, or in the first existing one above it."""
    probe = os.path.join(_existing(folder), f".doctor-{os.getpid()}")
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.unlink(probe)
    except OSError as error:
        return reason(error)
    return None


def _existing(folder: str) -> str:
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder


def _disk(logs: Logs) -> Check:
    try:
        facts = os.statvfs(_existing(logs.root))
    except OSError as error:  # a link that leads nowhere
        return Check("disk", "fail", f"cannot see what is free: {reason(error)}", "fix it, or set `settings.logs`")
    free = facts.f_bavail * facts.f_frsize
    found = f"{free / 1e9:,.1f} GB free for the logs"
    if facts.f_files and not facts.f_favail:
        return Check("disk", "fail", f"{found}, but no inode is left", "delete small files")
    if free < _LITTLE_ROOM:
        return Check("disk", "fail" if free < _NO_ROOM else "warn", found, "free some space, or set `settings.logs`")
    return Check("disk", "ok", found)


def _yaml() -> Check:
    if hasattr(yaml, "CSafeLoader"):
        return Check("yaml", "ok", "libyaml is there")
    return Check(
        "yaml",
        "warn",
        "without libyaml a changed configuration is read ten times slower",
        "install PyYAML from a wheel",
    )


def _zones() -> Check:
    if available_timezones():
        return Check("time zones", "ok", "known by name")
    return Check(
        "time zones",
        "warn",
        "none is known by name, so the time of a limit in such a zone stays unknown",
        "install the system's tzdata, or `pip install tzdata`",
    )


def _messages(config: Config, outbox: Outbox, environ: Mapping[str, str]) -> Iterator[Check]:
    """Check the channels, without an address or topic: anyone who knows these can read the messages."""
    try:
        targets = read_policy(config.notify, {}, environ).all_targets
    except TemplateError as error:
        file, line, _ = config.locate("notify")
        yield Check("messages", "fail", f"{file}:{line}: {error.message}")
        return
    if targets:
        kinds = ", ".join(dict.fromkeys(target["kind"] for target in targets))
        yield Check("messages", "ok", f"by {kinds}; `runner notify test` sends one")
    else:
        yield Check(
            "messages", "warn", "no channel is configured", "set RUNNER_NTFY_TOPIC, or see `notify` in tasks.yaml"
        )
    for target in targets:
        fault = channels_examine(target["kind"], target, environ)
        if fault is not None and fault.permanent:
            yield Check("messages", "fail", f"{target['kind']}: {fault.error}", "no message by it can be sent")
        variable = target.get("token_env")
        if variable:
            there = "is set" if environ.get(variable) else "is not set: fine for a topic without a login"
            yield Check("messages", "ok", f"token variable {variable} {there}")
    waiting, dead = len(outbox.ids()), len(outbox.dead_ids())
    if dead:
        yield Check("outbox", "warn", f"{waiting} waiting, {dead} given up", "look at them: `runner notify list`")
    else:
        yield Check("outbox", "ok", f"{waiting} waiting" if waiting else "empty")


def _cron(config: Config, environ: Mapping[str, str]) -> Check:
    """Another user's crontab, and whether systemd has loaded its timer, are not checked."""
    try:
        if systemd.read_units(systemd.units_folder(environ), config.project.root):
            return Check("cron", "ok", "a systemd timer of this project is written")
    except RunnerError:
        pass  # no home, or a file that is not ours: then look at the crontab
    try:
        return _crontab(config, environ, crontab_io.read(environ))
    except RunnerError as error:
        return Check("cron", "warn", error.message, error.hint)


def _crontab(config: Config, environ: Mapping[str, str], table: bytes) -> Check:
    """Raises RunnerError for a damaged marker."""
    beat = heartbeat_command(config, environ)
    block = find(table, os.fsencode(beat.project))
    if block is not None:
        current = matches(block, block_of(beat))
        changed = "" if current else ", which `runner cron install` would change: see `runner cron show`"
        return Check("cron", "ok", f"a block of the crontab{changed}")
    for other in crontab.blocks(table):
        table = table.replace(other.text, b"")
    ours = [line for line in table.decode(errors="replace").splitlines() if _is_ours(line)]
    beats = any("heartbeat" in line.split() for line in ours)
    count = f"{len(ours)} line{'s' if len(ours) > 1 else ''} of the crontab"
    if beats:
        return Check("cron", "ok", f"{count}, heartbeat among them")
    found = f"{count}, no heartbeat" if ours else "no line of the crontab runs `runner`"
    return Check("cron", "warn", found, _CRON_ADVICE)


def _is_ours(line: str) -> bool:
    words = line.split()
    if not words or words[0].startswith("#"):
        return False
    named = any(os.path.basename(word) == "runner" for word in words)
    return named and bool({"heartbeat", "run"} & set(words))


def _heartbeat(config: Config, logs: Logs, now: float) -> Iterator[Check]:
    """Check the schedules, and the heartbeat where there are some."""
    for task in config.tasks:
        for problem in schedule_problems(config, task):
            yield Check("schedule", "fail", str(problem), "`runner validate` says what is expected")
    number = len(schedules_of(config.tasks))
    if number:
        schedules = f"{number} schedule{'s' if number > 1 else ''}"
        last = last_heartbeat(logs)
        quiet = silence(last, now, MISFIRE_GRACE_TIME)
        if quiet is not None or last is None:
            yield Check("heartbeat", "warn", f"{schedules} and {quiet}", "`runner cron install`")
        else:
            yield Check("heartbeat", "ok", f"{schedules}; the last one was {format_duration(max(0, now - last))} ago")


def _short_secrets(environ: Mapping[str, str]) -> Iterator[Check]:
    names = short_secrets(environ)
    if names:
        found = f"shorter than {SHORTEST} bytes, so not masked in what agents print: {', '.join(names)}"
        yield Check("secrets", "warn", found, "use a longer value")


def _containment(environ: Mapping[str, str]) -> Check:
    forced = environ.get(CONTAINMENT_VARIABLE)
    try:
        check_rung(forced)
    except UsageError as error:
        return Check("containment", "fail", error.message, error.hint)
    box = Containment("doctor", forced, lambda _: None)
    rung = box.rung
    box.close()
    if rung == "group":
        advice = f"unset {CONTAINMENT_VARIABLE}" if forced else "use Linux"
        return Check(
            "containment", "warn", "group: what an agent starts in a session of its own can outlive the run", advice
        )
    least = "" if rung == "cgroup" else ", but a storm of forks may be only counted"
    return Check("containment", "ok", f"{rung}: nothing that an agent starts outlives its run{least}")
