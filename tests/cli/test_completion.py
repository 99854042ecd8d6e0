"""Completion: what may stand for the argument being typed, and the scripts of the shells, in the real shells."""

from __future__ import annotations

import os
import pty
import re
import resource
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.cli.complete import args_of_bash, complete
from runner.commands.schema import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.helpers import Project

AGENTS = ["double", "jsonl"]
TASKS = ["committed_for", "free", "must_commit"]
PROGRAMS = Path(sys.executable).parent


def values(*args: str) -> list[str]:
    return [item.value for item in complete(args)]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["ru"], ["run", "runs"]),
        (["notify", ""], ["flush", "history", "list", "test"]),
        (["run", ""], AGENTS),
        (["run", "j"], ["jsonl"]),
        (["run", "double,"], ["double,jsonl"]),
        (["run", "--agent", "jsonl,d"], ["jsonl,double"]),
        (["run", "double", ""], TASKS),
        (["run", "double", "free", ""], []),
        (["run", "--model", "m", "double", "f"], ["free"]),
        (["run", "--agent", ""], AGENTS),
        (["run", "--agent", "double", ""], TASKS),
        (["run", "--agent=d"], ["--agent=double"]),
        (["run", "--task", "m"], ["must_commit"]),
        (["run", "--task", "free", ""], AGENTS),
        (["run", "--task", "free", "double", ""], []),
        (["run", "double", "--dry"], ["--dry-run"]),
        (["--agent", ""], AGENTS),
        (["--agent=d"], ["--agent=double"]),
        (["--agent", "double", "--task", "f"], ["free"]),
        (["agents", ""], ["clear", "show"]),
        (["agents", "show", ""], AGENTS),
        (["agents", "clear", ""], AGENTS),
        (["tasks", "show", ""], TASKS),
        (["parse", "d"], ["double"]),
        (["parse", "double", "--parser", ""], ["result", "text"]),
        (["validate", "--format", ""], ["text", "json", "github", "junit"]),
        (["validate", "--format", "j"], ["json", "junit"]),
        (["validate", "--format=g"], ["--format=github"]),
        (["schema", ""], list(NAMES)),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["nonsense", ""], []),
        (["-C", "/nowhere/at/all", "run", ""], []),
    ],
    ids=" ".join,
)
def test_arguments(project: Project, monkeypatch: pytest.MonkeyPatch, args: list[str], expected: list[str]) -> None:
    monkeypatch.chdir(project.root)
    assert values(*args) == expected


@pytest.mark.parametrize(
    ("args", "kind"),
    [
        (["parse", "double", ""], "file"),
        (["-C", ""], "dir"),
        (["run", "--repo", "x"], "dir"),
        (["validate", ""], "file"),
    ],
    ids=["output", "project", "repo", "paths"],
)
def test_what_the_shell_completes(
    project: Project, monkeypatch: pytest.MonkeyPatch, args: list[str], kind: str
) -> None:
    monkeypatch.chdir(project.root)
    assert [item.kind for item in complete(args)] == [kind]


