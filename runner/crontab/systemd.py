"""A project's systemd units, in the place of a block in the crontab. Pure."""

from __future__ import annotations

import hashlib
import os
import re

from runner.errors import RunnerError
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.crontab.command import Beat

_NAME = 40
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
# The runs that a beat starts are its children, and outlive it: only the beat itself is systemd's to end.
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
    spoken = re.sub(r"[^a-z0-9]+", "-", os.path.basename(project).lower())[:_NAME].strip("-") or "project"
    return f"runner-{spoken}-{hashlib.sha256(os.fsencode(project)).hexdigest()[:8]}"


def units_of(beat: Beat) -> dict[str, str]:
    """File name → text. Raises RunnerError for a path that no unit can hold."""
    words = beat.words()
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise RunnerError("a path is not valid UTF-8, and systemd takes no other", hint="rename the folder") from None
    name, first = unit_name(beat.project), first_line(beat.project)
    project = one_line(beat.project).replace("%", "%%").replace("\\", "\\\\")
    command = " ".join(_quoted(word) for word in words)
    return {
        f"{name}.timer": _TIMER.format(first=first, project=project),
        f"{name}.service": _SERVICE.format(first=first, project=project, command=command),
    }


def first_line(project: str) -> str:
    """By which a file is known to be ours, and whose it is."""
    return f"# `runner cron install --systemd` writes this file anew for {project}"


def _quoted(word: str) -> str:
    """As ExecStart reads it: C's escapes inside quotes, `%` a specifier, `$` a variable."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    escaped = "".join(char if char.isprintable() else "".join(f"\\x{b:02x}" for b in char.encode()) for char in escaped)
    return escaped if re.fullmatch(r"[A-Za-z0-9_@%+=:,./$-]+", escaped) else f'"{escaped}"'
