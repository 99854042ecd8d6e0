"""A project's block in a crontab: bytes in, bytes out."""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.crontab.crontab import (
    HeartbeatCommand,
    block_of,
    blocks,
    find,
    matches,
    put,
    take,
    variables,
)
from runner.errors import RunnerError

BEAT = HeartbeatCommand("/venv/bin/python", "/p", ("/usr/bin", "/bin"))
OTHER = HeartbeatCommand("/venv/bin/python", "/other", ("/usr/bin", "/bin"))
BLOCK, OTHERS = block_of(BEAT), block_of(OTHER)
LINE = b"* * * * * /usr/bin/env PATH=/usr/bin:/bin /venv/bin/python -P -m runner -C /p heartbeat >/dev/null 2>&1\n"
BEGIN, END = b"# >>> runner /p >>>\n", b"# <<< runner /p <<<\n"
UNENDED = b"# The line above this block had no newline at its end.\n"


def test_the_block() -> None:
    lines = BLOCK.splitlines(keepends=True)
    assert (lines[0], lines[2], lines[3]) == (BEGIN, LINE, END)
    assert lines[1].startswith(b"# `runner cron install` writes this block anew")
    assert len(lines) == 4


@pytest.mark.parametrize(
    "project",
    ["/p", "/my project", "/it's", "/50%", "/a$b`c`", '/q"q', "/ä/日本", os.fsdecode(b"/latin\xe9"), "/p >>>", "/ "],
)
def test_a_command_reaches_the_shell_as_it_was_meant(project: str) -> None:
    block = block_of(HeartbeatCommand("/venv/my bin/python", project, ("/usr/bin", "/home/50%/bin")))
    line = block.splitlines()[2]
    command = line.removeprefix(b"* * * * * ")
    # As cron does it: an escaped percent sign is one, a bare one ends the command.
    assert b"%" not in command.replace(rb"\%", b"")
    words = shlex.split(os.fsdecode(command.replace(rb"\%", b"%")))
    assert words == [
        *("/usr/bin/env", "PATH=/usr/bin:/home/50%/bin"),
        *("/venv/my bin/python", "-P", "-m", "runner", "-C", project, "heartbeat", ">/dev/null", "2>&1"),
    ]
    assert take(put(b"# x\n", block), os.fsencode(project)) == b"# x\n"


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish"])
def test_every_shell_understands_the_command(shell: str, tmp_path: os.PathLike[str]) -> None:
    """A crontab may name any shell by SHELL."""
    program = os.path.join(tmp_path, "it's a python")
    with open(program, "w") as file:
        file.write(f'#!/bin/sh\nprintf "%s|" "$PATH" "$@" >{shlex.quote(str(tmp_path))}/said\n')
    os.chmod(program, 0o755)
    line = block_of(HeartbeatCommand(program, "/a $b", ("/usr/bin", "/bin"))).splitlines()[2]
    command = os.fsdecode(line.removeprefix(b"* * * * * "))
    try:
        subprocess.run([shell, "-c", command], check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    except FileNotFoundError:
        pytest.skip(f"no {shell} here")
    with open(os.path.join(tmp_path, "said")) as file:
        assert file.read() == "/usr/bin:/bin|-P|-m|runner|-C|/a $b|heartbeat|"


@pytest.mark.parametrize(
    ("beat", "message"),
    [
        (HeartbeatCommand("/py", "/a\nb", ()), "holds a line break"),
        (HeartbeatCommand("/py\r", "/p", ()), "holds a line break"),
        (HeartbeatCommand("/py", "/p", ("/bin\0",)), "holds a line break"),
        (HeartbeatCommand("/py", r"/a\%b", ()), r"holds `\\%`"),
        (
            HeartbeatCommand("/py", "/p", tuple(f"/{'x' * 90}{n}" for n in range(11))),
            r"would have 1,\d+ bytes, and cron takes 998",
        ),
    ],
    ids=["newline", "return", "nul", "backslash-percent", "long"],
)
def test_what_no_crontab_can_hold(beat: HeartbeatCommand, message: str) -> None:
    with pytest.raises(RunnerError, match=message):
        block_of(beat)


TABLES = {
    "nothing": b"",
    "plain": b"MAILTO=x\n0 3 * * * backup\n",
    "crlf": b"0 3 * * * backup\r\n# x\r\n",
    "no newline": b"0 3 * * * backup",
    "carriage return": b"0 3 * * * backup\r",
    "not UTF-8": b"# caf\xe9 \xff\xfe\n\n\n",
    "nul": b"# a\0b\n",
    "blank lines": b"\n\n",
    "other block": OTHERS,
    "other block in between": b"# a\n" + OTHERS + b"# b",
    "nearly a marker": b"# >>> runners /p >>>\n#>>> runner /p >>>\necho '# >>> runner /p >>>'\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_put_and_take(table: bytes) -> None:
    installed = put(table, BLOCK)
    assert installed.startswith(table)
    assert installed.endswith(END)
    assert LINE in installed
    assert put(installed, BLOCK) == installed
    assert take(installed, b"/p") == table
    assert take(table, b"/p") == table
    block = find(installed, b"/p")
    assert block is not None
    assert matches(block, BLOCK)


ANY = st.binary() | st.lists(st.sampled_from([b"a", b"#", b"\n", b"\r", b"%", b" >>> runner ", UNENDED])).map(b"".join)


@settings(max_examples=300)
@given(ANY.filter(lambda table: not re.search(rb"# (>>>|<<<) runner", table)))
def test_put_and_take_leave_any_bytes_as_they_were(table: bytes) -> None:
    assert take(put(table, BLOCK), b"/p") == table
    assert take(put(put(table, BLOCK), OTHERS), b"/p") == put(table + b"\n" * _unended(table), OTHERS)
    assert take(take(put(put(table, BLOCK), OTHERS), b"/other"), b"/p") == table


def _unended(table: bytes) -> bool:
    """Once a line stands behind it, the newline that was missing stays."""
    return bool(table) and not table.endswith(b"\n")


@pytest.mark.parametrize("before", [b"", b"# a\n", b"# a"])
@pytest.mark.parametrize("after", [b"", b"# b\n", b"# b"])
def test_a_block_is_replaced_where_it_stands(before: bytes, after: bytes) -> None:
    moved = block_of(HeartbeatCommand("/new/python", "/p", ("/bin",)))
    installed = put(before, BLOCK) + after
    changed = put(installed, moved)
    assert changed == put(before, moved) + after
    assert put(changed, BLOCK) == installed
    block = find(changed, b"/p")
    assert block is not None
    assert not matches(block, BLOCK)


def test_lines_that_came_behind_stay_lines() -> None:
    assert take(put(b"# a", BLOCK) + b"# b\n", b"/p") == b"# a\n# b\n"


def test_a_block_that_an_editor_has_gone_through() -> None:
    edited = b"# a\r\n" + BLOCK.replace(b"\n", b" \r\n") + b"# b\r\n"
    assert put(edited, BLOCK) == b"# a\r\n" + BLOCK + b"# b\r\n"
    assert take(edited, b"/p") == b"# a\r\n# b\r\n"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"# a\n" + BEGIN + LINE, "line 2 of the crontab begins the block of `/p`, which never ends"),
        (LINE + END, "line 2 of the crontab ends the block of `/p`, which never began"),
        (END + LINE + BEGIN, "line 1 of the crontab ends the block of `/p`, which never began"),
        (BLOCK + BLOCK, "line 5 of the crontab begins a second block of `/p`, after that of line 1"),
        (
            BEGIN + OTHERS + END,
            "line 2 of the crontab begins the block of `/other` inside that of `/p`, which begins at line 1",
        ),
        (BEGIN + BEGIN + END, "line 2 of the crontab begins the block of `/p` inside that of `/p`, .* at line 1"),
        (BEGIN + b"# <<< runner /q <<<\n", "line 2 of the crontab ends the block of `/q` inside that of `/p`"),
        (OTHERS[:-5], "line 4 of the crontab is not a whole marker: `# <<< runner /other`"),
        (b"# >>> runner\n", "line 1 of the crontab is not a whole marker: `# >>> runner`"),
        (b"# >>> runner p >>>\n", "line 1 of the crontab is not a whole marker"),
        (b"# >>> runner /p <<<\n", "line 1 of the crontab is not a whole marker"),
        (b"  # >>> runner /other >>>  \r\n", "line 1 of the crontab begins the block of `/other`, which never ends"),
        (b"# >>> runner /\x1b[31m\xff >>>", "line 1 of the crontab begins the block of `/�`, which never ends"),
    ],
)
def test_a_damaged_marker_is_refused(table: bytes, message: str) -> None:
    for work in (lambda: put(table, BLOCK), lambda: take(table, b"/p"), lambda: blocks(table)):
        with pytest.raises(RunnerError, match=message) as caught:
            work()
        assert "nothing was changed" in (caught.value.hint or "")


@pytest.mark.parametrize("line", [b"0 3 * * * backup\n", b"RUNNER_NTFY_TOPIC=x\n", b"\xff\n"])
def test_a_line_of_somebody_else_in_the_block_is_not_lost(line: bytes) -> None:
    table = b"# a\n" + BLOCK.replace(LINE, LINE + line)
    for work in (lambda: put(table, BLOCK), lambda: take(table, b"/p")):
        with pytest.raises(RunnerError, match="line 5 of the crontab stands in the runner's block and is not its own"):
            work()


@pytest.mark.parametrize("line", [b"", b"\n", b"# mine\n", b"#" + LINE])
def test_a_block_with_comments_is_still_ours(line: bytes) -> None:
    table = BLOCK.replace(LINE, line)
    assert put(table, BLOCK) == BLOCK
    assert take(table, b"/p") == b""


def test_which_variables_a_crontab_sets() -> None:
    table = b"A=1\n  B_2 = x\n'C'=y\n\"D\"=z\n# E=1\n* * * * * F=1 true\nPATH=/x\n" + BLOCK
    assert variables(table) == {"A", "B_2", "C", "D", "PATH"}
