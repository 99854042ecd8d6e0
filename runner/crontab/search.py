"""Which folders PATH must name so that programs found here are found under cron as well."""

from __future__ import annotations

import os
import re
import shutil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STANDARD = ("/usr/local/bin", "/usr/bin", "/bin")
_FIRST_LINE = re.compile(rb"#![ \t]*\S*/env[ \t]+(?:-\S+[ \t]+|[A-Za-z_]\w*=\S*[ \t]+)*([^\s=]+)")
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?")


def path_for(programs: Iterable[str], path: str) -> tuple[str, ...]:
    """The folders in which `path` finds these names, and the interpreters of their scripts; in its order.

    A name finds the same program with the result as with `path`. Of what is given with its folder only the interpreter
    is looked up. The standard folders are always among the result.
    """
    needed = set(STANDARD)
    for program in programs:
        found = shutil.which(program, path=path)
        if found is not None:
            needed |= interpreters(found, path)
            if os.sep not in program:
                needed.add(os.path.dirname(os.path.abspath(found)))
    ordered = [os.path.abspath(folder) for folder in path.split(os.pathsep) if folder]
    return tuple(dict.fromkeys(folder for folder in (*ordered, *STANDARD) if folder in needed))


def interpreters(program: str, path: str) -> set[str]:
    """The folder of what a script's first line looks up by `env`: a script of npm needs its node."""
    try:
        with open(program, "rb") as file:
            named = _FIRST_LINE.match(file.read(256))
    except OSError:
        return set()
    found = shutil.which(os.fsdecode(named[1]), path=path) if named else None
    return {os.path.dirname(os.path.abspath(found))} if found else set()


def versioned(folders: Iterable[str]) -> list[str]:
    """Folders with a version in a part of their name: the next update leaves them behind."""
    return [folder for folder in folders if any(_VERSION.fullmatch(part) for part in folder.split(os.sep))]
