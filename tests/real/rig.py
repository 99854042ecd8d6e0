"""Drives a real agent CLI through the real `runner run` against the scripted model server, many cells side by side.

A cell has its own home, checkout, state folder and model server; all of them share one strict ntfy server.
"""

from __future__ import annotations

import os
import pwd
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.modelserver import ModelServer
from tests.doubles.ntfy import Ntfy
from tests.helpers import make_project, sandboxes
from tests.real.clis import CLIS, MODULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from tests.helpers import Project
    from tests.real.clis import Cli

HELLO, COMMIT, ASKED = "debug_hello_simple", "debug_smoke_commit", "asked"
CLOSED_PORT = "http://127.0.0.1:9"
# Neither npm nor a service of a vendor is reached: what heeds these finds nobody, and the model server is on loopback.
WALLED_OFF = {
    "npm_config_registry": f"{CLOSED_PORT}/",
    "HTTP_PROXY": CLOSED_PORT,
    "HTTPS_PROXY": CLOSED_PORT,
    "NO_PROXY": "127.0.0.1",
}
NTFY_TOKEN = "tk_cells"
# Cells that wait use no processor, so there may be more of them than processors.
SIDE_BY_SIDE = (os.cpu_count() or 2) + 1


@dataclass(frozen=True)
class Row:
    """What is to be run, and what must come of it.

    `retry_in` is when the limit ends: seconds after the run's end, least and most. `counted`: the record has the tokens
    that the server counted. `within` is the longest that the run may take, in seconds. `files` (path: text) are the
    project's own, and `name` tells the row from another of the same scenario.
    """

    cli: str
    scenario: str
    task: str = HELLO
    status: str = "success"
    reason: str | None = None
    exit_code: int = 0
    commits: tuple[str, ...] = ()
    dirt: str = ""
    timeout: str = "120s"
    environment: tuple[tuple[str, str], ...] = ()
    retry_in: tuple[float, float] | None = None
    counted: bool = False
    within: float | None = None
    prompt: str | None = None
    sandbox: str | None = None
    files: tuple[tuple[str, str], ...] = ()
    name: str | None = None

    def __str__(self) -> str:
        extra = [*(name for name, _ in self.environment), *([self.sandbox] if self.sandbox else [])]
        extra += [self.name] if self.name else []
        return "-".join((self.cli, self.scenario, self.reason or self.status, *extra))


@dataclass(frozen=True)
class Cell:
    """One run, over: what the command said, the record, what the servers heard, what is left."""

    row: Row
    project: Project
    exit_code: int
    stderr: str
    record: dict[str, Any]
    server: ModelServer
    messages: list[dict[str, Any]]
    left: list[str]
    seconds: float

    @property
    def cli(self) -> Cli:
        return CLIS[self.row.cli]

    @property
    def answered(self) -> dict[str, int]:
        """The tokens that the server handed out to the agent itself, in the record's words, those that the CLI reports.

        Calls without a tool are side calls, such as one for a title, which no CLI counts as its own.
        """
        given = [tokens for call, tokens in self.server.answered if call.shell]
        counts = {
            "input_tokens": sum(tokens.input_tokens for tokens in given),
            "output_tokens": sum(tokens.output_tokens for tokens in given),
            "cache_read_tokens": sum(tokens.cache_read for tokens in given),
            "cache_write_tokens": sum(tokens.cache_write for tokens in given),
            "reasoning_tokens": sum(tokens.reasoning for tokens in given),
        }
        return {name: count for name, count in counts.items() if name in self.cli.reports}


def run_cell(row: Row, folder: Path, ntfy: Ntfy) -> Cell:
    cli = CLIS[row.cli]
    project = make_project(folder, stock=True)
    files = dict(row.files)
    if row.prompt is not None:
        files |= {"tasks.yaml": f"tasks:\n  {ASKED}: {{prompt: prompts/asked.md}}\n", "prompts/asked.md": row.prompt}
    if row.sandbox is not None:
        entry = f"{{extends: {cli.agent}, sandbox: {row.sandbox}}}"
        files["agents.yaml"] = f"{sandboxes()}agents: {{{cli.agent}: {entry}}}\n"
    for name, text in files.items():
        project.write(name, text)
    if files:
        project.git("add", "-A")
        project.git("commit", "-q", "-m", "the row's files")
    with ModelServer(row.scenario) as server:
        for name, text in cli.files(server.url).items():
            (project.home / name).parent.mkdir(parents=True, exist_ok=True)
            (project.home / name).write_text(text)
        project.env |= environment_of(cli, server.url, ntfy, folder.name) | dict(row.environment)
        start = time.monotonic()
        words = ("run", cli.agent, row.task, "--model", cli.model, "--timeout", row.timeout)
        done = project(*words, timeout=float(row.timeout.rstrip("s")) + 60)
        seconds = time.monotonic() - start
    if not project.folders():
        raise AssertionError(f"no run: {done.stderr}")
    heard = [revisions[-1] for revisions in ntfy.delivered(folder.name).values()]
    left = living_of(project)
    return Cell(row, project, done.returncode, done.stderr, project.record(), server, heard, left, seconds)


def environment_of(cli: Cli, url: str, ntfy: Ntfy, topic: str) -> dict[str, str]:
    return {
        **WALLED_OFF,
        "PATH": f"{MODULES}/.bin{os.pathsep}{os.environ['PATH']}",  # for the pinned node
        "TERM": "dumb",
        f"RUNNER_{cli.agent.upper()}_BIN": cli.path,
        "RUNNER_NTFY_URL": ntfy.url,
        "RUNNER_NTFY_TOPIC": topic,
        "RUNNER_NTFY_TOKEN": NTFY_TOKEN,
        **cli.environment(url),
    }


@dataclass
class Cells:
    """The cells that are on their way, and a second try for one of them."""

    first: dict[Row, Future[Cell]]
    again: Callable[[Row], Cell]


@contextmanager
def running(rows: Iterable[Row], folder: Path) -> Iterator[Cells]:
    """All cells on their way; those that have not begun when the block is left never do."""
    with Ntfy(token=NTFY_TOKEN, burst=1000) as ntfy, ThreadPoolExecutor(SIDE_BY_SIDE) as pool, home_untouched():
        try:
            rows = list(rows)
            yield Cells(
                {row: pool.submit(run_cell, row, folder / f"cell-{at:03}", ntfy) for at, row in enumerate(rows)},
                lambda row: run_cell(row, folder / f"again-{rows.index(row):03}", ntfy),
            )
        finally:
            pool.shutdown(cancel_futures=True)
        assert ntfy.violations == []


def living_of(project: Project) -> list[str]:
    """What still runs with the project's home: by a variable that the runner's own sweep does not look for."""
    marker = b"\0HOME=" + os.fsencode(project.home) + b"\0"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in b"\0" + (process / "environ").read_bytes() and ") Z " not in (process / "stat").read_text():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it ended meanwhile
    return found


def subjects(project: Project) -> list[str]:
    """The commits since the first, oldest first."""
    return project.git("log", "--reverse", "--format=%s").splitlines()[1:]


@contextmanager
def home_untouched() -> Iterator[None]:
    """The home of the user who runs the tests."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)

    def entries() -> set[tuple[str, float]]:
        return {(path.name, path.lstat().st_mtime) for path in home.iterdir() if path.name not in (".cache", ".local")}

    before = entries()
    yield
    if changed := {name for name, _ in entries() ^ before}:
        pytest.fail(f"changed in {home}: {', '.join(sorted(changed))}")
