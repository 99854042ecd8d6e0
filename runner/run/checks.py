"""A run's checks: planned with it, and where they are run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from runner.files import read_bytes
from runner.model import Invocation, JsonObject
from runner.units import parse_duration
from runner.verify.checks import DEFAULT_TIMEOUT, Check, check_of
from runner.verify.junit import MAX_REPORT, failures_in
from runner.verify.tree import tree_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Render(Protocol):
        """A template at its place in the configuration → text."""

        def __call__(self, word: str, *path: str | int) -> str: ...


TREE = "tree"  # the folder in the run's own where a commit is checked out


def verify_settings(given: JsonObject) -> JsonObject:
    """`verify` of a task with all its keys."""
    return {"baseline": True, "on_red_base": "report", "retry_flaky": 1, "files": [], **given}


def planned(given: JsonObject, task: str, render: Render) -> list[JsonObject]:
    """The checks in the form that Invocation describes: words rendered, a shell's text as words."""
    found = []
    for at, check in enumerate(given["checks"]):
        path = ("tasks", task, "verify", "checks", at, "run")
        run = check["run"]
        words = ["/bin/sh", "-c", run] if isinstance(run, str) else run
        argv = [render(word, *path, *(() if isinstance(run, str) else (index,))) for index, word in enumerate(words)]
        seconds = parse_duration(check.get("timeout", DEFAULT_TIMEOUT)) or parse_duration(DEFAULT_TIMEOUT)
        found.append({**check, "argv": argv, "seconds": seconds})
    return found


def checks_of(invocation: Invocation) -> list[Check]:
    checks = invocation.verify["checks"] if invocation.verify else ()
    found = [check_of(one, tuple(one["argv"]), one["seconds"]) for one in checks]
    return sorted(found, key=lambda check: check.kind != "fix")


@contextmanager
def place_of(
    invocation: Invocation, commit: str, is_dirty: bool, environ: Mapping[str, str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """The folder in which checks run on a commit, and the sandbox's words there. Raises TreeError."""
    verify = invocation.verify or {}
    if not is_dirty:
        yield invocation.cwd, verify["prefix"]
        return
    where = os.path.join(invocation.run_dir, TREE)
    os.makedirs(invocation.run_dir, mode=0o700, exist_ok=True)
    with tree_of(invocation.cwd, commit, where, environ, verify["files"]) as folder:
        yield folder, verify["tree_prefix"]


def remove_report(check: Check, folder: str) -> None:
    """A report that stands there already says nothing about this run of the check."""
    if check.report is not None:
        try:
            os.unlink(os.path.join(folder, check.report))
        except OSError:
            pass


def failures_of(check: Check, folder: str) -> frozenset[str] | None:
    if check.report is None:
        return None
    try:
        return failures_in(read_bytes(os.path.join(folder, check.report), MAX_REPORT))
    except OSError:
        return None
