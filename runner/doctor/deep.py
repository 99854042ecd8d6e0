"""`runner doctor --deep`: the real CLI against the scripted model server; does its output still fit its parser?"""

from __future__ import annotations

import os
import tempfile

from runner import files
from runner.doctor import scratch, trial
from runner.doctor.check import Check
from runner.doctor.contract import Truth, breaches
from runner.errors import RunnerError
from runner.modelserver import SCENARIOS, ModelServer
from runner.modelserver.scenario import Answer
from runner.parsers import compile_parser
from runner.process.spawn import LaunchError
from runner.records.summary import tokens_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config import Config
    from runner.doctor.contract import Breach
    from runner.doctor.trial import Trial
    from runner.model import JsonObject
    from runner.records.folder import Logs

_DEEP_SECONDS = 120.0
_SCENARIO = "hello"


def deep(config: Config, logs: Logs, name: str, binary: str, environ: Mapping[str, str]) -> list[Check]:
    """Whether the output still fits the parser; what was printed is kept below the logs where it does not."""
    pointing = config.agents[name].get("deep")
    if pointing is None:
        advice = "see `deep` in the schema: `runner schema agents`"
        return [Check("deep", "warn", "its entry does not say how to point it at another server", advice)]
    try:
        with tempfile.TemporaryDirectory(prefix="runner-doctor-") as root:
            server = ModelServer(_SCENARIO)
            place = scratch.make(root, config, name, _entry(config.agents[name], pointing), environ)
            trial.write_files(place, trial.rendered(pointing.get("files") or {}, server.url))
            variables = trial.rendered(pointing.get("env") or {}, server.url)
            walled = trial.walled_environment(environ, name, binary, place, variables)
            done = trial.run(place, name, walled, _DEEP_SECONDS, pointing.get("model"), around=server)
    except (RunnerError, LaunchError) as error:
        return [Check("deep", "fail", str(error))]
    return _deep_checks(config, logs, name, done, server)


def _entry(agent: JsonObject, pointing: JsonObject) -> JsonObject:
    """The agent without what a login is for, and with the variables that point it elsewhere let through."""
    env = agent.get("env") or {}
    passed = [*(env.get("pass") or []), *(pointing.get("env") or {}), *trial.WALL]
    kept = {key: value for key, value in agent.items() if key not in ("requires", "preflight", "deep")}
    return {**kept, "env": {**env, "pass": passed}}


def _deep_checks(config: Config, logs: Logs, name: str, done: Trial, server: ModelServer) -> list[Check]:
    if not server.calls:
        why = (done.record["error"] or {}).get("message") or "it ended without a word about it"
        return [Check("deep", "fail", f"it did not ask the scripted server: {why}", _kept(logs, name, done))]
    agent = config.agents[name]
    parser, without = config.parser(agent["parser"]), agent["deep"].get("without") or ()
    found = breaches(parser, without, done.record, _model(parser, done.stdout), _truth(server))
    if not found:
        tokens = tokens_text(done.record) or "no tokens told"
        return [Check("deep", "ok", f"its output fits the parser: {tokens}")]
    told = [_told(config, name, breach) for breach in found]
    return [Check("deep", "fail", "this version changed its contract", _kept(logs, name, done)), *told]


def _told(config: Config, name: str, breach: Breach) -> Check:
    parser = config.agents[name]["parser"]
    try:
        file, line, _ = config.origin("parsers", parser, "fields", breach.field)
    except LookupError:  # the terminal event, the verdict, or the parser that no file needs to define
        return Check("deep", "fail", breach.found, field=breach.field)
    return Check("deep", "fail", breach.found, f"its rule stands at {file}:{line}", breach.field)


def _truth(server: ModelServer) -> Truth:
    """Calls without a tool are side calls, such as one for a title, which no CLI counts as its own."""
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
    return Truth(step.text, tokens)


def _model(parser: JsonObject, stdout: bytes) -> str | None:
    reader = compile_parser(parser).reader(lambda: 0.0)
    reader.feed("stdout", stdout, 0)
    return reader.finish().model


def _kept(logs: Logs, name: str, done: Trial) -> str:
    """What the agent printed, for a person."""
    path = logs.path("state", "doctor", f"{name}.log")
    try:
        logs.prepare()
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        files.write_text(path, done.transcript.decode(errors="replace"))
    except (OSError, RunnerError):
        return "what it printed could not be kept"
    return f"what it printed: {path}"
