"""`runner doctor --deep`: run the real CLI against the scripted model server and compare its output with its parser."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping

from runner import files
from runner.config import Config
from runner.doctor import trial
from runner.doctor.check import Check
from runner.doctor.trial import Trial
from runner.errors import RunnerError
from runner.modelserver import SCENARIOS, ModelServer
from runner.modelserver.scenario import Answer
from runner.parsers import compile_parser
from runner.process.spawn import LaunchError
from runner.records.folder import Logs
from runner.records.metadata import Record
from runner.records.summary import facts
from runner.units import format_count
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_DEEP_SECONDS = 120.0
_SCENARIO = "hello"
_NO_TERMINAL = "no_terminal_event"


@dataclass(frozen=True)
class Expected:
    text: str
    tokens: JsonObject


@dataclass(frozen=True)
class Breach:
    """`field` is a field of the reply, or `terminal event`, or `verdict`."""

    field: str
    found: str


def deep(config: Config, logs: Logs, name: str, binary: str, environ: Mapping[str, str]) -> list[Check]:
    """Check that the output still fits the parser; where it does not, what was printed is kept below the logs."""
    pointing = config.agents[name].get("deep")
    if pointing is None:
        advice = "see `deep` in the schema: `runner schema agents`"
        return [Check("deep", "warn", "its entry does not say how to point it at another server", advice)]
    try:
        with tempfile.TemporaryDirectory(prefix="runner-doctor-") as root:
            server = ModelServer(_SCENARIO)
            project = trial.make_scratch(root, config, name, _entry(config.agents[name], pointing), environ)
            trial.write_files(project.home, trial.rendered(pointing.get("files") or {}, server.url), "deep.files")
            variables = trial.rendered(pointing.get("env") or {}, server.url)
            walled = trial.walled_environment(environ, binary, project, variables)
            done = trial.run(project, walled, _DEEP_SECONDS, pointing.get("model"), around=server)
    except (RunnerError, LaunchError) as error:
        return [Check("deep", "fail", str(error))]
    return _deep_checks(config, logs, name, done, server)


def _entry(agent: JsonObject, pointing: JsonObject) -> JsonObject:
    """The entry without what needs a login, passing the variables that point the agent at another server."""
    env = agent.get("env") or {}
    passed = [*(env.get("pass") or []), *(pointing.get("env") or {}), *trial.WALL]
    kept = {key: value for key, value in agent.items() if key not in ("requires", "preflight", "deep")}
    return {**kept, "env": {**env, "pass": passed}}


def _deep_checks(config: Config, logs: Logs, name: str, done: Trial, server: ModelServer) -> list[Check]:
    if not server.calls:
        why = (done.record["error"] and done.record["error"]["message"]) or "it ended without a word about it"
        return [Check("deep", "fail", f"it did not ask the scripted server: {why}", _kept(logs, name, done))]
    agent = config.agents[name]
    parser, without = config.parser(agent["parser"]), agent["deep"].get("without") or ()
    found = _breaches(parser, without, done.record, _model(parser, done.stdout), _expected(server))
    if not found:
        tokens = facts(done.record).tokens or "no tokens reported"
        return [Check("deep", "ok", f"its output fits the parser: {tokens}")]
    checks = [_breach_check(config, name, breach) for breach in found]
    return [Check("deep", "fail", "this version changed its contract", _kept(logs, name, done)), *checks]


def _breach_check(config: Config, name: str, breach: Breach) -> Check:
    parser = config.agents[name]["parser"]
    try:
        file, line, _ = config.origin("parsers", parser, "fields", breach.field)
    except LookupError:  # the terminal event, the verdict, or the built-in parser
        return Check("deep", "fail", breach.found, field=breach.field)
    return Check("deep", "fail", breach.found, f"its rule is at {file}:{line}", breach.field)


def _expected(server: ModelServer) -> Expected:
    """Add up what was sent; calls without a tool are side calls, such as one for a title, which no CLI counts."""
    answered = [tokens for call, tokens in server.answered if call.shell] or [tokens for _, tokens in server.answered]
    tokens = {
        "input_tokens": sum(one.input_tokens for one in answered),
        "output_tokens": sum(one.output_tokens for one in answered),
        "cache_read_tokens": sum(one.cache_read for one in answered),
        "cache_write_tokens": sum(one.cache_write for one in answered),
        "reasoning_tokens": sum(one.reasoning for one in answered),
    }
    (step,) = SCENARIOS[_SCENARIO].turns
    assert isinstance(step, Answer)
    return Expected(step.text, tokens)


def _model(parser: JsonObject, stdout: bytes) -> str | None:
    reader = compile_parser(parser).reader(lambda: 0.0)
    reader.feed("stdout", stdout, 0)
    return reader.finish().model


def _kept(logs: Logs, name: str, done: Trial) -> str:
    """Keep what the agent printed, and say where."""
    path = logs.path("state", "doctor", f"{name}.log")
    try:
        logs.prepare()
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        files.write_text(path, done.transcript.decode(errors="replace"))
    except (OSError, RunnerError):
        return "what it printed could not be kept"
    return f"what it printed: {path}"


def _breaches(
    parser: JsonObject, without: Collection[str], record: Record, model: str | None, expected: Expected
) -> list[Breach]:
    """Compare the record with what was sent; fields that `parser` has no rule for, or in `without`, are not expected.

    `model` is the one that the output names: where it names none, the record holds the one that was asked for.
    """
    found = list(_of_verdict(parser, record))
    fields = {name for name in parser.get("fields") or {} if name not in without}
    if "text" in fields or parser["format"] == "text":
        found += _of_text(record, expected)
    usage: JsonObject = dict(record["usage"])
    for name, sent in expected.tokens.items():
        if f"usage.{name}" in fields:
            found += _of_number(f"usage.{name}", usage[name], sent)
    # Without a `success` nothing tells that none were called.
    if "tool_calls" in fields and (parser.get("success") or record["tool_calls"] is not None):
        found += _of_number("tool_calls", record["tool_calls"], 0)
    for name, value in (("session_id", record["session_id"]), ("model", model), ("cost_usd", record["cost_usd"])):
        if name in fields and value is None:
            found.append(Breach(name, f"`{name}` is missing"))
    return found


def _of_verdict(parser: JsonObject, record: Record) -> Iterator[Breach]:
    if record["reason"] == _NO_TERMINAL:
        wanted = parser.get("success")
        yield Breach("terminal event", f"the terminal event is missing: no {_shown(wanted)}")
    elif record["status"] != "success":
        message = record["error"]["message"] if record["error"] else ""
        yield Breach("verdict", f"the server answered well, and the run is {record['reason']}: {message}")


def _shown(rule: object) -> str:
    """`type: result, is_error: false` of a success rule."""
    when = rule.get("when") if isinstance(rule, dict) else None
    if not isinstance(when, dict):
        return "event that fits `success`"
    shown = {path: value if isinstance(value, str) else json.dumps(value) for path, value in when.items()}
    return "event with " + ", ".join(f"`{path}: {value}`" for path, value in shown.items())


def _of_text(record: Record, expected: Expected) -> Iterator[Breach]:
    text = (record["text"] or "").strip()
    if not text:
        yield Breach("text", "`text` is missing")
    elif text != expected.text.strip():
        yield Breach("text", f"`text` is {text!r:.60}, and the server said {expected.text!r:.60}")


def _of_number(name: str, value: int | None, sent: int) -> Iterator[Breach]:
    if value is None:
        yield Breach(name, f"`{name}` is missing")
    elif value != sent:
        yield Breach(name, f"`{name}` is {format_count(value)}, and the server said {format_count(sent)}")
