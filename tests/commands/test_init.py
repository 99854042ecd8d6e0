"""`runner init`, and README's way from an empty folder to the first run of an agent of one's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, Project

WRITTEN = [
    "agents.yaml",
    "tasks.yaml",
    "prompts/hello.md",
    ".runner/schema/agents.schema.json",
    ".runner/schema/tasks.schema.json",
]
SECTION = re.search(r"^### Add an agent\n(.*?)(?=^##)", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def empty(stock_project: Project, tmp_path: Path) -> Project:
    """A folder with nothing in it, and a home with a git identity."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return Project(folder, stock_project.home)


def reported(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    lines = [line.split(None, 1) for line in done.stdout.splitlines()]
    return {name: word for word, name in lines if word in ("written", "kept")}


def sound(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether `runner validate` printed ok, without warnings."""
    return re.search(r"^ok: \d+ agents, \d+ tasks$", done.stdout, re.MULTILINE) is not None


def test_the_readme_walk_through(empty: Project) -> None:
    assert SECTION
    steps = re.findall(r"^```(bash|yaml)\n(.*?)^```$", SECTION[1], re.MULTILINE | re.DOTALL)
    assert [language for language, _ in steps] == ["bash", "yaml", "bash"]
    script = "".join(
        f"cat >> agents.yaml <<'THE YAML'\n{body}THE YAML\n" if language == "yaml" else body for language, body in steps
    )
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=empty.root,
        env=empty.environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sound(done)
    record = Project(empty.root / "hello", empty.home).record()
    assert (record["agent"], record["task"], record["status"], record["reason"]) == ("mine", "hello", "success", None)
    words = len((empty.root / "hello" / "prompts" / "hello.md").read_text().split())
    assert record["text"] == f"I read {words} words"
    assert record["session_id"] == "s-1"
    assert (record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == (words, 4)


def test_what_it_writes_is_valid_at_once_and_runs(empty: Project) -> None:
    done = empty("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert reported(done) == dict.fromkeys(WRITTEN, "written")
    assert sorted(str(path.relative_to(empty.root)) for path in empty.root.rglob("*") if path.is_file()) == sorted(
        WRITTEN
    )
    assert sound(empty("validate"))
    ran = empty("run", "demo", "hello")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Hello from the offline stand-in" in ran.stdout


def test_the_examples_in_its_comments_are_valid(empty: Project) -> None:
    """Each example of agents.yaml, without its comment signs, is one more file that validates."""
    empty("init")
    examples = re.findall(r"(?:^#   .*\n)+", (empty.root / "agents.yaml").read_text(), re.MULTILINE)
    assert len(examples) == 2
    for example in examples:
        empty.write("agents.yaml", re.sub(r"(?m)^#   ", "", example))
        assert sound(empty("validate"))
    tasks = (empty.root / "tasks.yaml").read_text()
    empty.write("tasks.yaml", re.sub(r"(?m)^    # (?=\w+: )", "    ", tasks))
    done = empty("tasks", "show", "hello", "--json")
    assert done.returncode == 0, done.stderr
    assert all(f'"{key}":' in done.stdout for key in ("requires_commit", "nothing_to_do", "path"))


def test_the_modeline_points_to_a_schema_that_is_there(empty: Project) -> None:
    empty("init")
    for name in ("agents", "tasks"):
        first = (empty.root / f"{name}.yaml").read_text().splitlines()[0]
        schema = empty.root / first.removeprefix("# yaml-language-server: $schema=")
        assert schema.read_text() == empty("schema", name).stdout


def test_it_overwrites_nothing(empty: Project) -> None:
    empty.write("tasks.yaml", "tasks: {}\n")
    (empty.root / "agents.yaml").symlink_to("nowhere")
    first = reported(empty("init"))
    assert first == {**dict.fromkeys(WRITTEN, "written"), "tasks.yaml": "kept", "agents.yaml": "kept"}
    assert (empty.root / "tasks.yaml").read_text() == "tasks: {}\n"
    assert os.readlink(empty.root / "agents.yaml") == "nowhere"
    empty.write("prompts/hello.md", "mine\n")
    before = {path: path.stat().st_mtime_ns for path in empty.root.rglob("*") if path.is_file()}
    assert reported(empty("init")) == dict.fromkeys(WRITTEN, "kept")
    assert {path: path.stat().st_mtime_ns for path in empty.root.rglob("*") if path.is_file()} == before


def test_it_says_that_a_schema_is_of_another_version(empty: Project) -> None:
    empty.write(".runner/schema/tasks.schema.json", "{}\n")
    lines = empty("init").stdout.splitlines()
    noted = [line for line in lines if "delete it and run `runner init` again" in line]
    assert [line.split()[:2] for line in noted] == [["kept", ".runner/schema/tasks.schema.json"]]


def test_it_writes_into_the_project_and_not_the_current_folder(stock_project: Project, tmp_path: Path) -> None:
    below = stock_project.root / "src" / "deep"
    below.mkdir(parents=True)
    assert stock_project("init", cwd=below).returncode == 0
    assert (stock_project.root / "agents.yaml").exists()
    assert not any(below.iterdir())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert stock_project("-C", str(elsewhere), "init").returncode == 0
    assert (elsewhere / "tasks.yaml").exists()
    missing = stock_project("-C", str(tmp_path / "missing"), "init")
    assert (missing.returncode, "is not a folder" in missing.stderr) == (2, True)


def refused(project: Project, prefix: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "runner", "init"],
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_read_only_folder(empty: Project) -> None:
    empty.root.chmod(0o555)
    # root may write everywhere, but for a root without this right
    done = refused(empty, ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else [])
    empty.root.chmod(0o755)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "error: cannot write `agents.yaml`: permission denied\n",
    )


def test_a_full_disk_leaves_no_half_file(empty: Project) -> None:
    """Half a file would be kept by the next try."""
    done = refused(empty, ["prlimit", "--fsize=2000"])
    assert done.returncode == 1
    assert done.stderr == "error: cannot write `.runner/schema/agents.schema.json`: file too large\n"
    assert reported(done) == dict.fromkeys(WRITTEN[:3], "written")
    assert not any((empty.root / ".runner" / "schema").iterdir())
    assert empty("validate").returncode == 0


def test_a_file_in_the_place_of_the_prompts(empty: Project) -> None:
    empty.write("prompts", "notes\n")
    done = empty("init")
    assert (done.returncode, done.stderr) == (1, "error: cannot write `prompts`: file exists\n")
    assert (empty.root / "prompts").read_text() == "notes\n"
