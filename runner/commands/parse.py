"""`runner parse`: a run, a recording or a file of output, judged as a run would be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from runner.commands import _recordings
from runner.commands._explained import explained, explained_as_json
from runner.commands._logs import open_logs
from runner.commands._project import open_project
from runner.commands.show import read_record
from runner.config import Config
from runner.errors import UsageError
from runner.history.queries import FoundRun, find
from runner.model import JsonObject
from runner.recordings.check import Checker, outcome_of, output_of
from runner.recordings.expected import read_expected
from runner.recordings.judged import Judged, Output, Rules, conclusion, judge_output, rules_of, stream_of
from runner.recordings.of_run import output_of_run, postcondition_of
from runner.recordings.recording import EXPECTED, Ended, Recording, recording_at
from runner.records import store
from runner.records.folder import Logs
from runner.records.metadata import Record
from runner.records.summary import about
from runner.text import json_text, moment, one_line, printable
from runner.values import dataclass, replace

_OF_FILES = {"stderr": "--stderr", "exit_code": "--exit-code", "at": "--at"}
_OF_CHECK = {"recordings": "--recordings", "update": "--update"}


@dataclass(frozen=True)
class _Target:
    """What is judged, and by which rules; `record` is that of a run."""

    rules: Rules
    judged: Judged
    record: Record | None = None


def parse(project: str | None, names: tuple[str, ...], **options: Any) -> int:
    """Print what a run, a recording or the files of one run come to; with `check`, compare all recordings.

    Raises UsageError for unknown names and unreadable files, ConfigError for rules that do not work.
    """
    if options["check"]:
        return _recordings.check(project, names, **options)
    for keyword, flag in _OF_CHECK.items():
        if options[keyword]:
            raise UsageError(f"{flag} needs --check")
    if len(names) not in (1, 2):
        raise UsageError(
            "expected a run, a folder, or an agent and the file with its stdout", hint="`runner parse last`"
        )
    config = open_project(project).config
    targets = [_of_files(config, *names, options)] if len(names) == 2 else _of_one(project, config, names[0], options)
    if options["as_json"]:
        found = [_as_json(target, options) for target in targets]
        print(json_text({**found[-1], "tries": found} if options["tries"] else found[-1], 2))
    for number, target in enumerate(targets, 1):
        if not options["as_json"]:
            heading = _heading(target, number if options["tries"] else None)
            print(heading + _for_people(target), end="")
            if options["explain"]:
                print(explained(target.rules, target.judged), end="")
        _say_what_is_missing(target)
    return 0


def _of_files(config: Config, agent: str, stdout: str, options: Any) -> _Target:
    if options["tries"]:
        raise UsageError("--tries needs a run")
    rules = rules_of(config, options["parser"] or config.agent(agent)["parser"])
    when = _time(options["at"]) if options["at"] else _written_at(stdout)
    code = options["exit_code"]
    output = Output(
        outcome=replace(outcome_of(Ended(code), when), elapsed=0.0),
        stdout=stream_of(stdout),
        stderr=stream_of(options["stderr"]) if options["stderr"] else None,
        files=_given(rules, options["file"]),
    )
    return _Target(rules, judge_output(rules, output))


def _of_one(project: str | None, config: Config, name: str, options: Any) -> list[_Target]:
    """A recording's folder, or a run by its folder, id or `last`; with `tries` those before it, too."""
    for keyword, flag in _OF_FILES.items():
        if options[keyword] is not None:
            raise UsageError(f"{flag} needs a file: `runner parse AGENT STDOUT`", hint=f"is `{name}` the agent?")
    recording = recording_at(name, config.agents) if os.path.isdir(name) else None
    if recording is not None:
        if options["tries"]:
            raise UsageError("--tries needs a run")
        return [_of_recording(config, recording, options)]
    if name in config.agents and not os.path.isdir(name):
        raise UsageError(f"`{name}` is an agent: what did it print?", hint=f"`runner parse {name} FILE`")
    logs = open_logs(project)
    record, folder = _run(logs, name)
    targets = [_of_run(config, record, folder, options)]
    while options["tries"] and record.get("previous_run"):
        record, folder = _run(logs, str(record["previous_run"]))
        if record["run_id"] in [target.record["run_id"] for target in targets if target.record]:
            break
        targets.insert(0, _of_run(config, record, folder, options))
    return targets


