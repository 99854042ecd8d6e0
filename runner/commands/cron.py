"""`runner cron`: the heartbeat's block in this user's crontab or its systemd timer, and what will start."""

from __future__ import annotations

import difflib
import heapq
import os
import shlex
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

from runner.commands._project import Opened, open_project
from runner.commands._table import table
from runner.config import find_project
from runner.config.checks import schedule_problems
from runner.config.project import state_home
from runner.crontab import crontab, crontab_io, environment, systemd
from runner.crontab.crontab import HeartbeatCommand
from runner.errors import ConfigError, UsageError
from runner.model import JsonObject
from runner.schedule import due
from runner.schedule.due import Schedule
from runner.text import json_text, printable, rfc3339
from runner.units import format_duration
from runner.values import dataclass

_MOST_STARTS = 10_000  # computed before the first is printed
_ABOVE = "put them into the crontab above the block, as NAME=value (`crontab -e`), or into tasks.yaml"
_DROP_IN = "put them into ~/.config/environment.d/runner.conf, as NAME=value, or into tasks.yaml"


@dataclass(frozen=True)
class Installation:
    """What is there and what should be, by place: `crontab`, or a unit's path."""

    kind: str
    heartbeat: HeartbeatCommand
    old: Mapping[str, bytes]
    new: Mapping[str, bytes]

    @property
    def is_current(self) -> bool:
        return dict(self.old) == dict(self.new)


def show(project: str | None, *, by_systemd: bool, as_json: bool) -> int:
    """Print whether the heartbeat is installed, and as it should be. Raises RunnerError."""
    opened = open_project(project)
    found = _state(opened, by_systemd=by_systemd)
    if as_json:
        print(json_text(_described(found), 2))
        return 0
    command = f"`runner cron install{' --systemd' if by_systemd else ''}`"
    if not found.old:
        print(f"not installed; {command} would write:\n")
    elif found.is_current:
        print("installed:\n")
    else:
        print(f"installed, but {command} would change it:\n")
    print(_texts(found) if found.is_current or not found.old else _differences(found), end="")
    if not by_systemd:
        _print_others(crontab_io.read(opened.environ), found.heartbeat.project)
    return 0


def install(project: str | None, *, by_systemd: bool) -> int:
    """Write the block or the units, and print what changed. Raises RunnerError."""
    opened = open_project(project)
    found = _install_units(opened) if by_systemd else _install_block(opened)
    if found.is_current:
        print("unchanged: it is installed as it should be")
    else:
        print("changed:\n" if found.old else "installed:\n")
        print(_differences(found) if found.old else _texts(found), end="")
    _print_remarks(opened, found)
    return 0


def remove(project: str | None, *, by_systemd: bool) -> int:
    """Remove it, also for a folder that is gone or whose configuration is broken. Raises RunnerError."""
    environ = dict(os.environ)
    named = project or environ.get("RUNNER_PROJECT")
    root = os.path.abspath(named) if named else find_project(os.getcwd(), None).root
    if by_systemd:
        gone = systemd.delete_units(systemd.units_folder(environ), root)
        print("".join(f"removed {printable(path)}\n" for path in gone) or "nothing to remove\n", end="")
        if gone:
            print(f"next: systemctl --user stop {systemd.unit_name(root)}.timer; systemctl --user daemon-reload")
        return 0
    before, after = crontab_io.alter(lambda old: crontab.take(old, os.fsencode(root)), environ, state_home(environ))
    gone_block = crontab.find(before, os.fsencode(root))
    print(f"removed:\n\n{_text(gone_block.text)}" if gone_block and before != after else "nothing to remove\n", end="")
    return 0


def _state(opened: Opened, *, by_systemd: bool) -> Installation:
    heartbeat = environment.heartbeat_command(opened.config, opened.environ)
    if by_systemd:
        folder = systemd.units_folder(opened.environ)
        new = {os.path.join(folder, name): text.encode() for name, text in systemd.units_of(heartbeat).items()}
        return Installation("systemd", heartbeat, systemd.read_units(folder, heartbeat.project), new)
    return _block_state(heartbeat, crontab_io.read(opened.environ))


def _block_state(heartbeat: HeartbeatCommand, text: bytes) -> Installation:
    new = crontab.block_of(heartbeat)
    block = crontab.find(text, os.fsencode(heartbeat.project))
    old = {} if block is None else {"crontab": new if crontab.matches(block, new) else block.text}
    return Installation("crontab", heartbeat, old, {"crontab": new})


def _install_block(opened: Opened) -> Installation:
    heartbeat = environment.heartbeat_command(opened.config, opened.environ)
    block = crontab.block_of(heartbeat)
    before, _ = crontab_io.alter(lambda old: crontab.put(old, block), opened.environ, opened.state)
    return _block_state(heartbeat, before)


