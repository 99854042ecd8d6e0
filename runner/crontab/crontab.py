"""The heartbeat's command line, and its marked block in a user's crontab: every other line stays as it is. Pure."""

from __future__ import annotations

import os
import re
import shlex

from runner.errors import RunnerError
from runner.text import one_line
from runner.values import dataclass

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_MARK = re.compile(rb"# (>>>|<<<) runner(?: (.*))?")
_VARIABLE = re.compile(rb"\s*[\"']?([A-Za-z_][A-Za-z0-9_]*)[\"']?\s*=")
_EACH_MINUTE = b"* * * * * "
_MAX_COMMAND = 998  # bytes that Debian's cron takes
_ABOUT = b"# `runner cron install` writes this block anew, and `runner cron remove` takes it out.\n"
_UNENDED = b"# The line above this block had no newline at its end.\n"
_OURS = b" -m runner "


@dataclass(frozen=True)
class HeartbeatCommand:
    """Absolute paths: the interpreter that has the runner, the project's folder, the folders of PATH."""

    python: str
    project: str
    path: tuple[str, ...]

    def argv(self) -> list[str]:
        """Use `env`, because a crontab may name any shell, and keep the current folder out of Python's path.

        Raises RunnerError for a path that no line can hold.
        """
        for place in (self.python, self.project, *self.path):
            if any(mark in place for mark in "\n\r\0"):
                raise RunnerError(
                    f"the path `{one_line(place)}` holds a line break", hint="no crontab and no unit can name it"
                )
        path = f"PATH={os.pathsep.join(self.path)}"
        return ["/usr/bin/env", path, self.python, "-P", "-m", "runner", "-C", self.project, "heartbeat"]


@dataclass(frozen=True)
class Block:
    """`lines` with the markers; `at` is the index of the first of them, counted from 0."""

    project: bytes
    at: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> bytes:
        return b"".join(self.lines)


def block_of(heartbeat: HeartbeatCommand) -> bytes:
    """The whole block of a project. Raises RunnerError for what no crontab can hold."""
    command = f"{shlex.join(heartbeat.argv())} >/dev/null 2>&1"
    if "\\%" in command:
        raise RunnerError(r"a path holds `\%`, which no crontab can name", hint="`runner cron install --systemd` can")
    # To cron a bare percent sign is the end of the command.
    line = os.fsencode(command).replace(b"%", rb"\%")
    if len(line) > _MAX_COMMAND:
        raise RunnerError(
            f"the crontab's line would have {len(line):,} bytes, and cron takes {_MAX_COMMAND}",
            hint="install from a shell with a shorter PATH, and name folders by `settings.path` in tasks.yaml",
        )
    project = os.fsencode(heartbeat.project)
    return b"".join((_marker(b">>>", project), _ABOUT, _EACH_MINUTE, line, b"\n", _marker(b"<<<", project)))


def _marker(mark: bytes, project: bytes) -> bytes:
    return b"# %b runner %b %b\n" % (mark, project, mark)


def put(table: bytes, block: bytes) -> bytes:
    """Put a block of `block_of` in the place of the project's old one, else at the end.

    Raises RunnerError for a damaged marker, and where another's line would be lost.
    """
    (new,) = blocks(block)
    old = find(table, new.project)
    if old is None:
        if not table or table.endswith(b"\n"):
            return table + block
        return table + b"\n" + _noted(block)
    _check(old)
    lines = _LINE.findall(table)
    lines[old.at : old.at + len(old.lines)] = [_noted(block) if _UNENDED in old.lines else block]
    return b"".join(lines)


def _noted(block: bytes) -> bytes:
    """Mark the block so that `take` restores the crontab as it was."""
    first, rest = block.split(b"\n", 1)
    return first + b"\n" + _UNENDED + rest


def take(table: bytes, project: bytes) -> bytes:
    """Remove the project's block: what remains is byte for byte as before `put`. Raises RunnerError as `put` does."""
    old = find(table, project)
    if old is None:
        return table
    _check(old)
    lines = _LINE.findall(table)
    before, after = b"".join(lines[: old.at]), b"".join(lines[old.at + len(old.lines) :])
    return before.removesuffix(b"\n") if _UNENDED in old.lines and not after else before + after


def find(table: bytes, project: bytes) -> Block | None:
    """The project's block. Raises RunnerError for a damaged marker of any project."""
    return next((block for block in blocks(table) if block.project == project), None)


def matches(old: Block, block: bytes) -> bool:
    """Whether `put` would change nothing."""
    return old.text in (block, _noted(block))


def blocks(table: bytes) -> list[Block]:
    """Every project's block, in order. Raises RunnerError for markers that do not pair."""
    found: list[Block] = []
    lines = _LINE.findall(table)
    opened: tuple[int, bytes] | None = None
    for at, line in enumerate(lines):
        mark = _MARK.fullmatch(line.strip())
        if mark is None:
            continue
        project = _project_of(mark, at)
        if mark[1] == b">>>":
            if opened is not None:
                inside = f"inside that of {_shown(opened[1])}, which begins at line {opened[0] + 1}"
                raise _damaged(at, f"begins the block of {_shown(project)} {inside}")
            for block in found:
                if block.project == project:
                    raise _damaged(at, f"begins a second block of {_shown(project)}, after that of line {block.at + 1}")
            opened = (at, project)
        elif opened is None:
            raise _damaged(at, f"ends the block of {_shown(project)}, which never began")
        elif opened[1] != project:
            raise _damaged(at, f"ends the block of {_shown(project)} inside that of {_shown(opened[1])}")
        else:
            found.append(Block(project, opened[0], tuple(lines[opened[0] : at + 1])))
            opened = None
    if opened is not None:
        raise _damaged(opened[0], f"begins the block of {_shown(opened[1])}, which never ends")
    return found


def _project_of(mark: re.Match[bytes], at: int) -> bytes:
    tail = b" " + mark[1]
    named = mark[2] or b""
    if not named.endswith(tail) or not named.startswith(b"/"):
        raise _damaged(at, f"is not a whole marker: `{_decoded(mark[0])}`")
    return named.removesuffix(tail)


def _check(block: Block) -> None:
    """Raise RunnerError for a line in the block that is not ours: it would be lost."""
    for number, line in enumerate(block.lines, block.at + 1):
        bare = line.strip()
        if bare and not bare.startswith(b"#") and _OURS not in line:
            raise RunnerError(
                f"line {number} of the crontab stands in the runner's block and is not its own: `{_decoded(bare)}`",
                hint="move it out of the block (`crontab -e`): nothing was changed",
            )


def _damaged(at: int, what: str) -> RunnerError:
    return RunnerError(
        f"line {at + 1} of the crontab {what}",
        hint="nothing was changed; fix it by `crontab -e`: a block goes from `# >>> runner PROJECT >>>` to "
        "`# <<< runner PROJECT <<<`, and can be deleted whole",
    )


def variables(table: bytes) -> set[str]:
    """The names of the environment variables that the crontab sets."""
    return {found[1].decode() for line in _LINE.findall(table) if (found := _VARIABLE.match(line))}


def _shown(project: bytes) -> str:
    return f"`{_decoded(project)}`"


def _decoded(text: bytes) -> str:
    return one_line(text.decode(errors="replace"))
