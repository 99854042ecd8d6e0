"""Odd files and values on the command line, in the environment and in YAML: an end, the right code, the thing named."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.helpers import wait_until
from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers import Project

RUN = ("run", "double", "free")
LIMIT = 30.0

LONG = [
    "10y",
    "99999999999999999999h",
    "87661h",
    "3653d",
    "522w",
    "1e999",
    "9" * 400,
    "inf",
    "nan",
    "-1",
    "0x10",
    "1h-1h",
]
FINE = ["597h", "8760h", "3652d", "521w", "315576000", "5259600min", "none", "0.5w"]
WAITS = ["--timeout", "--wait"]


@pytest.mark.parametrize("option", WAITS)
@pytest.mark.parametrize("text", LONG, ids=lambda text: text[:25])
def test_too_long_is_refused_before_anything_starts(project: Project, option: str, text: str) -> None:
    struck = strike(project, Hostile(text, words=(*RUN, option, text), code=2))
    assert option in struck.done.stderr
    assert project.folders() == []


@pytest.mark.parametrize("option", WAITS)
@pytest.mark.parametrize("text", FINE)
def test_up_to_ten_years_work(project: Project, option: str, text: str) -> None:
    strike(project, Hostile(text, words=(*RUN, option, text)))


@pytest.mark.parametrize("text", FINE)
def test_in_the_environment(project: Project, text: str) -> None:
    strike(project, Hostile(text, words=RUN, env={"AGENT_RUNNER_TIMEOUT_SECONDS": text}))


KEYS = ["timeout", "idle_timeout", "first_output", "grace", "drain", "linger"]


@pytest.mark.parametrize("key", KEYS)
def test_in_yaml(project: Project, key: str) -> None:
    agents = (project.root / "agents.yaml").read_text()
    long = agents.replace("    parser: text\n", f"    parser: text\n    {key}: DURATION\n", 1)
    project.write("agents.yaml", long.replace("DURATION", "8760h"))
    strike(project, Hostile(key))
    for text in ("87661h", "315576001", "99999w"):
        project.write("agents.yaml", long.replace("DURATION", text))
        for words in (RUN, ("validate",)):
            done = project(*words)
            assert done.returncode == 3
            assert f"agents.double.{key}: " in done.stdout + done.stderr
            assert "at most ten years" in done.stdout + done.stderr


ODD = [
    (("runs", "--since", "99999999999999999999h"), 2),
    (("runs", "--since", "9" * 5000), 2),
    (("runs", "--until", "0000-00-00"), 2),
    (("runs", "--since", "0001-01-01"), 0),
    (("runs", "--until", "9999-12-31T23:59:59-23:59"), 0),
    (("runs", "--since", "2026-02-30"), 2),
    (("runs", "--limit", "9" * 30), 0),
    (("runs", "--limit", "9" * 5000), 0),
    (("runs", "--limit", "-1"), 2),
    (("runs", "--limit", "00"), 2),
    (("stats", "--since", "87661h"), 2),
    (("triage", "--since", "1e5"), 2),
    (("triage", "--since", "0001-01-01"), 0),
    (("cron", "next", "-n", "9" * 30), 2),
    (("cron", "next", "-n", "9" * 5000), 2),
    (("cron", "next", "-n", "99999999"), 2),
    (("parse", "double", "README", "--exit-code", "9" * 5000), 2),
    (("parse", "double", "README", "--exit-code", "-99999999"), 0),
    (("parse", "double", "README", "--at", "0001-01-01T00:00:00+23:59"), 0),
    (("parse", "double", "README", "--at", "99999-01-01"), 2),
    (("parse", "double", "README", "--at", "2h"), 2),
    (("show", "9" * 5000), 2),
    (("show", "/"), 2),
    (("show", ".."), 2),
    (("why", "last:" + "/" * 100), 2),
    (("logs", "%"), 2),
    (("stop", "\udcff"), 2),
]


@pytest.mark.parametrize(("words", "code"), ODD, ids=lambda value: str(value)[:50])
def test_a_value_is_read_or_refused(project: Project, words: tuple[str, ...], code: int) -> None:
    done = project(*words, timeout=LIMIT)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def listening(path: Path) -> None:
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def looping(path: Path) -> None:
    path.symlink_to(path)


def folder(path: Path) -> None:
    path.mkdir()


def plain(path: Path) -> None:
    path.write_text("a file\n")


WRONG_KINDS = [fifo, endless, terminal, listening, dangling, looping, folder]


@pytest.mark.parametrize("place", ["stdout", "stderr"])
@pytest.mark.parametrize("kind", WRONG_KINDS, ids=lambda kind: kind.__name__)
def test_parse_of_what_is_no_file(project: Project, kind: Callable[[Path], None], place: str) -> None:
    here = os.getcwd()
    kind(project.root / "odd")
    os.chdir(here)
    words = ("odd",) if place == "stdout" else ("README", "--stderr", "odd")
    done = project("parse", "double", *words, timeout=LIMIT)
    assert (done.returncode, "cannot read `odd`" in done.stderr) == (2, True), done.stderr
    assert (project.root / "odd").is_symlink() or os.path.lexists(project.root / "odd")


COMMANDS = [
    "doctor",
    "doctor double",
    "runs",
    "show last",
    "triage",
    "stats",
    "ps",
    "heartbeat",
    "notify list",
    "prune",
]
KINDS = [plain, fifo, endless, dangling, looping]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_command_where_logs_is_no_folder(project: Project, kind: Callable[[Path], None]) -> None:
    kind(project.root / "logs")
    for words in COMMANDS:
        done = project(*words.split(), timeout=LIMIT)
        assert "Traceback" not in done.stderr, (words, done.stderr)
        assert done.returncode in (0, 1, 2, 70), words
        if words.startswith("doctor"):
            assert (done.returncode, "fail  logs" in done.stdout) == (1, True), done.stdout


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_run_where_logs_is_no_folder(project: Project, kind: Callable[[Path], None]) -> None:
    kind(project.root / "logs")
    done = project(*RUN, timeout=LIMIT)
    assert done.returncode == 12
    assert str(project.root / "logs") in done.stdout + done.stderr
    assert "free some space" not in done.stdout + done.stderr


def test_a_failure_is_exit_code_1_also_where_no_agent_is_named(project: Project) -> None:
    plain(project.root / "logs")
    done = project("doctor")
    assert ("1 failure" in done.stdout or "2 failures" in done.stdout, done.returncode) == (True, 1)


@pytest.fixture
def living(project: Project) -> Iterator[list[subprocess.Popen[str]]]:
    """Two runs that go on, of two tasks in two checkouts."""
    project.git("init", "-q", "other")
    processes = []
    for number, (task, repo) in enumerate((("free", "."), ("must_commit", "other")), 1):
        words = ("run", "double", task, "--repo", repo, "--var", "mode=hang")
        processes.append(project.start(*words))
        wait_until(lambda count=number: len(project.folders()) == count)  # type: ignore[misc]
    yield processes
    for process in processes:
        process.terminate()
        process.communicate(timeout=30)


def test_run_means_the_same_in_every_command(project: Project, living: list[subprocess.Popen[str]]) -> None:
    first, second = sorted(path.name for path in project.folders())
    names = {first: first, second: second, "last": second, "last:double/free": first, "last:double": second}
    names |= {"last:/must_commit": second, f"{second[:-1]}\0"[:-1]: second} if first[:-1] != second[:-1] else {}
    for name, run_id in names.items():
        assert json.loads(project("show", name, "--json").stdout)["run_id"] == run_id, name
        assert [run["run_id"] for run in json.loads(project("ps", name, "--json").stdout)] == [run_id], name
        assert f"run_id={run_id}" in project("why", name).stdout.replace("Run ", "run_id="), name
    for wrong in ("2", "nosuch", "last:double/committed_for", "last:nosuch", "", "/", "../x"):
        for words in (("ps", wrong), ("stop", wrong), ("show", wrong)):
            done = project(*words)
            assert (done.returncode, "Traceback" in done.stderr) == (2, False), words
    assert project("stop", "last:double/free").returncode == 0
    assert living[0].wait(30) == 143
    assert project("stop", "last").returncode == 0
    assert living[1].wait(30) == 143
    for name in ("last", first, "2"):
        done = project("stop", name)
        assert (done.returncode, "no run lives" in done.stderr) == (2, True), done.stderr
    assert json.loads(project("show", "last", "--json").stdout)["run_id"] == second


VARIABLES = [
    (("--var", "undeclared=1"), "nothing uses the variable `undeclared`"),
    (("--var", "mod=hello"), "did you mean 'mode'?"),
    (("--var", "=1"), "--var expects KEY=VALUE"),
    (("--var", "mode=hello", "--var", "nmae=x"), "did you mean 'name'?"),
    (("--prompt", "Say {{ vars.name }}.", "--var", "name=x"), "nothing uses the variable `name`"),
]


@pytest.mark.parametrize(("more", "said"), VARIABLES, ids=str)
def test_a_variable_that_nothing_uses(project: Project, more: tuple[str, ...], said: str) -> None:
    project.write("prompts/free.md", "Greet {{ vars['name'] if vars.name else 'all' }}.\n")
    done = project(*RUN, *more)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    "prompt",
    ["{{ vars.x }}", "{% for name in vars %}{{ name }}{% endfor %}", "{{ vars[ 'x' ] }}", "{{ vars | length }}"],
)
def test_a_variable_that_a_prompt_uses(project: Project, prompt: str) -> None:
    project.write("prompts/free.md", prompt)
    assert project(*RUN, "--var", "x=1", "--dry-run").returncode == 0


SECRET = "s3cret-value-of-the-entry"
SHOWN = [
    f"env: {{set: {{MY_API_KEY: {SECRET}}}}}",
    f"env: {{set: {{DB_PASSWORD: {SECRET}, OTHER: 'x {SECRET} y'}}}}",
    f"env: {{set: {{SERVICE_TOKEN: {SECRET}}}}}\n    description: uses {SECRET}",
    "description: ghp_abcdefghijklmnopqrstuvwxyz0123456789AB",
    "env: {set: {OTHER: 'https://user:pa55word-x@host.invalid/'}}",
]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=str)
@pytest.mark.parametrize("entry", SHOWN, ids=range(len(SHOWN)))
def test_an_entry_is_shown_without_its_secrets(project: Project, entry: str, form: tuple[str, ...]) -> None:
    agents = (project.root / "agents.yaml").read_text()
    project.write(
        "agents.yaml", agents.replace("parsers:\n", f"  keyed:\n    extends: double\n    {entry}\nparsers:\n")
    )
    done = project("agents", "show", "keyed", *form)
    assert done.returncode == 0, done.stderr
    assert [word for word in (SECRET, "ghp_abc", "pa55word") if word in done.stdout] == []
    assert "***" in done.stdout
