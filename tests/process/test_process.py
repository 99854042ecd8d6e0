"""What an agent does to its streams and its process tree, by the real command."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runner.process.tree import Tree, descendants
from tests.helpers import DOUBLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

EVERY_PLANE = "".join(chr(plane << 16 | 0x41) for plane in range(17)) + "\U0010fffd é 漢 🙂\n"


@pytest.mark.parametrize(
    "prompt",
    [
        "p" * 200_000,
        "-rf --help",
        "--",
        EVERY_PLANE,
        "{{ not a template }} {% nor this %}",
        "'; rm -rf / #`$(id)`\n\\\n\t\n",
        "",
    ],
    ids=["200 KB", "dash", "dashes", "every plane", "braces", "shell", "empty"],
)
def test_a_prompt_arrives_byte_for_byte(project: Project, prompt: str) -> None:
    project.write("prompts/free.md", "{% raw %}" + prompt + "{% endraw %}")
    done = project("run", "double", "free", "--var", "mode=stdin_digest")
    data = (project.root / "prompts" / "free.md").read_bytes()[len("{% raw %}") : -len("{% endraw %}")]
    assert done.returncode == 0, done.stderr
    assert project.record()["text"] == f"{len(data)} {hashlib.sha256(data).hexdigest()}"
    assert (project.folders()[-1] / "prompt.md").read_bytes() == data


def test_a_prompt_on_the_command_line_is_no_template(project: Project) -> None:
    prompt = "-{{ braces }} {% and such %} " + EVERY_PLANE
    done = project("run", "double", "free", "--var", "mode=stdin_digest", "--prompt", prompt)
    assert done.returncode == 0, done.stderr
    assert project.record()["text"] == f"{len(prompt.encode())} {hashlib.sha256(prompt.encode()).hexdigest()}"


def test_a_prompt_without_a_task_is_recorded_as_prompt(project: Project) -> None:
    agents = (project.root / "agents.yaml").read_text().replace('"{{ vars.mode }}"', "hello")
    project.write("agents.yaml", agents)
    assert project("run", "double", "--prompt", "Say hello.").returncode == 0
    assert project.record()["task"] == "prompt"
    assert project.folders()[-1].parent == project.root / "logs" / "prompt" / "double"


IN_ARGV = """\
stock: false
agents:
  double: {binary: "{{ python }}", argv: [DOUBLE, argv_digest, "{{ prompt }}"], parser: text}
