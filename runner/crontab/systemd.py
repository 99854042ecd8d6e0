"""A project's systemd units, in the place of a block in the crontab: their text, and their files.

systemd itself is reloaded by the user.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

from runner.crontab.crontab import HeartbeatCommand
from runner.errors import RunnerError
from runner.files import reason, unlink
from runner.text import one_line

_MAX_NAME = 40
_KINDS = (".timer", ".service")
_ENABLED = "timers.target.wants"
_TIMER = """\
{first}
[Unit]
Description=each minute: runner heartbeat of {project}

[Timer]
OnCalendar=minutely
AccuracySec=1s
Persistent=false

[Install]
WantedBy=timers.target
"""
# The runs that a heartbeat starts are its children and outlive it: systemd is to end the heartbeat alone.
_SERVICE = """\
{first}
[Unit]
Description=runner heartbeat of {project}

[Service]
Type=oneshot
WorkingDirectory=/
ExecStart={command}
KillMode=process
Delegate=yes
StandardInput=null
StandardOutput=null
"""


def units_folder(environ: Mapping[str, str]) -> str:
    """Where a user's units lie. Raises RunnerError without a home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            raise RunnerError("there is no home for systemd's units", hint="set HOME")
        base = os.path.join(home, ".config")
    return os.path.join(base, "systemd", "user")


def unit_name(project: str) -> str:
    """`runner-myproject-1f2e3d4c`: no two folders share it."""
    readable = re.sub(r"[^a-z0-9]+", "-", os.path.basename(project).lower())[:_MAX_NAME].strip("-") or "project"
    return f"runner-{readable}-{hashlib.sha256(os.fsencode(project)).hexdigest()[:8]}"


def units_of(heartbeat: HeartbeatCommand) -> dict[str, str]:
    """File name → text. Raises RunnerError for a path that no unit can hold."""
    argv = heartbeat.argv()
    try:
        "".join(argv).encode()
    except UnicodeEncodeError:
        raise RunnerError("a path is not valid UTF-8, and systemd takes no other", hint="rename the folder") from None
    name, first = unit_name(heartbeat.project), _first_line(heartbeat.project)
    project = one_line(heartbeat.project).replace("%", "%%").replace("\\", "\\\\")
    command = " ".join(_quoted(word) for word in argv)
    return {
        f"{name}.timer": _TIMER.format(first=first, project=project),
        f"{name}.service": _SERVICE.format(first=first, project=project, command=command),
    }


def _first_line(project: str) -> str:
    """The line that shows that a file is ours, and of which project."""
    return f"# `runner cron install --systemd` writes this file anew for {project}"


def _quoted(word: str) -> str:
    """As ExecStart reads it: C's escapes inside quotes, `%` a specifier, `$` a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    escaped = "".join(char if char.isprintable() else "".join(f"\\x{b:02x}" for b in char.encode()) for char in escaped)
    return escaped if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", escaped) else f'"{escaped}"'


def read_units(folder: str, project: str) -> dict[str, bytes]:
    """Path → content of the units that are there. Raises RunnerError for a file that is not the runner's."""
    found = {}
    for kind in _KINDS:
        path = os.path.join(folder, unit_name(project) + kind)
        try:
            with open(path, "rb") as file:
                found[path] = file.read()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunnerError(f"cannot read `{one_line(path)}`: {reason(error)}") from None
        if not found[path].startswith(os.fsencode(_first_line(project)) + b"\n"):
            raise RunnerError(f"`{one_line(path)}` is not the runner's own", hint="move it away: nothing was changed")
    return found


def write_units(units: Mapping[str, bytes]) -> None:
    """Write each file whole or not at all. Raises RunnerError."""
    for path, text in units.items():
        staging = f"{path}.new"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            unlink(staging)
            with open(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
                file.write(text)
            os.rename(staging, path)
        except OSError as error:
            raise RunnerError(f"cannot write `{one_line(path)}`: {reason(error)}") from None


def delete_units(folder: str, project: str) -> list[str]:
    """Delete the units and the link that enables the timer; return their paths. Raises RunnerError."""
    gone = []
    paths = list(read_units(folder, project))
    link = os.path.join(folder, _ENABLED, f"{unit_name(project)}.timer")
    for path in [*([link] if os.path.islink(link) else []), *paths]:
        try:
            os.unlink(path)
        except OSError as error:
            raise RunnerError(f"cannot remove `{one_line(path)}`: {reason(error)}") from None
        gone.append(path)
    return gone
