"""The built wheel, in a fresh environment, from an empty git repository."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT, make_project

if TYPE_CHECKING:
    from pathlib import Path

STOCK = ["agents.yaml", "tasks.yaml", "prompts/debug_hello_simple.md", "schema/agents.schema.json"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the environment's programs; builds with what is in uv's cache, from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run = lambda *words: subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT)  # noqa: E731
    run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder))
    (wheel,) = folder.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"runner/stock/{name}" for name in STOCK} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "logs/", "benchmarks/"))]
    run("uv", "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    run("uv", "pip", "install", "--quiet", "--python", str(folder / "venv" / "bin" / "python"), str(wheel))
    return folder / "venv" / "bin"


def test_the_wheel_runs_from_an_empty_repository(installed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path, stock=True)
    done = subprocess.run(
        [installed / "runner", "run", "demo", "debug_smoke_commit"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = project.record()
    assert (record["agent"], record["task"], record["status"], len(record["commits"])) == (
        "demo",
        "debug_smoke_commit",
        "success",
        1,
    )
    assert project.git("status", "--porcelain") == ""


def test_a_package_of_the_same_name_in_the_checkout_is_not_run(installed: Path, tmp_path: Path) -> None:
    """The stand-in is found beside the code, not in the folder it works in."""
    project = make_project(tmp_path, stock=True)
    project.write("runner/__init__.py", "raise SystemExit('the wrong package')\n")
    done = subprocess.run(
        [installed / "runner", "run", "demo", "debug_hello_simple", "--json"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["status"] == "success"


def test_the_wheel_begins_a_project_and_completes_its_names(installed: Path, tmp_path: Path) -> None:
    project = make_project(tmp_path, stock=True)

    def runner(*words: str) -> str:
        return subprocess.run(
            [installed / "runner", *words],
            cwd=project.root,
            env=project.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert runner("init").count("written") == 5
    assert runner("validate").startswith("ok: ")
    for shell in ("bash", "zsh", "fish"):
        assert f"runner completion {shell} -- " in runner("completion", shell)
    assert runner("completion", "zsh", "--", "run", "demo", "hel").startswith("plain\thello\t")
