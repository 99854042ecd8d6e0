"""A project's systemd units on the disk. systemd itself is told of them by the user."""

from __future__ import annotations

import os

from runner.crontab.systemd import first_line, unit_name
from runner.errors import RunnerError
from runner.files import reason, unlink
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = (".timer", ".service")
_ENABLED = "timers.target.wants"


def read(folder: str, project: str) -> dict[str, bytes]:
    """Path → content of the units that are there. Raises RunnerError for a file that somebody else wrote."""
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
        if not found[path].startswith(os.fsencode(first_line(project)) + b"\n"):
            raise RunnerError(f"`{one_line(path)}` is not the runner's own", hint="move it away: nothing was changed")
    return found


def write(units: Mapping[str, bytes]) -> None:
    """Each whole or not at all. Raises RunnerError."""
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


def delete(folder: str, project: str) -> list[str]:
    """The units, and the link by which the timer is enabled; returns the paths of what is gone. Raises RunnerError."""
    gone = []
    paths = list(read(folder, project))
    link = os.path.join(folder, _ENABLED, f"{unit_name(project)}.timer")
    for path in [*([link] if os.path.islink(link) else []), *paths]:
        try:
            os.unlink(path)
        except OSError as error:
            raise RunnerError(f"cannot remove `{one_line(path)}`: {reason(error)}") from None
        gone.append(path)
    return gone
