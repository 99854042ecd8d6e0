"""The answer that a task's `output` asks for: found, read as JSON, held against its schema. Brings jsonschema.

What an agent wrote is hostile until shown otherwise: length, time and memory have limits, nothing is fetched for a
schema, and a file is read inside the checkout alone.
"""

from __future__ import annotations

import json
import os

from runner.asked import Answer, Output
from runner.config.project import UnreadableError, read_file
from runner.model import Reply, Result
from runner.process.apart import ApartError, apart
from runner.run.judge import failed_after
from runner.text import one_line
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from jsonschema.exceptions import ValidationError

    from runner.run.active import ActiveRun

_MAX_ANSWER = 4 << 20  # bytes
_MAX_IN_RECORD = 16 << 10  # of its JSON: the record travels with the message
_MAX_MESSAGE = 300
_SECONDS = 5.0
_MEMORY = 256 << 20
_CLOCK = 0.05  # seconds by which the time of a file may be behind the clock
_FENCES = ("```", "```json")


class UnfitError(Exception):
    """Why there is no answer, or not the one that was asked for."""


def with_answer(active: ActiveRun, result: Result) -> Result:
    """Return the result with the answer, or as a failure that says what is wrong with it.

    A run that failed, or found nothing to do, is not asked for one.
    """
    expected, verdict = active.invocation.expectations.output, result.verdict
    if expected is None or verdict.status != "success" or verdict.reason == "nothing_to_do":
        return result
    try:
        value = _found(expected, result.reply, active)
        text = json.dumps(value, ensure_ascii=False)
        check(value, expected)
    except UnfitError as error:
        failed = failed_after(verdict, "invalid_output", str(error), result.reply.terminal_evidence)
        return replace(result, verdict=failed)
    is_long = len(text) > _MAX_IN_RECORD
    if is_long:
        note = f"the answer is too long for the record ({len(text):,} characters): `output.json` has it"
        verdict = replace(verdict, notes=(*verdict.notes, note))
    return replace(result, verdict=verdict, answer=Answer(value, is_long))


def _found(expected: Output, reply: Reply, active: ActiveRun) -> Any:
    if expected.file is not None:
        return parse(_written(active.invocation.cwd, expected.file, active.began), f"`{expected.file}`")
    if expected.told:
        if reply.output is None:
            raise UnfitError("the agent was given the schema, and its structured answer is absent")
        return reply.output
    return parse(reply.text, "the reply")


def _written(repo: str, path: str, began: float) -> str:
    """The text of a file that was written since the run began."""
    home, where = os.path.realpath(repo), os.path.realpath(os.path.join(repo, path))
    if os.path.commonpath((home, where)) != home:
        raise UnfitError(f"`{path}` leads out of the checkout")
    try:
        changed = os.stat(where).st_ctime
        data = read_file(where, _MAX_ANSWER)
    except FileNotFoundError:
        raise UnfitError(f"`{path}` is not there") from None
    except (OSError, UnreadableError) as error:
        raise UnfitError(f"`{path}` {one_line(str(error), _MAX_MESSAGE)}") from None
    if changed < began - _CLOCK:
        raise UnfitError(f"`{path}` was there before, and this run did not write it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnfitError(f"`{path}` is not UTF-8") from None


def parse(text: str, name: str) -> Any:
    """Return the JSON that a text is, as a whole or as one code fence; `name` is for messages. Raise UnfitError."""
    if len(text) > _MAX_ANSWER:
        raise UnfitError(f"{name} is longer than {_MAX_ANSWER >> 20} MiB")
    lines = text.strip().splitlines()
    skipped = 0
    if len(lines) > 1 and lines[0].strip() in _FENCES and lines[-1].strip() == "```":
        skipped = 1
        text = "\n".join(lines[1:-1])
    if not text.strip():
        raise UnfitError(f"{name} is empty, and JSON was asked for")
    try:
        return json.loads(text, parse_constant=_refused)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno + skipped}, column {error.colno}"
        raise UnfitError(f"{name} is not JSON: {place}: {error.msg.lower()}") from None
    except ValueError as error:
        raise UnfitError(f"{name} is not JSON: {one_line(str(error), _MAX_MESSAGE)}") from None
    except RecursionError:
        raise UnfitError(f"{name} is nested too deeply") from None


def _refused(word: str) -> NoReturn:
    raise ValueError(f"`{word}` is no number of JSON")


def _said(error: ValidationError) -> str:
    return f"at `{one_line(error.json_path, 100)}`: {one_line(error.message, _MAX_MESSAGE)}"


def check(value: Any, expected: Output) -> None:
    """Hold a value against the schema. Raise UnfitError with the place in it and what is wrong there."""
    # Loaded here: what is imported in the copy would be lost with it.
    from jsonschema import Draft202012Validator, exceptions, validators  # noqa: PLC0415 - heavy
    from referencing import Registry  # noqa: PLC0415 - the same

    schema = json.loads(expected.schema)
    kind = validators.validator_for(schema, default=Draft202012Validator)

    def fault() -> bytes:
        try:
            # An own registry, for the default one fetches what a schema refers to.
            worst = exceptions.best_match(kind(schema, registry=Registry()).iter_errors(value))
        except RecursionError:
            return b"it is nested too deeply"
        except Exception as error:
            return one_line(f"the schema cannot be used: {error}", _MAX_MESSAGE).encode(errors="replace")
        return _said(worst).encode(errors="replace") if worst else b""

    try:
        # A pattern of the schema, and an agent's text, may take for ever together.
        found = apart(fault, _SECONDS, _MEMORY).decode()
    except ApartError as error:
        found = f"it took more {error.kind} than {'5 s' if error.kind == 'time' else '256 MiB'} to look"
    if found:
        raise UnfitError(f"the answer does not fit `{expected.schema_file}`: {found}")
