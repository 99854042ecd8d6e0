"""What an agent printed, read by a parser's rules and judged as a run would be judged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from runner import files as own_files
from runner.config import Config
from runner.config.project import UnreadableError, read_file
from runner.errors import ConfigError, Problem, UsageError
from runner.model import Changes, Evidence, Expectations, JsonObject, Outcome, Reply, Verdict
from runner.parsers import Parser, Reader, RuleError, compile_parser
from runner.parsers.explain import Explanation, Judgement, explain
from runner.parsers.survey import Survey
from runner.records.evidence import line_number
from runner.records.metadata import usage_of
from runner.run.judge import judge, place_slow_rules
from runner.template import render
from runner.text import rfc3339
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from typing import Literal, TypeAlias

    from runner.run.plan import Locate

    Pieces: TypeAlias = Iterable[tuple[bytes, int]]

MAX_REPORT = 16 << 20
"""Bytes of a file that the agent wrote."""

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Rules:
    """A parser: its table as merged, the same compiled, and where each part of it is written."""

    name: str
    table: JsonObject
    parser: Parser
    locate: Locate


def rules_of(config: Config, name: str) -> Rules:
    """Raises UsageError for an unknown parser, ConfigError for rules that do not work."""
    table = config.parser(name)
    try:
        return Rules(name, table, compile_parser(table, strict=True), config.locate)
    except RuleError as error:
        problems = (
            Problem(*config.locate("parsers", name, *trail), message, ".".join(("parsers", name, *map(str, trail))))
            for trail, message in error.problems
        )
        raise ConfigError(problems) from None


@dataclass(frozen=True)
class Stream:
    """What came on one stream: `pieces` gives it with the offset of each piece in the file at `path`."""

    path: str
    pieces: Callable[[], Pieces]


def stream_of(path: str) -> Stream:
    """A file that holds one stream and nothing else."""
    return Stream(path, lambda: _read_in_pieces(path))


def _read_in_pieces(path: str) -> Iterator[tuple[bytes, int]]:
    position = 0
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"cannot read `{path}`: it is no regular file", hint="save what it gives in a file first")
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk, position
                position += len(chunk)
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


@dataclass(frozen=True)
class Output:
    """All that a verdict needs of an agent that has ended.

    The outcome's `ended_at` is the time from which delays count; clock times that name no zone are of `zone`, by
    default the machine's. `files` are those that rules look into: template of the path → path.
    """

    outcome: Outcome
    stdout: Stream
    stderr: Stream | None = None
    zone: tzinfo | None = None
    files: Mapping[str, str] = {}  # never changed

    @property
    def paths(self) -> dict[str, str]:
        """Where the lines of a source stand: source → path."""
        streams = {"stdout": self.stdout} | ({"stderr": self.stderr} if self.stderr else {})
        return {**self.files, **{source: stream.path for source, stream in streams.items()}}


@dataclass(frozen=True)
class Postcondition:
    """What a task asks for, and what the run left; a recording has none."""

    expectations: Expectations = Expectations()  # immutable
    changes: Changes = Changes(repository=False)


NOTHING_ASKED = Postcondition()


@dataclass(frozen=True)
class Judged:
    """`missing`: the files of rules that are not there, each as template → why."""

    reply: Reply
    verdict: Verdict
    output: Output
    reader: Reader
    missing: Mapping[str, str]


def judge_output(rules: Rules, output: Output, postcondition: Postcondition = NOTHING_ASKED) -> Judged:
    """Read and judge. Raises UsageError for streams that cannot be read."""
    reader = rules.parser.reader(lambda: output.outcome.ended_at, output.zone)
    sources: tuple[tuple[Literal["stdout", "stderr"], Stream | None], ...]
    sources = ("stdout", output.stdout), ("stderr", output.stderr)
    for source, stream in sources:
        for piece, position in stream.pieces() if stream else ():
            reader.feed(source, piece, position)
    reports, missing = _reports(rules, output)
    reply = place_slow_rules(reader.finish(reports), rules.name, rules.locate)
    verdict = judge(postcondition.expectations, output.outcome, reply, postcondition.changes)
    return Judged(reply, verdict, output, reader, missing)


def explain_judged(rules: Rules, judged: Judged) -> Explanation:
    """Read all of it once more, and say what each rule did. Raises UsageError for streams that cannot be read."""
    survey = Survey(rules.parser.rules, needles=bool(rules.table.get("needles")))
    output = judged.output
    for source, stream in (("stdout", output.stdout), ("stderr", output.stderr)):
        for piece, position in stream.pieces() if stream else ():
            survey.feed(source, piece, position)
    survey.finish()
    for template, content in _reports(rules, output)[0].items():
        survey.file(template, content)
    judgement = Judgement(judged.reply, judged.verdict, output.outcome, judged.reader.origins())
    return explain(rules.table, survey, judgement)


def files_of_rules(rules: Rules, run_dir: str) -> dict[str, str]:
    """Return the files that rules look into, where a run in this folder would have them: template → path."""
    return {path: os.path.join(run_dir, render(path, {"run_dir": run_dir})) for path in rules.parser.sources}


def _reports(rules: Rules, output: Output) -> tuple[dict[str, bytes], dict[str, str]]:
    reports, missing = {}, {}
    for template in rules.parser.sources:
        if template not in output.files:
            missing[template] = "was not given"
            continue
        try:
            reports[template] = read_file(output.files[template], MAX_REPORT)
        except UnreadableError as error:
            missing[template] = f"{error}: `{output.files[template]}`"
    return reports, missing


def conclusion(judged: Judged) -> JsonObject:
    """Return what `runner parse --json` prints."""
    reply, verdict = judged.reply, judged.verdict
    return {
        "text": reply.text,
        "session_id": reply.session_id,
        "model": reply.model,
        "usage": usage_of(reply.usage),
        "cost_usd": reply.cost_usd,
        "tool_calls": reply.tool_calls,
        "status": verdict.status,
        "reason": verdict.reason,
        "error": None if verdict.status == "success" else _error(verdict, judged.output.paths),
        "exit_code": verdict.exit_code,
    }


def _error(verdict: Verdict, paths: Mapping[str, str]) -> JsonObject:
    return {
        "class": verdict.reason,
        "message": verdict.message,
        "retry_at": None if verdict.retry_at is None else rfc3339(verdict.retry_at),
        "evidence": place_of(verdict.evidence, paths),
    }


def place_of(evidence: Evidence | None, paths: Mapping[str, str]) -> str | None:
    """Return `stdout.log:57`, with the name of the file."""
    if evidence is None or evidence.source not in paths:
        return None
    return place_at((evidence.source, evidence.offset), paths)


def place_at(place: tuple[str, int], paths: Mapping[str, str]) -> str:
    """Return the same for a source and an offset in it."""
    path = paths[place[0]]
    try:
        return f"{os.path.basename(path)}:{line_number(os.path.realpath(path), place[1])}"
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {own_files.reason(error)}") from None
