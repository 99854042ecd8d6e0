"""`runner parse --check`: all recordings of a project against its rules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from runner.commands._project import open_project
from runner.errors import UsageError
from runner.model import JsonObject
from runner.recordings.check import Checked, Checker, of_agents
from runner.recordings.expected import Difference
from runner.recordings.recording import EXPECTED, RECORDINGS, find_recordings
from runner.text import json_text, one_line

_NOT_WITH_CHECK = {
    "stderr": "--stderr",
    "exit_code": "--exit-code",
    "at": "--at",
    "parser": "--parser",
    "file": "--file",
    "explain": "--explain",
    "tries": "--tries",
}
_SHOWN = 300  # characters of a value


def check(project: str | None, agents: tuple[str, ...], **options: Any) -> int:
    """Print how the recordings of these agents, or of all, differ from their expected.yaml; 1 when any does.

    Raises UsageError for an unknown agent and a folder without recordings, ConfigError for rules that do not work.
    """
    for keyword, flag in _NOT_WITH_CHECK.items():
        value = options[keyword]
        if value is not None and value is not False and value != {}:
            raise UsageError(
                f"{flag} and --check exclude each other", hint="`runner parse FOLDER` judges one recording"
            )
    config = open_project(project).config
    root = options["recordings"] or os.path.join(config.project.root, RECORDINGS)
    recordings = of_agents(find_recordings(root), agents, config)
    if not recordings:
        raise UsageError(f"there is no recording below `{root}`", hint="`docs/recordings.md` says what one is")
    checker = Checker(config)
    checked = [checker.check(recording, update=bool(options["update"])) for recording in recordings]
    if options["as_json"]:
        print(json_text(_as_json(checked), 2))
    else:
        print("".join(f"{line}\n" for one in checked for line in _lines(one)) + _summary(checked))
    return 0 if all(one.as_expected for one in checked) else 1


def _lines(one: Checked) -> Iterator[str]:
    """What is to be said of one recording; nothing where it is as expected."""
    if one.written:
        yield f"{one.recording}: {EXPECTED} was written; read it before you keep it"
    if one.as_expected:
        return
    yield f"{one.recording}:"
    for problem in one.problems:
        yield f"  {problem}"
    for difference in one.differences:
        yield f"  {difference.key}: expected {_shown(difference.expected)}, found {_shown(difference.found)}"
    if one.differences:
        file = os.path.relpath(one.recording.path(EXPECTED))
        places = ", ".join(str(line) for line in dict.fromkeys(each.line for each in one.differences))
        yield f"  which rule did it: runner parse {os.path.relpath(one.recording.folder)} --explain"
        yield f"  if what was found is right: correct {file}:{places}"


def _shown(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False), _SHOWN)


def _summary(checked: list[Checked]) -> str:
    counts = _counts(checked)
    parts = [
        f"{counts['as_expected']} as expected",
        f"{counts['different']} {'differs' if counts['different'] == 1 else 'differ'}" if counts["different"] else "",
        f"{counts['unreadable']} cannot be compared" if counts["unreadable"] else "",
    ]
    noun = "recording" if len(checked) == 1 else "recordings"
    return f"{len(checked)} {noun}: {', '.join(filter(None, parts))}"


def _counts(checked: list[Checked]) -> dict[str, int]:
    unreadable = sum(bool(one.problems) for one in checked)
    good = sum(one.as_expected for one in checked)
    return {"as_expected": good, "different": len(checked) - good - unreadable, "unreadable": unreadable}


def _as_json(checked: list[Checked]) -> JsonObject:
    return {"recordings": [_entry(one) for one in checked], **_counts(checked)}


def _entry(one: Checked) -> JsonObject:
    return {
        "agent": one.recording.agent,
        "version": one.recording.version,
        "name": one.recording.name,
        "folder": one.recording.folder,
        "as_expected": one.as_expected,
        "written": one.written,
        "differences": [_difference(difference) for difference in one.differences],
        "problems": list(one.problems),
    }


def _difference(difference: Difference) -> JsonObject:
    return {
        "key": difference.key,
        "expected": difference.expected,
        "found": difference.found,
        "line": difference.line,
    }