def _install_units(opened: Opened) -> Installation:
    found = _state(opened, by_systemd=True)
    if not found.is_current:
        systemd.write_units(found.new)
    return found


def _print_remarks(opened: Opened, found: Installation) -> None:
    """Print what is left to do, and what differs from this shell."""
    schedules = due.schedules_of(opened.config.tasks)
    scheduled = {name for schedule in schedules for chain in schedule.chains for name in chain.split(",")}
    known = set() if found.kind == "systemd" else crontab.variables(crontab_io.read(opened.environ))
    for remark in environment.remarks(opened.config, found.heartbeat, opened.environ, scheduled, known):
        print(f"note: {remark}")
        if remark.startswith("set in this shell"):
            print(f"      {_DROP_IN if found.kind == 'systemd' else _ABOVE}")
    if found.kind == "systemd":
        timer = f"{systemd.unit_name(found.heartbeat.project)}.timer"
        print(f"next: systemctl --user daemon-reload && systemctl --user enable --now {timer}")
        print('      loginctl enable-linger "$USER", so that it also runs while nobody is logged in')
    elif schedules:
        print("next: `runner cron next` lists what will start")
    else:
        print("next: no task has a `schedule` yet; until then the heartbeat closes lost runs and sends what waits")


def _print_others(text: bytes, project: str) -> None:
    for block in crontab.blocks(text):
        name = os.fsdecode(block.project)
        if name != project:
            state = "" if os.path.isdir(name) else f", which is gone (`runner -C {shlex.quote(name)} cron remove`)"
            print(f"the crontab has a block of {printable(name + state)}, too")


def _described(found: Installation) -> dict[str, object]:
    return {
        "kind": found.kind,
        "project": found.heartbeat.project,
        "installed": bool(found.old),
        "current": found.is_current,
        "path": list(found.heartbeat.path),
        "wanted": {place: text.decode(errors="replace") for place, text in found.new.items()},
        "found": {place: text.decode(errors="replace") for place, text in found.old.items()},
    }


def _texts(found: Installation) -> str:
    if found.kind == "crontab":
        return _text(found.new["crontab"])
    return "\n".join(f"{printable(place)}\n{_text(text)}" for place, text in found.new.items())


def _differences(found: Installation) -> str:
    """For each place that differs, the removed and the added lines."""
    pieces = []
    for place, text in found.new.items():
        old, new = _text(found.old.get(place, b"")).splitlines(), _text(text).splitlines()
        changes = [line for line in difflib.ndiff(old, new) if line.startswith(("- ", "+ "))]
        if changes:
            head = [] if found.kind == "crontab" else [printable(place)]
            pieces.append("\n".join([*head, *changes, ""]))
    return "\n".join(pieces)


def _text(raw: bytes) -> str:
    return printable(raw.decode(errors="replace"))


def upcoming(project: str | None, count: int, *, as_json: bool) -> int:
    """Print the next starts of all schedules together, soonest first. Raises ConfigError for a wrong schedule."""
    config = open_project(project).config
    problems = [problem for task in config.tasks for problem in schedule_problems(config, task)]
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    if count > _MOST_STARTS:
        raise UsageError(f"-n expects at most {_MOST_STARTS}, got {count}")
    schedules = due.schedules_of(config.tasks)
    now = time.time()
    starts = list(islice(_merged(schedules, now, count), count))
    if as_json:
        print(json_text([_start_json(when, schedule) for when, schedule in starts], 2))
    elif starts:
        print(
            table(("START", "IN", "TASK", "AGENTS"), [_start_row(when, schedule, now) for when, schedule in starts]),
            end="",
        )
    elif schedules:
        print("nothing will start: no schedule has a time to come")
    else:
        print("nothing will start: no task in tasks.yaml has a `schedule`")
    return 0


def _merged(schedules: Iterable[Schedule], now: float, count: int) -> Iterable[tuple[float, Schedule]]:
    streams = ([(when, schedule) for when in due.next_times(schedule, now, count)] for schedule in schedules)
    return heapq.merge(*streams, key=lambda start: start[0])


def _start_json(when: float, schedule: Schedule) -> JsonObject:
    return {
        "at": rfc3339(when),
        "local": _local(when).isoformat(),
        "task": schedule.task,
        "schedule": schedule.name,
        "agents": list(schedule.agents),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "jitter_seconds": schedule.jitter,
    }


def _start_row(when: float, schedule: Schedule, now: float) -> tuple[str, ...]:
    later = f" +{format_duration(schedule.jitter)}" if schedule.jitter else ""
    start = _local(when).strftime("%a %Y-%m-%d %H:%M %Z") + later
    return start, format_duration(when - now), schedule.name, " ".join(schedule.chains)


def _local(when: float) -> datetime:
    return datetime.fromtimestamp(when).astimezone()