def _of_recording(config: Config, recording: Recording, options: Any) -> _Target:
    expected = read_expected(recording) if recording.has(EXPECTED) else None
    checker = Checker(config)
    rules = checker.rules_of(recording, options["parser"] or (expected.parser if expected else None))
    output = output_of(recording, rules, expected.at if expected else None)
    output = replace(output, files={**output.files, **_given(rules, options["file"])})
    return _Target(rules, judge_output(rules, output))


def _run(logs: Logs, name: str) -> tuple[Record, str]:
    """The record and the folder of a run that has one."""
    if os.path.isdir(name):
        found = store.read_metadata(name)
        if found is None:
            hint = "a run's folder holds metadata.json, a recording's exit.json"
            raise UsageError(f"`{name}` is neither a run nor a recording", hint=hint)
        return found, name
    run: FoundRun = find(logs, name)
    if run.folder is None:
        raise UsageError(f"run `{run.run_id}` never began and printed nothing", hint=f"`runner why {run.run_id}`")
    return read_record(logs, run), run.folder


def _of_run(config: Config, record: Record, folder: str, options: Any) -> _Target:
    rules = rules_of(config, options["parser"] or config.agent(record["agent"])["parser"])
    output = output_of_run(folder, record, rules)
    output = replace(output, files={**output.files, **_given(rules, options["file"])})
    judged = judge_output(rules, output, postcondition_of(record, config.tasks.get(record["task"])))
    return _Target(rules, judged, record)


def _given(rules: Rules, files: dict[str, str]) -> dict[str, str]:
    """The `--file TEMPLATE=PATH` of the command line. Raises UsageError for a template that no rule names."""
    known = rules.parser.sources
    for template in files:
        if template not in known:
            named = ", ".join(f"`{one}`" for one in known) or "no file at all"
            raise UsageError(f"no rule looks into `{template}`", hint=f"the rules of `{rules.name}` name {named}")
    return files


def _say_what_is_missing(target: _Target) -> None:
    for template, why in target.judged.missing.items():
        print(f"note: rules look into `{template}`, which {_why(template, why)}", file=sys.stderr)


def _why(template: str, why: str) -> str:
    return why if why != "was not given" else f"was not given: --file '{template}=PATH'"


def _written_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


def _time(text: str) -> float:
    try:
        when = moment(text, 0.0) if "-" in text else None
    except ValueError:
        when = None
    if when is None:
        raise UsageError(f"expected a time such as `2026-02-19T17:50:43Z`, got `{text}`")
    return when


def _as_json(target: _Target, options: Any) -> JsonObject:
    found = conclusion(target.judged)
    if target.record and options["tries"]:
        found = {"run_id": target.record["run_id"], **found}
    if options["explain"]:
        found["explanation"] = explained_as_json(target.rules, target.judged)
    return found


def _heading(target: _Target, number: int | None) -> str:
    if number is None or target.record is None:
        return ""
    record = target.record
    gap = "" if number == 1 else "\n"
    return f"{gap}try {number}: {record['run_id']} {record['agent']} {record['task']}\n"


def _for_people(target: _Target) -> str:
    found = conclusion(target.judged)
    error = found["error"] or {}
    usage = {
        name.removesuffix("_tokens"): f"{about(found['usage'])}{count:,}"
        for name, count in found["usage"].items()
        if count is not None and name != "approximate"
    }
    rows = [
        ("status", found["status"]),
        ("reason", found["reason"]),
        ("recorded", _recorded(target)),
        ("exit code", found["exit_code"]),
        ("message", error.get("message")),
        ("retry at", error.get("retry_at")),
        ("evidence", error.get("evidence")),
        ("session", found["session_id"]),
        ("model", found["model"]),
        ("tokens", ", ".join(f"{name} {count}" for name, count in usage.items()) or None),
        ("cost", None if found["cost_usd"] is None else f"${found['cost_usd']:.4f}"),
        ("tool calls", found["tool_calls"]),
    ]
    text = printable(found["text"]).strip()
    return _aligned(rows) + (f"\n{text}\n" if text else "")


def _recorded(target: _Target) -> str | None:
    """What the run was judged at its end, where that differs: the rules or the task may have changed since."""
    record, verdict = target.record, target.judged.verdict
    if record is None or (record["status"], record["reason"]) == (verdict.status, verdict.reason):
        return None
    return " ".join(filter(None, (record["status"], record["reason"])))


def _aligned(rows: Iterable[tuple[str, object]]) -> str:
    known = [(name, one_line(str(value), 2000)) for name, value in rows if value is not None]
    room = max(len(name) for name, _ in known)
    return "".join(f"{name.ljust(room)}  {value}\n" for name, value in known)