def test_the_project_that_is_named(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "demo" in values("run", "")
    assert values("-C", str(project.root), "run", "") == AGENTS
    monkeypatch.setenv("HOME", str(tmp_path))
    assert values("-C", "~/project", "run", "") == AGENTS
    monkeypatch.setenv("RUNNER_PROJECT", str(project.root))
    assert values("run", "") == AGENTS


@pytest.mark.parametrize(
    ("typed", "args"),
    [
        (["validate", "--format", "=", "js"], ["validate", "--format=js"]),
        (["validate", "--format", "="], ["validate", "--format="]),
        (["validate", "--format", "=", "json", ""], ["validate", "--format=json", ""]),
        (["-C", "'my folder'", "run", ""], ["-C", "my folder", "run", ""]),
        (["run", "--var", "a", "=", "b", ""], ["run", "--var", "a", "=", "b", ""]),
        (["run", "--prompt", "'not yet"], ["run", "--prompt", "'not yet"]),
    ],
    ids=" ".join,
)
def test_arguments_as_bash_hands_them_over(typed: list[str], args: list[str]) -> None:
    assert args_of_bash(typed) == args


@pytest.mark.parametrize(
    "yaml",
    [b"agents: [\n", b"agents: {d: {nonsense: 1}}\n", b"\xff\xfe\x00", b"- 1\n"],
    ids=["open", "key", "bytes", "list"],
)
def test_a_broken_file_completes_nothing_and_prints_nothing(project: Project, yaml: bytes) -> None:
    (project.root / "agents.yaml").write_bytes(yaml)
    done = project("completion", "bash", "--", "run", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_description_acts_on_no_terminal(project: Project) -> None:
    text = r'"\e]0;title\a two\nlines\tand a tab ' + "long " * 40 + '"'
    project.write(
        "agents.yaml", f"stock: false\nagents:\n  d: {{binary: d, argv: [], parser: text, description: {text}}}\n"
    )
    (line,) = project("completion", "fish", "--", "run", "").stdout.splitlines()
    assert re.fullmatch(r"plain\td\ttwo lines and a tab (long )+.*…", line)
    assert len(line) < 90


def test_it_is_quick(project: Project) -> None:
    """Below 0.3 seconds of the processor, which does not depend on what else the machine is doing."""
    project("agents")
    unmeasured = {name: value for name, value in environment(project).items() if not name.startswith("COVERAGE_")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = [str(PROGRAMS / "runner"), "completion", "bash", "--", "run", ""]
    done = subprocess.run(asked, cwd=project.root, env=unmeasured, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.count("\n") == len(AGENTS)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


BASH = """
source <(runner completion bash)
complete -p runner
try() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _runner runner "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[@]}"
}
"""


def shell(project: Project, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=project.root,
        env=environment(project),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(project: Project) -> dict[str, str]:
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return project.environment(PATH=path, TERM="dumb", PS1="$ ", XDG_CONFIG_HOME=str(project.home))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("run ''", "double jsonl"),
        ("run double mu", "must_commit"),
        ("run --agent d", "double"),
        ("validate --format = j", "json junit"),
        ("validate --format =", "text json github junit"),
        ("agents show ''", "double jsonl"),
        ("''", "agents budgets completion"),
        ("run nonsense ''", "committed_for free must_commit"),
    ],
)
def test_bash(project: Project, line: str, expected: str) -> None:
    done = shell(project, "bash", "--norc", "-c", f"{BASH}try runner {line}")
    assert (done.returncode, done.stderr) == (0, "")
    registered, found = done.stdout.splitlines()
    assert registered == "complete -F _runner runner"
    assert found.startswith(expected)


def test_bash_prints_nothing_for_a_broken_file(project: Project) -> None:
    project.write("agents.yaml", "agents: [\n")
    done = shell(project, "bash", "--norc", "-c", f"{BASH}try runner run ''")
    assert (done.returncode, done.stdout, done.stderr) == (0, "complete -F _runner runner\n\n", "")


class Typist:
    """Types into a shell on a terminal of its own."""

    def __init__(self, project: Project, *argv: str) -> None:
        self.seen = b""
        self.terminal, its_own = pty.openpty()
        self.shell = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            cwd=project.root,
            env=environment(project),
            stdin=its_own,
            stdout=its_own,
            stderr=its_own,
        )
        os.close(its_own)

    def types(self, keys: str, expected: str) -> None:
        """Waits until `expected` is on the screen, after what was there before."""
        os.write(self.terminal, keys.encode())
        deadline = time.monotonic() + 30
        while expected.encode() not in self.seen:
            readable, _, _ = select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"{expected!r} did not come after {keys!r}: {self.seen!r}"
            self.seen += os.read(self.terminal, 65536)
        self.seen = self.seen.partition(expected.encode())[2]

    def leaves(self) -> None:
        os.close(self.terminal)
        self.shell.kill()
        self.shell.wait()


# What to type, and what the line is then; a Control-U begins a new one.
TYPED = [
    ("runner run dou\t", "ble "),
    ("mu\t", "st_commit "),
    ("--dry\t", "-run "),
    ("\x15runner validate --format=git\t", "hub "),
    ("\x15runner -C 'below' tasks show fr\t", "ee "),
    ("\x15runner -C bel\t", "ow/"),
    ("\x15runner parse double READ\t", "ME"),
]


@pytest.fixture
def nested(project: Project) -> Project:
    """With a second project below the first."""
    shutil.copytree(project.root / "prompts", project.root / "below" / "prompts")
    for name in ("agents.yaml", "tasks.yaml"):
        shutil.copy(project.root / name, project.root / "below" / name)
    return project


@pytest.fixture
def typist(nested: Project, request: pytest.FixtureRequest) -> Iterator[Typist]:
    typing = Typist(nested, *request.param)
    yield typing
    typing.leaves()


@pytest.mark.parametrize("typist", [("bash", "--norc", "--noprofile", "-i")], indirect=True, ids=["bash"])
def test_typing_in_bash(typist: Typist) -> None:
    typist.types('source <(runner completion bash); echo re""ady\n', "ready")
    for keys, completed in TYPED:
        typist.types(keys, completed)


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program} on this machine")


@needs("zsh")
@pytest.mark.parametrize("typist", [("zsh", "-f", "-i")], indirect=True, ids=["zsh"])
def test_typing_in_zsh(typist: Typist) -> None:
    typist.types('autoload -Uz compinit; compinit -u -D; eval "$(runner completion zsh)"; echo re""ady\n', "ready")
    for keys, completed in TYPED:
        typist.types(keys, completed)


@needs("zsh")
def test_zsh_from_a_file_of_its_path(project: Project) -> None:
    """The same script as a file that compinit finds."""
    (project.home / "_runner").write_text(project("completion", "zsh").stdout)
    script = f"fpath=({project.home} $fpath); autoload -Uz compinit; compinit -u -D; print -r -- $_comps[runner]"
    done = shell(project, "zsh", "-f", "-c", script)
    assert (done.stdout, done.stderr) == ("_runner\n", "")


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("runner run ", ["double\ta double that misbehaves", "jsonl\ta double that misbehaves"]),
        ("runner run double mu", ["must_commit\ta commit is asked for"]),
        ("runner --agent d", ["double\ta double that misbehaves"]),
        ("runner validate --format=j", ["--format=json", "--format=junit"]),
        ("runner -C 'below' tasks show fr", ["free\tnothing is asked for"]),
        ("runner parse double READ", ["README"]),
        ("runner -C bel", ["below/\tDirectory"]),
        ("runner ru", ["run\tRun one agent on one task, and record what...", "runs\tList runs, the newest first."]),
    ],
)
def test_fish(nested: Project, line: str, expected: Sequence[str]) -> None:
    done = shell(nested, "fish", "--no-config", "-c", f'runner completion fish | source; complete -C "{line}"')
    assert done.stdout.splitlines() == expected, done.stderr
