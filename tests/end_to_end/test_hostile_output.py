"""What a hostile agent printed, shown on a terminal by every command: nothing in it acts."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.end_to_end.test_every_command import COMMANDS as EVERY
from tests.helpers import AGENTS, DOUBLE, make_project, wait_until, with_crontab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers import Project

NOTIFY = """\
notify:
  ntfy: {url: "{{ env.RUNNER_NTFY_URL }}", topic: runs}
"""
OWN = re.compile(r"\r\x1b\[K|\x1b\[(?:0|3[123])m")  # a run's progress line, the doctor's colours

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
    "hidden": "soft\xad \u061c \u115f \u180e \u3164 \ue000 \ufe00 \U000e0069\U000e0067".encode(),
}
ATTACKS["all"] = b" ".join(ATTACKS.values())
ESCAPED = {name: data.decode(errors="replace") for name, data in ATTACKS.items()}
# Everything but tab, line feed, and the carriage return that the terminal itself puts before a line feed.
ACTS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3164"
    "\ue000-\uf8ff\ufe00\ufeff\U000e0000-\U000e0fff]|\r(?!\r?\n)"
)
ATTACK = "the attack itself"
WORDS = """\
runs
runs --json
show last
show last --json
why last
logs last
logs last --raw
logs last --stdout
logs last --prompt
logs last -f
diff last
triage
triage --json
stats --by model
stats --by model --json
stats --by model --csv
prune --dry-run
"""
OTHER_WORDS = """\
run hostile free
run hostile free --json
run hostile free --dry-run
run hostile free --dry-run --json
parse hostile attack.json --stderr attack.bin --exit-code 1
parse hostile attack.json --stderr attack.bin --exit-code 1 --json
parse hostile attack.json --explain
learn unknown --from attack.json attack.bin
agents
agents --json
agents show hostile
agents show hostile --json
tasks
tasks --json
tasks show odd
tasks show odd --json
validate
validate wrong
validate wrong --format json
validate wrong --format github
validate wrong --format junit
doctor hostile
doctor hostile --json
completion fish run
notify list
notify list --json
notify history
notify history --json
notify test
notify flush
heartbeat
agents clear hostile
cron show
cron show --json
cron next
cron next --json
budgets
budgets --json
prices hostile
prices hostile --json
cron install
cron remove
"""
COMMANDS = [line.split() for line in WORDS.splitlines()]
OTHERS = [line.split() for line in OTHER_WORDS.splitlines()]
LIVE = [["ps"], ["ps", "--json"], ["runs"], ["logs", "last", "-f"], ["stop"]]
WRONG = [["run", ATTACK, "free"], ["run", "hostile", ATTACK], ["show", ATTACK], ["why", ATTACK], ["logs", ATTACK]]
WRONG += [["stop", ATTACK], ["parse", "hostile", ATTACK], ["agents", "show", ATTACK], ["validate", ATTACK], [ATTACK]]
WRONG += [["runs", "--since", ATTACK], ["stats", "--by", ATTACK], ["schema", ATTACK], ["doctor", ATTACK]]
WRONG += [
    ["runs", f"--{ATTACK}"],
    ["doctor", f"--{ATTACK}"],
    ["-C", ATTACK, "runs"],
    ["run", "hostile", "free", "--var", ATTACK],
]
# What they print comes with the package.
STATIC = {"init", "schema"}
LONG = 10 << 20


def quoted(text: str) -> str:
    """A text as YAML has it: JSON, but for the surrogates by which JSON writes what lies beyond U+FFFF."""
    astral = {ord(character): f"\\U{ord(character):08x}" for character in text if ord(character) > 0xFFFF}
    return '"' + "".join(astral.get(ord(character)) or json.dumps(character)[1:-1] for character in text) + '"'


def begun(project: Project, *words: str) -> tuple[subprocess.Popen[bytes], int]:
    """The command, and our end of its terminal."""
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
    return process, ours


def on_terminal(project: Project, *words: str) -> tuple[int, str]:
    """Exit code and everything that reached the terminal."""
    return ended(*begun(project, *words))


def ended(process: subprocess.Popen[bytes], ours: int) -> tuple[int, str]:
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
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A failed run whose reply, model, stderr, prompt, file and commit hold the attack."""
    project = make_project(tmp_path_factory.mktemp("attacked"))
    attack = request.param
    agents = AGENTS.replace("DOUBLE", str(DOUBLE)) + "      model: {at: model, take: first}\n"
    script = "cat attack.bin >&2; cat attack.bin; echo; cat attack.json; cp attack.bin new; git add new; git commit -qF attack.bin; exit 1"
    text = quoted(ESCAPED[attack].replace("\0", ""))  # which `validate` refuses
    entry = f"{{extends: jsonl, binary: /bin/sh, argv: [-c, {quoted(script)}], description: {text}, "
    entry += f"version: [sh, -c, 'cat {project.root}/attack.bin'], model: {{default: {text}}}}}"
    agents = agents.replace("parsers:\n", f"  hostile: {entry}\nparsers:\n")
    project.write("agents.yaml", agents)
    tasks = (project.root / "tasks.yaml").read_text()
    project.write(
        "tasks.yaml",
        f"{tasks}  odd: {{description: {text}, prompt: prompts/free.md, schedule: {{cron: '@daily', agents: hostile}}}}\n{NOTIFY}",
    )
    line = ESCAPED[attack].replace("\0", "").replace("\u2028", "")
    with_crontab(project).write_text(f"# >>> runner {project.root} >>>\n{line}\n# <<< runner {project.root} <<<\n")
    project.write("wrong/agents.yaml", f"agents:\n  {text}: {{}}\n  mine: {{{text}: {text}}}\n")
    (project.root / "attack.bin").write_bytes(ATTACKS[attack] + b"\n")
    project.write("attack.json", event(attack) + "\n")
    (project.root / "prompts" / "free.md").write_text(f"Do {ESCAPED[attack]}\n".replace("\x00", ""), errors="replace")
    with Ntfy() as server:
        project.env |= {"RUNNER_NTFY_URL": server.url}
        server.mode = "internal_error"
        assert project("run", "hostile", "free").returncode == 1
        waiting = next(project.root.glob("logs/outbox/*.json"))
        pending = json.loads(waiting.read_text())
        pending["message"]["title"] = pending["targets"][0]["last_error"] = ESCAPED[attack]
        waiting.write_text(json.dumps(pending))
        server.mode = "well"
        # Anyone who knows the topic may have sent it.
        server.messages.append(
            {"id": "x", "time": int(time.time()), "event": "message", "topic": "runs", "title": ESCAPED[attack]}
        )
        yield project


