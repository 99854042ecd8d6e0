"""`runner learn`: a CLI that nobody prepared for, run or read, and the entry that judges it."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence

from runner.config import find_project, load
from runner.errors import ConfigError, Problem, RunnerError, UsageError
from runner.files import reason, write_text
from runner.learn.entry import agent_entry, as_lines, check_place, parser_lines, patch, with_entry
from runner.learn.inventory import inventory
from runner.learn.propose import Judged, propose
from runner.learn.record import Cli, masked, record, record_live
from runner.learn.sample import Sample, decode, form_of
from runner.learn.shapes import shapes
from runner.mask import mask_of
from runner.modelserver import SCENARIOS
from runner.recordings.check import Checker
from runner.recordings.recording import RECORDINGS, Ended, find_recordings, time_of_end, write_recording
from runner.text import one_line, printable
from runner.units import parse_duration
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = r"[a-z0-9][a-z0-9_-]*"
_SCENARIOS = "hello,mention,commit,flaky,auth,ratelimit,overloaded,broken"
_MAX_FILE = 64 << 20


def learn(project: str | None, name: str, command: Sequence[str], **options: Any) -> int:
    """Print what was found to stderr and a patch of agents.yaml to stdout; `write` applies it.

    Returns 1 when a recording would be judged wrong. Raises UsageError and RunnerError.
    """
    _check_name(name)
    root = find_project(os.getcwd(), project).root
    path = os.path.join(root, "agents.yaml")
    before = _read(path)
    check_place(before, name)
    if options["write"] and not os.access(path if before else root, os.W_OK):
        raise UsageError(f"`{path}` cannot be written")
    if options["from_files"]:
        cli, samples = Cli((name,), options["model"], {}, {}, 0.0), [_sample(file) for file in command]
    else:
        cli = _cli(command, options)
        samples = list(_recorded(cli, options, os.path.join(root, RECORDINGS, name)))
    if not any(sample.stdout.strip() or sample.stderr.strip() for sample in samples):
        raise RunnerError("it printed nothing, so there is nothing to learn", hint="try the command by hand")
    form = form_of(samples)
    outputs = [decode(sample, form) for sample in samples]
    _say(*inventory(outputs, form))
    proposal = propose(outputs, form)
    _say("", *_verdicts(proposal.judged))
    mask = mask_of(os.environ)
    agent = [mask(line) for line in as_lines(name, agent_entry(name, cli))]
    after = with_entry(before, name, agent, [mask(line) for line in parser_lines(name, proposal)])
    _check(after, name, path)
    if options["write"]:
        write_text(path, after)
        kept = _expect(root, name, proposal.judged)
        _say(f"{name} is in {path}, {kept} recordings say what they must come to (`runner parse --check`)")
    else:
        print(patch(path, before, after), end="")
    return 1 if any(judged.is_right is False for judged in proposal.judged) else 0


def _check_name(name: str) -> None:
    if not re.fullmatch(_NAME, name):
        raise UsageError(f"`{name}` is no name for an agent", hint="lower case letters, digits, `-` and `_`")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read `{path}`: {error}") from None


def _cli(command: Sequence[str], options: Mapping[str, Any]) -> Cli:
    if not command:
        raise UsageError("nothing to run", hint='runner learn NAME -- mycli --json "{{ prompt }}"')
    env = dict(options["env"])
    if variable := options["base_url_env"]:
        address = next(text for pattern, text in shapes().base_urls.items() if re.search(pattern, variable))
        env.setdefault(variable, address)
    files = {where: _settings(path) for where, path in options["file"].items()}
    seconds = parse_duration(options["timeout"])
    if seconds is None:
        raise UsageError("`--timeout` needs a time: a CLI that hangs would be waited for for ever")
    return Cli(tuple(command), options["model"], env, files, seconds)


def _settings(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise UsageError(f"`--file`: cannot read `{path}`: {error}") from None


def _recorded(cli: Cli, options: Mapping[str, Any], folder: str) -> Iterator[Sample]:
    """Run the CLI for each scenario, or once for real; each run is kept as a recording."""
    if not cli.is_pointed:
        _ask_for_consent(cli, yes=options["yes"])
        yield _kept(record_live(cli, os.environ), folder)
        return
    for scenario in _scenarios(options["scenario"]):
        _say(f"{scenario}: {SCENARIOS[scenario].about} …")
        sample = record(cli, scenario, os.environ)
        yield _kept(sample, folder)


def _scenarios(text: str | None) -> list[str]:
    names = [name for name in (text or _SCENARIOS).split(",") if name]
    for name in names:
        if name not in SCENARIOS:
            raise UsageError(f"there is no scenario `{name}`", hint=f"known are {', '.join(SCENARIOS)}")
    return names


def _ask_for_consent(cli: Cli, *, yes: bool) -> None:
    _say(
        f"`{cli.command[0]}` is not pointed at the scripted server (`--base-url-env`, `--file`), so it runs once for",
        "real, with your login: it may cost money, and it works in a scratch repository",
    )
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to agree", hint="`--yes` agrees")
    sys.stderr.write("run it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not run")


def _kept(sample: Sample, folder: str) -> Sample:
    ended = Ended(sample.code, sample.code is None, sample.seconds, time_of_end(time.time()))
    written = {path.partition("/")[2]: content for path, content in (sample.written or {}).items()}
    where = os.path.join(folder, sample.name)
    try:
        write_recording(where, ended, sample.stdout, sample.stderr, written)
    except OSError as error:
        raise RunnerError(f"cannot keep the recording in `{where}`: {reason(error)}") from None
    return sample


def _sample(path: str) -> Sample:
    """A file with an output, or the folder of a recording."""
    folder = os.path.isdir(path)
    stdout = os.path.join(path, "stdout") if folder else path
    try:
        with open(stdout, "rb") as file:
            out = file.read(_MAX_FILE)
        err = b""
        if folder and os.path.exists(os.path.join(path, "stderr")):
            with open(os.path.join(path, "stderr"), "rb") as file:
                err = file.read(_MAX_FILE)
    except OSError as error:
        raise UsageError(f"cannot read `{stdout}`: {reason(error)}") from None
    return masked(Sample(os.path.basename(os.path.normpath(path)), out, err), os.environ)


def _verdicts(judged: Sequence[Judged]) -> Iterator[str]:
    """A line for each sample: what a run would be, and whether it should be so."""
    room = max(len(one.sample.name) for one in judged)
    for one in judged:
        verdict = one.verdict.reason or one.verdict.status
        wanted = (one.sample.truth.reason or "success") if one.sample.truth else None
        if one.is_right is False:
            said = f"should be {wanted}" if verdict != wanted else f"the reply should be `{_short(one)}`"
        else:
            said = "right" if one.is_right else "nobody knows what it should be"
        yield f"{one.sample.name.ljust(room)}  {verdict}: {said}"


def _short(one: Judged) -> str:
    return one_line(one.sample.truth.text, 60) if one.sample.truth else ""


def _check(text: str, name: str, path: str) -> None:
    """Whether `runner validate` accepts agents.yaml with the proposal. Raises ConfigError."""
    with tempfile.TemporaryDirectory(prefix="runner-learn-") as folder:
        write_text(os.path.join(folder, "agents.yaml"), text)
        try:
            config = load(find_project(folder, folder), None)
        except ConfigError as error:
            raise ConfigError(replace(problem, file=path) for problem in error.problems) from None
        if name not in config.agents:
            raise ConfigError([Problem(path, 0, 0, f"has no `agents.{name}` with the proposal")])


def _expect(root: str, name: str, judged: Sequence[Judged]) -> int:
    """Write down what each recording that is judged right came to; returns how many."""
    checker = Checker(load(find_project(root, root), None))
    right = {one.sample.name for one in judged if one.is_right}
    folder = os.path.join(root, RECORDINGS)
    recordings = find_recordings(folder) if os.path.isdir(folder) else []
    found = [one for one in recordings if one.agent == name and one.name in right]
    for recording in found:
        checker.check(recording, update=True)
    return len(found)


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{printable(line)}\n")
    sys.stderr.flush()
