"""What a hostile agent printed, shown on a terminal by every command: nothing in it acts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import AGENTS, DOUBLE, make_project

if TYPE_CHECKING:
    from tests.helpers import Project

ATTACKS = {
    "ansi": b"\x1b[31mred\x1b[2J\x1b[H gone",
    "title": b"\x1b]0;owned\x07 title",
    "osc52": b"\x1b]52;c;ZWNobyBoYWNrZWQ=\x07 clipboard",
    "osc52_open": b"\x1b]52;c;ZWNobyBoYWNrZWQ=",
    "c1": "\x9b31m \x9d52;c;eA==\x9c".encode(),
    "right_to_left": "user\u202egnp.exe \u2066x\u2069 \u200f".encode(),
    "carriage_return": b"error: it failed\rsuccess: all is well",
    "backspace": b"rm\x08\x08ls\x7f\x00",
    "invalid": b"\xff\xfe\xf0\x28 \xed\xa0\x80 half \xe2\x82",
    "separators": "line\u2028break\u2029and\ufeffmark\u200b".encode(),
}
ESCAPED = {name: data.decode(errors="replace") for name, data in ATTACKS.items()}
# Everything but tab, line feed, and the carriage return that the terminal itself puts before a line feed.
ACTS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\r(?!\r?\n)")
COMMANDS = [
    ["runs"],
    ["runs", "--json"],
    ["show", "last"],
    ["show", "last", "--json"],
    ["why", "last"],
    ["logs", "last"],
    ["logs", "last", "--raw"],
    ["logs", "last", "--stdout"],
    ["logs", "last", "--prompt"],
    ["logs", "last", "-f"],
    ["diff", "last"],
    ["triage"],
    ["triage", "--json"],
    ["stats", "--by", "model"],
    ["stats", "--by", "model", "--json"],
    ["stats", "--by", "model", "--csv"],
    ["prune", "--dry-run"],
]
LONG = 10 << 20


def on_terminal(project: Project, *words: str) -> tuple[int, str]:
    """Exit code and everything that reached the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runner", *words],
        cwd=project.root,
        env=project.environment(TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = bytearray()
    try:
        while select.select([ours], [], [], 60)[0]:
            data = os.read(ours, 1 << 16)
            if not data:
                break
            seen += data
    except OSError:
        pass  # how a pseudo-terminal says that its other side is closed
    finally:
        os.close(ours)
    return process.wait(timeout=60), seen.decode()


def event(attack: str) -> str:
    text = f"before {ESCAPED[attack]} after"
    return json.dumps({"type": "result", "is_error": True, "result": text, "session_id": text, "model": text})


@pytest.fixture(scope="module", params=ATTACKS)
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A failed run whose reply, model, stderr, prompt, file and commit hold the attack."""
    project = make_project(tmp_path_factory.mktemp("attacked"))
    attack = request.param
    agents = AGENTS.replace("DOUBLE", str(DOUBLE)) + "      model: {at: model, take: first}\n"
    script = "cat attack.bin >&2; cat attack.bin; echo; cat attack.json; cp attack.bin new; git add new; git commit -qF attack.bin; exit 1"
    agents = agents.replace(
        "parsers:\n", f"  hostile: {{extends: jsonl, binary: /bin/sh, argv: [-c, {json.dumps(script)}]}}\nparsers:\n"
    )
    project.write("agents.yaml", agents)
    (project.root / "attack.bin").write_bytes(ATTACKS[attack] + b"\n")
    project.write("attack.json", event(attack) + "\n")
    (project.root / "prompts" / "free.md").write_text(f"Do {ESCAPED[attack]}\n".replace("\x00", ""), errors="replace")
    assert project("run", "hostile", "free").returncode == 1
    return project


@pytest.mark.parametrize("said", COMMANDS, ids=" ".join)
def test_nothing_acts(attacked: Project, said: list[str]) -> None:
    code, seen = on_terminal(attacked, *said)
    assert code in (0, 1)
    assert "Traceback" not in seen
    assert seen.strip()
    assert ACTS.search(seen) is None, repr(seen)


def test_a_pipe_gets_the_bytes_as_they_came(attacked: Project) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "runner", "logs", "last", "--raw"],
        cwd=attacked.root,
        env=attacked.environment(),
        capture_output=True,
        check=True,
    )
    assert done.stdout == (attacked.folders()[-1] / "transcript.log").read_bytes()


@pytest.fixture(scope="module")
def long_line(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("long"))
    project("run", "double", "must_commit", "--var", "mode=long-line", "--set", "argument=10")
    return project


@pytest.mark.parametrize("said", [words for words in COMMANDS if words[-1] not in ("--raw", "--stdout")], ids=" ".join)
def test_a_line_of_ten_megabytes_is_cut(long_line: Project, said: list[str]) -> None:
    code, seen = on_terminal(long_line, *said)
    assert code in (0, 1)
    if "--json" not in said:
        assert max(len(line) for line in seen.splitlines()) < 1000
    assert len(seen) < LONG + (1 << 20)
