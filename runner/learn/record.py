"""Runs the CLI once for each scenario: in a scratch repository, with a home of its own, against the scripted server."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice

from runner import template
from runner.config.project import UnreadableError, read_file
from runner.doctor.trial import WALL, harmless, init_repository, write_files
from runner.errors import RunnerError, UsageError
from runner.learn.sample import Sample, truth_of
from runner.mask import masked_pieces
from runner.modelserver import ModelServer
from runner.process import capture
from runner.process.spawn import LaunchError
from runner.process.tree import kill_marked
from runner.run.plan import RUN_DIR_VARIABLE
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.process.capture import Said

_PROMPTS = {"commit": "Create the file scripted.txt, commit it with git, and change nothing else."}
_PROMPT = "Say hello. Change nothing."
_GRACE = 3.0
_MAX_FILES = 100
_MAX_WRITTEN = 1 << 20  # bytes of a file that the agent wrote


@dataclass(frozen=True)
class Cli:
    """How the CLI is called: templates of words, and with what. `env` and `files` (below home) point it at a server.

    Templates may hold `prompt`, `model`, `run_dir` and, in `env` and `files`, `server`. Where no word holds the prompt,
    it goes to stdin.
    """

    command: tuple[str, ...]
    model: str | None
    env: Mapping[str, str]
    files: Mapping[str, str]
    seconds: float

    @property
    def is_pointed(self) -> bool:
        return any("server" in text for text in (*self.env.values(), *self.files.values()))

    @property
    def has_prompt(self) -> bool:
        return any("prompt" in word and "{{" in word for word in self.command)


def record(cli: Cli, scenario: str, environ: Mapping[str, str]) -> Sample:
    """Run the CLI against the scripted server. Raises RunnerError where it cannot start or never asks the server."""
    with tempfile.TemporaryDirectory(prefix="runner-learn-", ignore_cleanup_errors=True) as root:
        server = ModelServer(scenario)
        scratch = _Scratch(root, environ)
        env = scratch.walled(cli, server.url)
        began = time.monotonic()
        said = scratch.run(cli, scenario, env, server)
        seconds = time.monotonic() - began
        if not server.calls:
            hint = "its settings may need `--base-url-env` or `--file`; what it printed is above"
            raise RunnerError(f"`{cli.command[0]}` did not ask the scripted server: {_end_of(said)}", hint=hint)
        truth = truth_of(scenario, server.answered, cli.model)
        return masked(Sample(scenario, said.out, said.err, said.code, truth, seconds, scratch.written()), environ)


def record_live(cli: Cli, environ: Mapping[str, str]) -> Sample:
    """Run the CLI once for real, as its user has set it up, in a scratch repository. Raises RunnerError."""
    with tempfile.TemporaryDirectory(prefix="runner-learn-", ignore_cleanup_errors=True) as root:
        scratch = _Scratch(root, environ)
        began, env = time.monotonic(), {**environ, **cli.env}
        said = scratch.run(cli, "live", env, None)
        seconds = time.monotonic() - began
        return masked(Sample("live", said.out, said.err, said.code, None, seconds, scratch.written()), env)


def masked(sample: Sample, environ: Mapping[str, str]) -> Sample:
    """Without the secrets of an environment: recordings are kept, and shown to others."""
    written = {path: _masked(content, environ) for path, content in (sample.written or {}).items()}
    out, err = _masked(sample.stdout, environ), _masked(sample.stderr, environ)
    return replace(sample, stdout=out, stderr=err, written=written)


def _masked(content: bytes, environ: Mapping[str, str]) -> bytes:
    return b"".join(masked_pieces([content], environ))


def _end_of(said: Said) -> str:
    text = (said.err or said.out).decode(errors="replace").strip()
    code = "time was up" if said.code is None else f"it ended with {said.code}"
    return f"{code}; {text.splitlines()[-1]}" if text else code


class _Scratch:
    """A repository with one commit, a home, and a folder for what the run writes. Raises RunnerError."""

    def __init__(self, root: str, environ: Mapping[str, str]) -> None:
        self.repo, self.home, self.run_dir = (os.path.join(root, name) for name in ("repo", "home", "run"))
        self._environ = environ
        for folder in (self.repo, self.home, self.run_dir):
            os.mkdir(folder, 0o700)
        init_repository(self.repo, self.home, environ)

    def walled(self, cli: Cli, server: str) -> dict[str, str]:
        """Only what programs need to start, without keys or network, and what points the CLI at the server."""
        settings = {path: _render(text, {"server": server}) for path, text in cli.files.items()}
        write_files(self.home, settings, "--file")
        pointing = {name: _render(text, {"server": server}) for name, text in cli.env.items()}
        return {**harmless(self._environ), **WALL, "HOME": self.home, **pointing}

    def run(self, cli: Cli, scenario: str, env: Mapping[str, str], server: ModelServer | None) -> Said:
        prompt = _PROMPTS.get(scenario, _PROMPT)
        known = {"prompt": prompt, "model": cli.model or "", "run_dir": self.run_dir, "repo": self.repo}
        argv = [_render(word, known) for word in cli.command]
        with ExitStack() as stack:
            stdin = None if cli.has_prompt else stack.enter_context(tempfile.TemporaryFile())
            if stdin is not None:
                stdin.write(prompt.encode())
                stdin.seek(0)
            try:
                marked = {**env, RUN_DIR_VARIABLE: self.run_dir}
                child = capture.start(argv, marked, self.repo, stdin.fileno() if stdin is not None else None)
            except LaunchError as error:
                raise UsageError(f"`{argv[0]}` cannot be started: {error}") from None
            stack.callback(kill_marked, self.run_dir)  # a daemon in a session of its own would live on
            if server is not None:
                stack.enter_context(server)  # only now: no thread while the process forks
            return capture.finish(child, cli.seconds, _GRACE)

    def written(self) -> dict[str, bytes]:
        """What the run left: files below `{{ run_dir }}`, by the template of their path."""
        found = islice(_files_below(self.run_dir), _MAX_FILES)
        return {f"{{{{ run_dir }}}}/{path}": content for path, content in found}


def _files_below(folder: str) -> Iterator[tuple[str, bytes]]:
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(parent, name)
            if os.path.islink(path) or not path.isprintable():
                continue
            try:
                yield os.path.relpath(path, folder), read_file(path, _MAX_WRITTEN)
            except UnreadableError:
                continue


def _render(text: str, known: Mapping[str, str]) -> str:
    try:
        return template.render(text, known)
    except template.TemplateError as error:
        raise UsageError(f"`{text}`: {error.message}") from None
