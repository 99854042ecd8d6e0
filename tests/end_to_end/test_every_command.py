"""What holds for every command: its help has examples that run, and its JSON fits a schema."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from runner.cli.reader import COMMANDS as TABLE
from runner.commands.schema import NAMES
from tests.docs.test_words import ROWS
from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT, make_project, wait_until, with_crontab
from tests.history.test_history import LOOKING, check

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.helpers import Project

MORE = """\
agents:
  slow: {binary: /bin/sh, argv: [-c, "echo started; exec sleep 60"], parser: text}
  broke: {binary: /bin/sh, argv: [-c, "echo 401; exit 1"], parser: plain}
  choosy: {binary: /bin/true, argv: ["{{ model }}"], parser: text, model: {required: true}}
parsers:
  plain: {format: text, errors: [{in: stdout, match: "401", class: auth}]}
"""
SCHEDULED = """\
tasks:
  nightly: {extends: debug_hello_simple, schedule: {cron: "0 3 * * *", agents: [demo]}}
"""
UNKNOWN = ROOT / "tests" / "doubles" / "unknown.py"
NOWHERE = "http://127.0.0.1:9"


COMMANDS = {command.name: command for command in TABLE if not command.hidden}
PAGES = {command: f"docs/{page}" for command, page in ROWS} | {
    "cron": "docs/schedules.md",
    "notify": "docs/messages.md",
}
# Those of the commands that look at runs: tests/history/test_history.py. Those of `completion` are a shell's.
EXAMPLES = dict.fromkeys(
    part
    for name, command in COMMANDS.items()
    if name not in LOOKING
    for example in command.examples
    for part in re.findall(r"runner [^|)]+", example)
)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples_options_and_a_page(project: Project, name: str) -> None:
    command = COMMANDS[name]
    assert command.examples
    assert command.page == PAGES[name], "the page of the table in docs/README.md"
    shown = project(*name.split(), "--help").stdout
    for example in command.examples:
        assert f"    {example}\n" in shown
    for option in command.options:
        assert f"  {option.flag} " in shown
    assert shown.endswith(f"\n  See {command.page}.\n")


class Page(BaseHTTPRequestHandler):
    """What a task fetches that is given an address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A stock project that has runs, a recorded output, more agents, a schedule, a crontab, a topic, and a page."""
    project = make_project(tmp_path_factory.mktemp("used"), stock=True)
    project.write("agents.yaml", MORE)
    project.write("tasks.yaml", SCHEDULED)
    with_crontab(project)
    page = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=page.serve_forever).start()
    with Ntfy(token="tk_test") as server:
        project.env |= {"RUNNER_NTFY_URL": server.url, "RUNNER_NTFY_TOPIC": "runs", "RUNNER_NTFY_TOKEN": "tk_test"}
        assert project("run", "demo", "debug_hello_simple").returncode == 0
        assert project("run", "broke", "debug_hello_simple").returncode == 1
        shutil.copy(project.folders()[0] / "stdout.log", project.root)
        project.write("stderr.log", "")
        project.write("page", f"http://127.0.0.1:{page.server_port}/")
        with_recordings(project)
        yield project
    page.shutdown()
    page.server_close()


def with_recordings(project: Project) -> None:
    """A recording of `demo`, and two CLIs that `runner learn` does not know, with one's settings."""
    project.write("recordings/demo/hello/stdout", (project.root / "stdout.log").read_text())
    project.write("recordings/demo/hello/exit.json", '{"code": 0}')
    assert project("parse", "--check", "demo", "--update").returncode == 0
    project.write("out.jsonl", (project.root / "stdout.log").read_text())
    project.write("models.json", '{"baseUrl": "{{ server }}"}')
    finds = {"mycli": "${OPENAI_BASE_URL%/v1}", "pi": "$(sed 's/.*: \"//; s/\".*//' $HOME/.pi/agent/models.json)"}
    for name, url in finds.items():
        script = f'#!/bin/sh\nUNKNOWN_URL="{url}" exec {sys.executable} {UNKNOWN} "$@"\n'
        project.write(f"bin/{name}", script).chmod(0o755)
    project.env["PATH"] = f"{project.root / 'bin'}{os.pathsep}{project.env.get('PATH', os.environ['PATH'])}"


