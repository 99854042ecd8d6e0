"""The pre-commit hook and the workflow of docs/operations.md: what they would run is run here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner import __version__
from tests.helpers import ROOT

if TYPE_CHECKING:
    from tests.helpers import Project

(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
PAGE = (ROOT / "docs" / "operations.md").read_text()


def from_page(path: str) -> dict[Any, Any]:
    """The example that says which file it is."""
    found = re.search(rf"^```yml\n# {re.escape(path)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, path
    example: dict[Any, Any] = yaml.safe_load(found[1])
    return example


def run_as_written(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    """With the program of this environment."""
    program, *args = shlex.split(command)
    return subprocess.run(
        [Path(sys.executable).with_name(program), *args],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("path", "looked_at"),
    [
        ("agents.yaml", True),
        ("tasks.yaml", True),
        ("sub/project/agents.yaml", True),
        ("prompts/hello.md", True),
        ("prompts/parts/rules.txt", True),
        ("my-agents.yaml", False),
        ("agents.yaml.orig", False),
        ("docs/prompts.md", False),
    ],
)
def test_which_files_call_the_hook(path: str, looked_at: bool) -> None:
    assert (re.search(HOOK["files"], path) is not None) == looked_at


def test_the_hook_refuses_what_is_wrong(project: Project) -> None:
    assert not HOOK["pass_filenames"]
    assert run_as_written(project, HOOK["entry"]).returncode == 0
    project.write("agents.yaml", "agents:\n  mine: {binary: x, args: [], parser: text}\n")
    done = run_as_written(project, HOOK["entry"])
    assert done.returncode == 3
    assert "agents.yaml:2:21: agents.mine.args: unknown key (did you mean 'argv'?)" in done.stdout


def test_the_example_names_the_hook() -> None:
    (repository,) = from_page(".pre-commit-config.yaml")["repos"]
    assert repository["hooks"] == [{"id": HOOK["id"]}]
    assert repository["rev"] == f"v{__version__}"


def test_the_workflow_marks_the_line(project: Project) -> None:
    workflow = from_page(".github/workflows/runner.yml")
    checkout, validate = workflow["jobs"]["validate"]["steps"]
    assert checkout["uses"].startswith("actions/checkout@")
    install, _, command = validate["run"].partition(" runner ")
    assert install == "pipx run --spec git+https://github.com/OWNER/runner"
    project.write("agents.yaml", "agents:\n  mine: {binary: x, args: [], parser: text}\n")
    done = run_as_written(project, f"runner {command}")
    assert done.returncode == 3
    assert "::error file=agents.yaml,line=2,col=21,title=agents.mine.args::unknown key" in done.stdout
    # PyYAML reads the key `on` as true.
    assert {"agents.yaml", "tasks.yaml", "prompts/**"} == set(workflow[True]["pull_request"]["paths"])