def harmless(seen: str) -> None:
    assert "Traceback" not in seen
    assert "internal error" not in seen
    assert ACTS.search(OWN.sub("", seen)) is None, repr(seen)


@pytest.mark.parametrize("said", COMMANDS, ids=" ".join)
def test_nothing_acts(attacked: Project, said: list[str]) -> None:
    code, seen = on_terminal(attacked, *said)
    assert code in (0, 1)
    assert seen.strip()
    harmless(seen)


ALL_AT_ONCE = pytest.mark.parametrize("attacked", ["all"], indirect=True)


@ALL_AT_ONCE
@pytest.mark.parametrize("said", OTHERS, ids=" ".join)
def test_nothing_acts_in_the_other_commands(attacked: Project, said: list[str]) -> None:
    code, seen = on_terminal(attacked, *said)
    assert code in ((3,) if "wrong" in said else (0, 1))
    assert seen.strip() or said == ["heartbeat"]
    harmless(seen)


@ALL_AT_ONCE
@pytest.mark.parametrize("said", WRONG, ids=" ".join)
def test_no_wrong_word_acts(attacked: Project, said: list[str]) -> None:
    attack = ESCAPED["all"].replace("\0", "")
    code, seen = on_terminal(attacked, *(word.replace(ATTACK, attack) for word in said))
    assert code in (1, 2, 3)
    assert seen.strip()
    harmless(seen)


@ALL_AT_ONCE
def test_a_run_that_lives(attacked: Project) -> None:
    good = (attacked.root / "agents.yaml").read_text()
    attacked.write("agents.yaml", good.replace("exit 1", "exec sleep 60"))
    known = {*attacked.root.glob("logs/free/hostile/*/stdout.log")}
    run = attacked.start("run", "hostile", "free")
    wait_until(lambda: any("after" in path.read_text(errors="replace") for path in new_logs(attacked, known)))
    (run_id,) = (path.parent.name for path in new_logs(attacked, known))
    follower = begun(attacked, "logs", run_id, "-f")
    for said in (["ps"], ["ps", "--json"], ["runs"], ["show", run_id], ["stop", run_id]):
        code, seen = on_terminal(attacked, *said)
        assert code == 0
        assert run_id in seen or said[0] == "stop"
        harmless(seen)
    code, seen = ended(*follower)
    assert code == 0
    assert "before" in seen
    harmless(seen)
    assert run.communicate(timeout=30)
    attacked.write("agents.yaml", good)


def new_logs(project: Project, known: set[Path]) -> set[Path]:
    return {*project.root.glob("logs/free/hostile/*/stdout.log")} - known


def test_every_command_is_shown() -> None:
    shown = {" ".join(said) for said in COMMANDS + OTHERS + LIVE}
    assert [name for name in EVERY if name not in STATIC and not any(line.startswith(name) for line in shown)] == []


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
