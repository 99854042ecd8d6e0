"""The hook in the real pre-commit, which installs this checkout as a user's would install a release."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

pytestmark = pytest.mark.real

PRE_COMMIT = ["uv", "tool", "run", "pre-commit@4.7.0"]
# As it was before a test took the home away: where uv keeps its programs.
ENVIRONMENT = dict(os.environ)


def pre_commit(folder: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PRE_COMMIT, *words],
        cwd=folder,
        env={**ENVIRONMENT, "PRE_COMMIT_HOME": str(home), "PRE_COMMIT_COLOR": "never"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_manifest_is_valid(tmp_path: Path) -> None:
    done = pre_commit(ROOT, tmp_path, "validate-manifest", ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def test_it_stops_a_commit_of_a_wrong_file(project: Project, tmp_path: Path) -> None:
    project.write("agents.yaml", "agents:\n  mine: {binary: x, args: [], parser: text}\n")
    project.git("add", "agents.yaml")
    done = pre_commit(project.root, tmp_path / "cache", "try-repo", str(ROOT), "runner-validate", "--verbose")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "exit code: 3" in done.stdout
    assert "agents.yaml:2:21: agents.mine.args: unknown key (did you mean 'argv'?)" in done.stdout
