"""A throw-away project with its git checkout, its own home, and the real command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
DOUBLE = ROOT / "tests" / "doubles" / "agent.py"
CRONTAB = ROOT / "tests" / "doubles" / "crontab.py"
DATA = ROOT / "tests" / "data"

AGENTS = """\
stock: false
agents:
  double:
    description: a double that misbehaves
    binary: "{{ python }}"
    argv: [DOUBLE, "{{ vars.mode }}", {when: argument, args: ["{{ argument }}"]}]
    options: {argument: {default: null}}
    stdin: "{{ prompt }}"
    parser: text
  jsonl:
    extends: double
    parser: result
parsers:
  result:
    format: jsonl
    success: {when: {type: result, is_error: false}}
    failure: {when: {type: result, is_error: true}}
    fields:
      text: {when: {type: result}, at: result, take: last}
      session_id: {at: session_id, take: first}
"""

TASKS = """\
stock: false
tasks:
  free: {description: nothing is asked for, prompt: prompts/free.md, vars: {mode: hello}}
  must_commit:
    description: a commit is asked for
    prompt: prompts/free.md
    requires_commit: true
    nothing_to_do: "(?m)^NOTHING TO DO: "
    vars: {mode: hello}
  committed_for:
    description: the runner commits
    prompt: prompts/free.md
    requires_commit: true
    auto_commit: true
    vars: {mode: dirty}
"""


@dataclass
class Project:
    """A project folder, which is its own checkout, and a home beside it."""

    root: Path
    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def environment(self, **more: str) -> dict[str, str]:
        base = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC"}
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        return {**base, **measured, **self.env, **more}

    def start(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """The real command, in the project's folder; `door` is what it is started by, `before` goes before that."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        door = options.pop("door", ("-m", "runner"))
        return subprocess.Popen(
            [*options.pop("before", ()), sys.executable, *door, *words],
            cwd=options.pop("cwd", self.root),
            env=self.environment(**(env or {})),
            text=True,
            **options,
        )

    def __call__(self, *words: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.root, env=self.environment(), check=True, capture_output=True, text=True
        ).stdout.strip()

    def folders(self) -> list[Path]:
        """The run folders, oldest first."""
        return sorted((path.parent for path in self.root.glob("logs/*/*/*/metadata.json")), key=lambda path: path.name)

    def record(self) -> dict[str, Any]:
        """The newest run's metadata.json."""
        return json.loads((self.folders()[-1] / "metadata.json").read_text())

    def feed(self) -> list[dict[str, Any]]:
        """The lines of runs.jsonl."""
        path = self.root / "logs" / "runs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines() if line] if path.exists() else []

    def processes(self) -> list[int]:
        """Living processes of this project's runs, by a marker that no other test has."""
        return processes_with(f"RUNNER_RUN_DIR={self.root}/logs")