"""


def test_an_argv_word_above_128_kib_is_refused_before_the_spawn(project: Project) -> None:
    project.write("agents.yaml", IN_ARGV.replace("DOUBLE", str(DOUBLE)))
    project.write("prompts/free.md", "p" * 200_000)
    done = project("run", "double", "free")
    record = project.record()
    assert (done.returncode, record["reason"]) == (1, "launch_failed")
    assert "argv word 3 has 200,001 bytes" in record["error"]["message"]
    assert "stdin" in record["error"]["message"]


@pytest.mark.parametrize(
    ("binary", "message"),
    [
        ("no-such-agent-anywhere", "`no-such-agent-anywhere` was not found on PATH"),
        ("./tools/absent", "does not exist"),
        ("./tools/not-executable", "is not an executable file"),
        ("./tools", "is not an executable file"),
        ("./tools/no-interpreter", "interpreter that its first line names does not"),
        ("./tools/wrong-format", "exec format error"),
    ],
)
def test_a_binary_that_cannot_be_started_has_its_record(project: Project, binary: str, message: str) -> None:
    project.write("tools/not-executable", "#!/bin/sh\n")
    project.write("tools/no-interpreter", "#!/no/such/interpreter\n").chmod(0o755)
    project.write("tools/wrong-format", "\x7fELF nonsense").chmod(0o755)
    project.write("agents.yaml", f"stock: false\nagents:\n  broken: {{binary: {binary}, argv: [], parser: text}}\n")
    done = project("run", "broken", "free")
    record = project.record()
    assert (done.returncode, record["status"], record["reason"]) == (1, "failed", "launch_failed"), done.stderr
    assert message in record["error"]["message"]
    assert record["containment"] == "none"


def test_four_megabytes_in_one_line(project: Project) -> None:
    done = project("run", "double", "free", "--var", "mode=long_line", "--set", "argument=4")
    assert done.returncode == 0, done.stderr
    folder = project.folders()[-1]
    assert (folder / "stdout.log").read_bytes() == b"x" * (4 << 20) + b"\n"
    assert (folder / "transcript.log").stat().st_size == (4 << 20) + 1


@pytest.mark.parametrize(("agent", "code", "reason"), [("double", 0, None), ("jsonl", 1, "no_terminal_event")])
def test_nuls_invalid_utf8_escapes_and_half_a_json_line(
    project: Project, agent: str, code: int, reason: str | None
) -> None:
    done = project("run", agent, "free", "--var", "mode=bytes_of_every_kind")
    record = project.record()
    assert (done.returncode, record["reason"]) == (code, reason), done.stderr
    raw = b'\x00\x00 NUL \xff\xfe\xf0\x28 \x1b[31mred\x1b[0m\r\n{"type": "result", "is_err'
    assert (project.folders()[-1] / "stdout.log").read_bytes() == raw
    assert "\x1b" not in done.stdout
    assert "\x00" not in done.stdout


@pytest.mark.parametrize("mode", ["daemon_keeps_stdout", "stubborn_daemon", "double_fork"])
def test_what_an_agent_leaves_behind_is_ended_and_delays_nothing(project: Project, mode: str) -> None:
    began = time.monotonic()
    done = project("run", "double", "free", "--var", f"mode={mode}")
    whole = time.monotonic() - began
    record = project.record()
    assert done.returncode == 0, done.stderr
    assert record["survivors"] == 0
    assert not project.processes()
    # The daemons live for 600 s; whoever waits for the end of the pipe waits as long.
    assert whole < 30
    assert record["elapsed_seconds"] < 10


def test_a_timeout_holds_for_an_agent_that_floods(project: Project) -> None:
    done = project("run", "double", "free", "--var", "mode=flood", "--timeout", "500ms")
    assert done.returncode == 11
    folder = project.folders()[-1]
    assert (folder / "stdout.log").stat().st_size == (folder / "transcript.log").stat().st_size > 0


def test_an_agent_that_said_its_result_and_stays_is_ended_as_a_success(project: Project) -> None:
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text.replace("    parser: result", "    parser: result\n    linger: 300ms"))
    done = project("run", "jsonl", "free", "--var", "mode=result_then_hang")
    record = project.record()
    assert done.returncode == 0, done.stderr
    assert (record["status"], record["ended_by"]) == ("success", "linger")
    assert record["notes"]


@pytest.mark.parametrize(
    ("limit", "mode", "reason"),
    [("first_output: 300ms", "hang_silently", "first_output"), ("idle_timeout: 300ms", "hang", "idle_timeout")],
)
def test_silence_has_limits_of_its_own(project: Project, limit: str, mode: str, reason: str) -> None:
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text.replace("    parser: text", f"    parser: text\n    {limit}"))
    done = project("run", "double", "free", "--var", f"mode={mode}")
    record = project.record()
    assert (done.returncode, record["status"], record["reason"]) == (11, "timed_out", reason)


def test_the_environment_is_an_allow_list(project: Project) -> None:
    text = (project.root / "agents.yaml").read_text()
    rules = "    env: {pass: [MINE_*], set: {MADE: 'for {{ task }}'}, unset: [MINE_BUT_NOT]}\n"
    project.write("agents.yaml", text.replace("    parser: text\n", "    parser: text\n" + rules))
    outside = {"MINE_A": "1", "MINE_BUT_NOT": "1", "SECRET_OF_OTHERS": "1", "LC_TIME": "C", "GIT_DIR": "/nowhere"}
    done = project("run", "double", "free", "--var", "mode=environment", env=outside)
    assert done.returncode == 0, done.stderr
    record = project.record()
    seen = json.loads(record["text"])
    assert {name: seen.get(name) for name in ("MINE_A", "MADE", "LC_TIME", "HOME")} == {
        "MINE_A": "1",
        "MADE": "for free",
        "LC_TIME": "C",
        "HOME": str(project.home),
    }
    assert not {"MINE_BUT_NOT", "SECRET_OF_OTHERS", "GIT_DIR"} & set(seen)
    assert seen["RUNNER_RUN_ID"] == record["run_id"]
    assert seen["GIT_AUTHOR_NAME"] == seen["GIT_COMMITTER_NAME"] == "Tester"
    assert seen["GIT_AUTHOR_EMAIL"] == seen["GIT_COMMITTER_EMAIL"] == "tester@example.invalid"


def test_settings_files_are_written_before_the_spawn(project: Project) -> None:
    text = (project.root / "agents.yaml").read_text()
    rules = (
        '    files: {settings/agent.json: \'{"task": "{{ task }}"}\'}\n'
        "    options: {argument: {default: '{{ run_dir }}'}}\n"
    )
    text = text.replace("    options: {argument: {default: null}}\n", rules)
    text = text.replace('args: ["{{ argument }}"]', 'args: ["{{ run_dir }}/settings/agent.json"]')
    project.write("agents.yaml", text)
    done = project("run", "double", "free", "--var", "mode=write_settings", "--set", "argument=yes")
    assert done.returncode == 0, done.stderr
    assert project.record()["text"] == '{"task": "free"}'


def test_stdin_is_never_inherited(project: Project) -> None:
    """An agent without a stdin template reads an empty file, also when ours is an open pipe."""
    agents = (project.root / "agents.yaml").read_text().replace('    stdin: "{{ prompt }}"\n', "")
    project.write("agents.yaml", agents)
    process = project.start("run", "double", "free", "--var", "mode=stdin_digest", stdin=subprocess.PIPE)
    try:
        assert process.wait(timeout=30) == 0
    finally:
        process.communicate()
    assert project.record()["text"].startswith("0 ")


def test_closed_standard_streams_harm_nothing(project: Project) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-m", "runner", "run", "double", "free"],
        cwd=project.root,
        env=project.environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert project.record()["text"] == "hello"


SECRET = "hunter2-swordfish/é\nsecond line of it"


def test_a_secret_reaches_no_file_and_the_lines_stay_where_they_were(project: Project) -> None:
    """The agent prints its whole environment as JSON: the secret is escaped there."""
    text = (project.root / "agents.yaml").read_text()
    project.write(
        "agents.yaml", text.replace("    parser: text\n", "    parser: text\n    env: {pass: [MY_API_KEY]}\n")
    )
    project.write("prompts/free.md", "The key is {{ vars.key }}.\n")
    done = project(
        "run", "double", "free", "--var", "mode=environment", "--var", f"key={SECRET}", env={"MY_API_KEY": SECRET}
    )
    assert done.returncode == 0, done.stderr
    parts = [SECRET.splitlines()[0], "hunter2-swordfish", "second line of it"]
    for path in project.folders()[-1].iterdir():
        content = path.read_text()
        assert not [part for part in parts if part in content], path
    assert not [part for part in parts if part in done.stdout + done.stderr]
    assert "***" in project.record()["text"]
    assert json.loads((project.folders()[-1] / "stdout.log").read_text())["HOME"] == str(project.home)


class Elsewhere:
    """A parent that still has a child, which no pass over /proc shows; its pid is above what any kernel gives."""

    pid = leader = (1 << 22) + 1
    status = 0

    def reap(self) -> None: ...

    def empty(self) -> bool:
        return False

    def wait(self, seconds: float) -> None: ...


def test_nothing_descends_from_nobody() -> None:
    assert descendants(0) == [], "the kernel's own number, from which everything descends"


def test_what_is_there_and_cannot_be_found_is_counted(tmp_path: Path) -> None:
    assert Tree(Elsewhere(), str(tmp_path), subreaper=True).kill(0.01) == 1
    assert Tree(Elsewhere(), str(tmp_path), subreaper=False).kill(0.01) == 0, "without a subreaper nobody knows"
