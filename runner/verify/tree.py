"""One commit in a folder of its own, for a checkout that holds more than it. The repository stays as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from runner import git


class TreeError(Exception):
    """Why there is none."""


@contextmanager
def tree_of(repo: str, commit: str, where: str, env: Mapping[str, str], files: Sequence[str] = ()) -> Iterator[str]:
    """A clone that shares the repository's objects, at `commit`, with copies of `files` (paths that git ignores).

    Raises TreeError.
    """
    shutil.rmtree(where, ignore_errors=True)
    try:
        for command, folder in (
            (["clone", "--quiet", "--shared", "--no-checkout", "--", repo, where], repo),
            (["checkout", "--quiet", "--detach", commit], where),
        ):
            (done,) = git.run_all([command], folder, env)
            if done.code != 0:
                said = done.err.decode(errors="replace").strip()
                raise TreeError(said or f"git {command[0]} ended with {done.code}")
        for path in files:
            _copy(os.path.join(repo, path), os.path.join(where, path))
        yield where
    finally:
        shutil.rmtree(where, ignore_errors=True)


def _copy(source: str, target: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
        elif os.path.isfile(source):
            shutil.copy2(source, target, follow_symlinks=False)
    except (OSError, shutil.Error) as error:
        raise TreeError(f"cannot copy `{source}`: {error}") from None
