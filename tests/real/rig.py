"""Drives a real agent CLI through the real `runner run` against the scripted model server, and checks what is left behind."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.modelserver import ModelServer
    from tests.helpers import Project

HERE = Path(__file__).parent
CLOSED_PORT = "http://127.0.0.1:9/"


@dataclass(frozen=True)
class Cell:
    """One run of a real CLI: the command's exit code, its record, and the server that it talked to."""

    exit_code: int
    record: dict[str, Any]
    server: ModelServer
    stderr: str


def pinned(binary: str) -> str:
    """The path of a CLI of package.json; fails where it is not installed."""
    path = HERE / "node_modules" / ".bin" / binary
    if not path.exists():
        pytest.fail(f"{path} is missing: run `npm install --prefix tests/real --no-package-lock`")
    return str(path)


def drive(project: Project, server: ModelServer, *words: str, **environment: str) -> Cell:
    """`runner run` with `words`, in the project, then look for what must not be there."""
    with user_home_untouched():
        done = project("run", *words, env={"npm_config_registry": CLOSED_PORT, **environment}, timeout=120)
    assert project.folders(), done.stderr
    record = project.record()
    assert living_of(project) == []
    assert record["exit_code"] == done.returncode, done.stderr
    return Cell(done.returncode, record, server, done.stderr)


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


def usage_of(server: ModelServer) -> dict[str, int]:
    """What the server handed out, in the record's words, without reasoning, which not every CLI reports."""
    return {
        "input_tokens": server.usage.input_tokens,
        "output_tokens": server.usage.output_tokens,
        "cache_read_tokens": server.usage.cache_read,
        "cache_write_tokens": server.usage.cache_write,
    }


def subjects(project: Project) -> list[str]:
    """The commits since the first, oldest first."""
    return project.git("log", "--reverse", "--format=%s").splitlines()[1:]


@contextmanager
def user_home_untouched() -> Iterator[None]:
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)

    def entries() -> dict[str, float]:
        return {path.name: path.lstat().st_mtime for path in home.iterdir() if path.name not in (".cache", ".local")}

    before = entries()
    yield
    assert entries() == before