def processes_with(marker: str) -> list[int]:
    """Living processes whose environment holds `marker`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (path / "environ").read_bytes() and ") Z " not in (path / "stat").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def wait_until(condition: Callable[[], object], limit: float = 20) -> None:
    """Until it holds; an error after `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def children_of(pid: int) -> list[int]:
    """The living children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def state(pid: int) -> str:
    """`T` for stopped; `t` while it is traced."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def sandboxes() -> str:
    """A `sandboxes:` section for a clone below /tmp, which the stock profile hides: it lets the clone's programs in."""
    if not str(ROOT).startswith("/tmp/"):
        return ""
    argv = yaml.safe_load((ROOT / "agents.yaml").read_text())["sandboxes"]["bubblewrap"]["argv"]
    at = argv.index({"when": "home", "args": ["--ro-bind-try", "{{ home }}", "{{ home }}"]})
    seen = json.dumps([*argv[:at], "--ro-bind", str(ROOT), str(ROOT), *argv[at:]])
    return f"sandboxes: {{bubblewrap: {{argv: {seen}, install: apt install bubblewrap}}}}\n"


_NAMED = ("rate_limit", "usage_limit", "auth", "billing", "server", "network", "overloaded", "refusal")
_RULE = '      - {{in: {{when: {{type: result}}, at: result}}, match: "{}", class: {}}}\n'
SCRIPTED = """\
stock: false
parsers:
  scripted:
    format: jsonl
    success: {when: {type: result, is_error: false}}
    failure: {when: {type: result, is_error: true}}
    fields:
      text: {when: {type: result}, at: result, take: last}
    errors:
""" + "".join(
    (
        _RULE.format("usage limit until (?P<epoch>[0-9]+)", "usage_limit"),
        _RULE.format("slow down for (?P<ms>[0-9]+) ms", "rate_limit"),
        *(_RULE.format(f"^{name}$", name) for name in _NAMED),
    )
)
_SCRIPT = """\
  {}:
    binary: /bin/sh
    argv: [-c, {}]
    parser: scripted
"""


def failing(words: str) -> str:
    """The shell script of an agent that reports an error; a class's name is that class."""
    return "echo '" + json.dumps({"type": "result", "is_error": True, "result": words}) + "'; exit 1"


def answering(words: str) -> str:
    """The shell script of an agent that goes well."""
    return "echo '" + json.dumps({"type": "result", "is_error": False, "result": words}) + "'"


def script(project: Project, **scripts: str) -> Project:
    """The project with an agent for each shell script, each of which notes its start in a file of its name."""
    entries = [
        _SCRIPT.format(name, json.dumps(f"echo >> {project.home}/{name}; {text}")) for name, text in scripts.items()
    ]
    project.write("agents.yaml", SCRIPTED + "agents:\n" + "".join(entries))
    return project


def starts(project: Project, agent: str) -> int:
    """How often an agent's process was started."""
    path = project.home / agent
    return len(path.read_text().splitlines()) if path.exists() else 0


def kill_both(process: subprocess.Popen[str]) -> None:
    """`kill -9` of a runner and of its guardian, so that neither can close the run."""
    process.send_signal(signal.SIGSTOP)
    guardians = children_of(process.pid)
    for pid in guardians:
        os.kill(pid, signal.SIGKILL)
    process.kill()
    process.communicate()
    wait_until(lambda: all(state(pid) in ("", "Z", "X") for pid in guardians))


def notifying(project: Project, url: str) -> Project:
    """The project with the topic `runs` on a server."""
    topic = "notify:\n  ntfy: {url: '" + url + "', topic: runs}\n"
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + topic)
    return project


def with_crontab(project: Project) -> Path:
    """A `crontab` program first on the project's PATH; returns the file that holds its table."""
    folder = project.home.parent / "crontab"
    folder.mkdir()
    (folder / "crontab").write_text(f'#!/bin/sh\nexec {sys.executable} {CRONTAB} "$@"\n')
    (folder / "crontab").chmod(0o755)
    path = project.env.get("PATH", os.environ["PATH"])
    project.env.update(PATH=f"{folder}{os.pathsep}{path}", CRONTAB_DOUBLE=str(folder / "table"))
    return folder / "table"


def make_project(folder: Path, *, stock: bool = False) -> Project:
    """A checkout with one commit; with the doubles of this folder for agents unless `stock`."""
    project = Project(folder / "project", folder / "home")
    project.root.mkdir(parents=True)
    project.home.mkdir()
    (project.home / ".gitconfig").write_text(
        "[user]\n  name = Tester\n  email = tester@example.invalid\n[init]\n  defaultBranch = main\n"
    )
    project.git("init", "-q")
    if not stock:
        project.write("agents.yaml", AGENTS.replace("DOUBLE", str(DOUBLE)))
        project.write("tasks.yaml", TASKS)
        project.write("prompts/free.md", "Do what the double does.\n")
    project.write("README", "a project\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "first")
    return project
