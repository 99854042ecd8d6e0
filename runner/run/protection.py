"""What a task protects, held against what its agent changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runner.asked import Edit, Protection
from runner.git import snapshot
from runner.git.edits import UnknownError, edits_since
from runner.git.globs import matcher
from runner.model import Result
from runner.run.active import ActiveRun
from runner.run.judge import failed_after
from runner.values import replace

_WORK = (None, "nothing_to_do", "no_commits", "uncommitted_changes")
_SHOWN = 5


def protected(active: ActiveRun, result: Result, env: Mapping[str, str]) -> Result:
    """Return the result with the edits of what is protected; with mode `fail` they fail a run that was else good."""
    expected = active.invocation.expectations
    repo, before = active.site.machine.repo, active.before
    try:
        found = edits_since(repo, before, snapshot(repo, env, before), env)
    except UnknownError as error:
        edits, message = tuple[Edit, ...](), f"git cannot tell whether what the task protects was changed: {error}"
    else:
        edits = violations(expected.protect, found)
        message = f"the task protects what was changed: {in_words(edits)}"
        if not edits:
            return replace(result, protected=())
    verdict = result.verdict
    if expected.protect_mode == "fail" and verdict.reason in _WORK:
        return replace(result, protected=edits, verdict=failed_after(verdict, "tampered", message))
    return replace(result, protected=edits, verdict=replace(verdict, notes=(*verdict.notes, message)))


def violations(rules: Iterable[Protection], edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """The edits that one of the rules does not allow."""
    found: set[Edit] = set()
    for rule in rules:
        fits = matcher(rule.paths)
        found |= {edit for edit in edits if not (rule.additions and _only_adds(edit)) and fits(edit.path)}
    return tuple(edit for edit in edits if edit in found)


def _only_adds(edit: Edit) -> bool:
    """A new file, or more lines and no fewer; a change without lines is one of a mode, a link or of what is no text."""
    return edit.change == "added" or (edit.change == "changed" and bool(edit.added) and edit.removed == 0)


def in_words(edits: Sequence[Edit]) -> str:
    """`tests/a.py (2 lines removed), ci.yml (deleted) and 3 more`."""
    rest = f" and {len(edits) - _SHOWN} more" if len(edits) > _SHOWN else ""
    return ", ".join(f"{edit.path} ({_what(edit)})" for edit in edits[:_SHOWN]) + rest


def _what(edit: Edit) -> str:
    if edit.change != "changed" or not edit.removed:
        return edit.change
    return f"{edit.removed} line{'' if edit.removed == 1 else 's'} removed"
