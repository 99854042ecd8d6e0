"""Where a checkout and its git folders are on the disk, without asking git."""

from __future__ import annotations

import os

from runner.values import dataclass

_GUARDED = ("config", "config.worktree", "hooks", "commondir", "gitdir")


@dataclass(frozen=True)
class Places:
    """Links resolved. `dirs` are the git folders that a commit writes to; `guarded` is what in a checkout says which
    programs git runs, and where it finds the rest."""

    top: str
    dirs: tuple[str, ...] = ()
    guarded: tuple[str, ...] = ()


def places(folder: str) -> Places:
    """Of the checkout around `folder`; of the folder alone where there is no checkout."""
    found = git_dir(folder)
    if found is None:
        return Places(os.path.realpath(folder))
    top, own = top_of(folder), os.path.realpath(found)
    common = os.path.realpath(os.path.join(own, _first_line(os.path.join(own, "commondir"))))
    dirs = tuple(dict.fromkeys((common, own)))
    guarded = [os.path.join(where, name) for where in dirs for name in _GUARDED]
    link = os.path.join(top, ".git")
    return Places(top, dirs, (*guarded, *(() if os.path.isdir(link) else (link,))))


def top_of(folder: str) -> str:
    """The top of the checkout, to which the paths of porcelain v2 are relative."""
    here = os.path.realpath(folder)
    while not os.path.lexists(os.path.join(here, ".git")) and here != "/":
        here = os.path.dirname(here)
    return here


def git_dir(folder: str) -> str | None:
    """The git dir of the checkout around `folder`, a worktree's own; None where there is no checkout."""
    path = os.path.join(top_of(folder), ".git")
    if os.path.isdir(path):
        return path
    key, _, where = _first_line(path).partition(": ")
    return os.path.join(os.path.dirname(path), where) if key == "gitdir" else None


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readline(8192).strip()
    except OSError:
        return ""