def live(project: Project) -> tuple[subprocess.Popen[str], str]:
    """A run that goes on, and its id."""
    known = set(project.root.glob("logs/*/slow/*/stdout.log"))
    process = project.start("run", "slow", "debug_hello_simple")
    wait_until(lambda: any(path.stat().st_size for path in {*project.root.glob("logs/*/slow/*/stdout.log")} - known))
    return process, project.folders()[-1].name


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(used: Project, example: str) -> None:
    process = None
    if "runner stop" in example:
        process, run_id = live(used)
        example = re.sub(r"\d{8}_\d{6}", run_id, example)
    example = example.replace("http://127.0.0.1:8000/", (used.root / "page").read_text())
    done = used(*shlex.split(example)[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    if process is not None:
        process.communicate(timeout=30)


LIMITED = "settings: {budgets: [{per: day, cost: 5}]}\n"
JSON = [
    ("run", "run demo debug_hello_simple --json", 0),
    ("run", "run choosy debug_hello_simple --json", 12),
    ("dry-run", "run demo debug_hello_simple --dry-run --json", 0),
    ("dry-run", "run choosy debug_hello_simple --dry-run --json", 12),
    ("parse", "parse demo stdout.log --exit-code 0 --json", 0),
    ("parse", "parse demo stderr.log --exit-code 1 --json", 0),
    ("agent-list", "agents --json", 0),
    ("entry", "agents show demo --json", 0),
    ("entry", "agents show broke --json", 0),
    ("task-list", "tasks --json", 0),
    ("entry", "tasks show debug_hello_simple --json", 0),
    ("budgets", "budgets --json", 0),
    ("prices", "prices small --json", 0),
    ("validate", "validate --format json", 0),
    ("validate", "validate wrong --format json", 3),
    ("doctor", "doctor demo --json", 0),
    ("ps", "ps --json", 0),
    ("messages", "notify list --json", 0),
    ("held", "notify history --json", 0),
    ("runs", "runs --limit 1 --json", 0),
    ("show", "show last --json", 0),
    ("stats", "stats --json", 0),
    ("triage", "triage --json", 1),
    ("prune", "prune --dry-run --json", 0),
    ("cron", "cron show --json", 0),
    ("cron", "cron show --systemd --json", 0),
    ("cron-next", "cron next --json", 0),
]


@pytest.mark.parametrize(("schema", "command", "code"), JSON, ids=[command for _, command, _ in JSON])
def test_json_fits_its_schema(used: Project, schema: str, command: str, code: int) -> None:
    """No list is empty: a message waits, a folder is wrong, and for `ps` a run lives."""
    assert used("run", "demo", "debug_hello_simple", env={"RUNNER_NTFY_URL": NOWHERE}).returncode == 0
    used.write("wrong/agents.yaml", "agents:\n  mine: {binray: x}\n")
    tasks = (used.root / "tasks.yaml").read_text()
    if schema == "budgets":
        used.write("tasks.yaml", f"{tasks}{LIMITED}")
    process, run_id = live(used) if schema == "ps" else (None, "")
    done = used(*command.split())
    used.write("tasks.yaml", tasks)
    if process is not None:
        used("stop", run_id, "--now")
        process.communicate(timeout=30)
    assert done.returncode == code, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found
    check(schema, found)


def test_no_json_is_without_a_schema() -> None:
    printing = {
        name
        for name, command in COMMANDS.items()
        for option in command.options
        if option.flag == "--json" or (option.choices and "json" in option.choices)
    }
    assert {name for name in printing if not any(command.startswith(f"{name} ") for _, command, _ in JSON)} == set()
    assert {schema for schema, _, _ in JSON} == {*NAMES} - {"agents", "tasks", "metadata"}
