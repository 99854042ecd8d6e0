"""`runner parse`: a recorded output, judged as a run would be."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from runner.commands._project import open_project
from runner.commands._show import short_place
from runner.commands._table import table
from runner.config import Config
from runner.errors import ConfigError, Problem, UsageError
from runner.model import Changes, Evidence, Expectations, JsonObject, Outcome, Reply, Verdict
from runner.parsers import Parser, Reader, RuleError, compile_parser
from runner.records.evidence import line_number
from runner.records.metadata import usage_of
from runner.records.summary import about
from runner.run.judge import judge
from runner.text import json_text, moment, one_line, printable, rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.parsers.rules import Trail

_CHUNK = 1024 * 1024
_WIDTH = 120


def parse(project: str | None, agent: str, stdout: str, **options: Any) -> int:
    """Print what the files of one run say; no postcondition is checked.

    Without `exit_code` the run counts as ended by its timeout; a negative one is a signal. `at` is when the output was
    printed, RFC 3339; by default the time at which `stdout` was last written.
    Raises UsageError for unknown names and unreadable files.
    """
    config = open_project(project).config
    name = options["parser"] or config.agent(agent)["parser"]
    files = {"stdout": stdout} | ({"stderr": options["stderr"]} if options["stderr"] else {})
    printed_at = _time(options["at"]) if options["at"] else _written_at(stdout)
    reader = _compiled(config, name).reader(lambda: printed_at)
    _feed(reader, "stdout", stdout)
    if options["stderr"]:
        _feed(reader, "stderr", options["stderr"])
    reply = reader.finish()
    verdict = judge(Expectations(), _outcome(options["exit_code"], printed_at), reply, Changes(repository=False))
    found = _conclusion(reply, verdict, files)
    explanation = _explained(config, name, reader, files) if options["explain"] else ""
    if options["as_json"]:
        print(json_text(found, 2))
        print(explanation, end="", file=sys.stderr)
    else:
        print(_for_people(found) + explanation, end="")
    return 0


def _compiled(config: Config, name: str) -> Parser:
    try:
        return compile_parser(config.parser(name), strict=True)
    except RuleError as error:
        problems = (
            Problem(*config.locate("parsers", name, *trail), message, ".".join(("parsers", name, *map(str, trail))))
            for trail, message in error.problems
        )
        raise ConfigError(problems) from None


def _feed(reader: Reader, source: Literal["stdout", "stderr"], path: str) -> None:
    position = 0
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"cannot read `{path}`: it is no regular file", hint="save what it gives in a file first")
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                reader.feed(source, chunk, position)
                position += len(chunk)
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


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


def _outcome(exit_code: int | None, at: float) -> Outcome:
    if exit_code is None:
        return Outcome("timeout", at, at, 0.0)
    if exit_code < 0:
        return Outcome("exit", at, at, 0.0, signal=-exit_code)
    return Outcome("exit", at, at, 0.0, exit_code=exit_code)


def _conclusion(reply: Reply, verdict: Verdict, files: Mapping[str, str]) -> JsonObject:
    return {
        "text": reply.text,
        "session_id": reply.session_id,
        "model": reply.model,
        "usage": usage_of(reply.usage),
        "cost_usd": reply.cost_usd,
        "tool_calls": reply.tool_calls,
        "status": verdict.status,
        "reason": verdict.reason,
        "error": None if verdict.status == "success" else _error(verdict, files),
        "exit_code": verdict.exit_code,
    }


def _error(verdict: Verdict, files: Mapping[str, str]) -> JsonObject:
    return {
        "class": verdict.reason,
        "message": verdict.message,
        "retry_at": None if verdict.retry_at is None else rfc3339(verdict.retry_at),
        "evidence": _place(verdict.evidence, files),
    }


def _place(evidence: Evidence | None, files: Mapping[str, str]) -> str | None:
    """Return `stdout.log:57`, with the name of the file."""
    if evidence is None or evidence.source not in files:
        return None
    path = files[evidence.source]
    return f"{os.path.basename(path)}:{line_number(path, evidence.offset)}"


def _for_people(found: JsonObject) -> str:
    error = found["error"] or {}
    usage = {
        name.removesuffix("_tokens"): f"{about(found['usage'])}{count:,}"
        for name, count in found["usage"].items()
        if count is not None and name != "approximate"
    }
    rows = [
        ("status", found["status"]),
        ("reason", found["reason"]),
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


def _aligned(rows: Iterable[tuple[str, object]]) -> str:
    known = [(name, one_line(str(value), 2000)) for name, value in rows if value is not None]
    room = max(len(name) for name, _ in known)
    return "".join(f"{name.ljust(room)}  {value}\n" for name, value in known)


def _explained(config: Config, name: str, reader: Reader, files: Mapping[str, str]) -> str:
    """Return a line for each rule that gave a value: the rule, its place, the line of output, the value."""
    rows = [
        (".".join(map(str, trail)), _rule_place(config, name, trail), _place(evidence, files) or "-", value)
        for trail, value, evidence in reader.origins()
    ]
    return "\n" + table(("RULE", "WRITTEN IN", "FROM", "GAVE"), [tuple(map(one_line, row)) for row in rows], _WIDTH)


def _rule_place(config: Config, name: str, trail: Trail) -> str:
    try:
        file, line, _ = config.locate("parsers", name, *trail)
    except LookupError:  # the parser that no file needs to define
        return "built in"
    return short_place(f"{file}:{line}") if line else file
