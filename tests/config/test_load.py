"""Finding, reading and caching the configuration, and what is checked before a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config import (
    Config,
    check_pair,
    find_project,
    load,
    read_prompt,
    state_home,
    stock_dir,
)
from runner.config.display import show_file
from runner.config.load import cache_path
from runner.config.project import Project, UnreadableError, project_at, read_file
from runner.errors import ConfigError, UsageError
from tests.helpers import ROOT

AGENTS = """\
stock: false
agents:
  mine: {binary: mycli, argv: [], stdin: "{{ prompt }}", parser: text, options: {effort: low}}
  bad: {binary: mycli, argv: ["{{ modl }}"], stdin: "{{ prompt }}", parser: text}
"""
TASKS = """\
stock: false
tasks:
  good: {prompt: prompts/good.md}
  bad: {prompt: prompts/bad.md}
  effort: {prompt: prompts/effort.md}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "prompts").mkdir(parents=True)
    (root / "agents.yaml").write_text(AGENTS)
    (root / "tasks.yaml").write_text(TASKS)
    (root / "prompts" / "good.md").write_text("Work in {{ repo }}.\n")
    (root / "prompts" / "bad.md").write_text("Work on {{ branch }}.\n")
    (root / "prompts" / "effort.md").write_text("With {{ effort }}.\n")
    monkeypatch.chdir(root)
    return root


def loaded(folder: Path, state: Path | None = None) -> Config:
    return load(project_at(str(folder)), str(state) if state else None)


def test_the_nearest_folder_with_agents_yaml(folder: Path) -> None:
    (folder / "src" / "deep").mkdir(parents=True)

    found = find_project(str(folder / "src" / "deep"), None)

    assert found == Project(str(folder), str(folder / "agents.yaml"), str(folder / "tasks.yaml"), is_stock=False)


def test_else_the_git_top_level(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "src").mkdir()

    assert find_project(str(tmp_path / "src"), None) == Project(str(tmp_path), None, None, is_stock=False)


def test_else_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_project(str(tmp_path), None).root == str(tmp_path)


def test_a_project_by_name(folder: Path, tmp_path: Path) -> None:
    assert find_project(str(tmp_path), "project").root == str(folder)
    with pytest.raises(UsageError, match="the project `nowhere` is not a folder"):
        find_project(str(tmp_path), "nowhere")


def test_the_repository_is_the_stock_set() -> None:
    assert stock_dir() == str(ROOT)
    assert find_project(str(ROOT / "runner"), None).is_stock


def test_a_dangling_agents_yaml_is_there(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").symlink_to("nowhere")
    found = find_project(str(tmp_path), None)

    assert found.root == str(tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(found, None)
    assert [problem.message for problem in caught.value.problems] == ["cannot be read: no such file"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/runner"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/runner"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/runner"),
        ({}, None),
    ],
)
def test_state_home(environ: dict[str, str], expected: str | None) -> None:
    assert state_home(environ) == expected


def test_unknown_names(folder: Path) -> None:
    config = loaded(folder)

    with pytest.raises(UsageError, match="unknown agent `mien`") as caught:
        config.agent("mien")
    assert caught.value.hint == "did you mean 'mine'? `runner agents` lists them"
    with pytest.raises(UsageError, match="unknown task `gud`"):
        config.task("gud")
    with pytest.raises(UsageError, match="unknown parser `txt`"):
        config.parser("txt")


def test_the_digest_covers_bytes_and_paths(folder: Path) -> None:
    first = loaded(folder).digest
    with (folder / "tasks.yaml").open("a") as file:
        file.write("# nothing but a comment\n")
    second = loaded(folder).digest
    moved = folder.rename(folder.parent / "moved")

    assert len(first) == 16
    assert len({first, second, loaded(moved).digest}) == 3


def test_a_warm_start_gives_the_same(folder: Path, tmp_path: Path) -> None:
    cold, warm = loaded(folder, tmp_path / "state"), loaded(folder, tmp_path / "state")

    assert (warm.agents, warm.tasks, warm.parsers) == (cold.agents, cold.tasks, cold.parsers)
    assert (warm.settings, warm.notify, warm.digest) == (cold.settings, cold.notify, cold.digest)
    assert warm.locate("agents", "bad", "argv", 0) == ("agents.yaml", 4, 31)


def test_a_change_is_seen(folder: Path, tmp_path: Path) -> None:
    loaded(folder, tmp_path / "state")
    (folder / "agents.yaml").write_text(AGENTS.replace("mycli", "other"))

    assert loaded(folder, tmp_path / "state").agents["mine"]["binary"] == "other"


def test_a_broken_configuration_is_not_cached(folder: Path, tmp_path: Path) -> None:
    (folder / "agents.yaml").write_text("agent: {}\n")

    for _ in range(2):
        with pytest.raises(ConfigError):
            loaded(folder, tmp_path / "state")
    assert not (tmp_path / "state").exists()


def cached(folder: Path, tmp_path: Path) -> Path:
    loaded(folder, tmp_path / "state")
    path = Path(cache_path(str(tmp_path / "state"), str(folder)))
    assert path.stat().st_mode & 0o777 == 0o600
    return path


def poisoned(path: Path) -> bytes:
    """A cache with another binary, otherwise as it was."""
    return path.read_bytes().replace(b'"mycli"', b'"poison"')


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 100_000], ids=repr)
def test_a_bad_cache_is_a_miss(folder: Path, tmp_path: Path, data: bytes) -> None:
    cached(folder, tmp_path).write_bytes(data)

    assert loaded(folder, tmp_path / "state").agents["mine"]["binary"] == "mycli"


def test_the_cache_is_believed_when_it_is_sound(folder: Path, tmp_path: Path) -> None:
    path = cached(folder, tmp_path)
    path.write_bytes(poisoned(path))

    assert loaded(folder, tmp_path / "state").agents["mine"]["binary"] == "poison"


@pytest.mark.parametrize("change", ["mode", "link", "fifo", "folder", "digest", "version"])
def test_a_cache_that_others_could_have_written_is_a_miss(folder: Path, tmp_path: Path, change: str) -> None:
    path = cached(folder, tmp_path)
    data = poisoned(path)
    if change in ("digest", "version"):
        stored = json.loads(data)
        stored["digest" if change == "digest" else "versions"] = "another"
        path.write_text(json.dumps(stored))
    elif change == "mode":
        path.write_bytes(data)
        path.chmod(0o640)
    else:
        path.unlink()
        if change == "fifo":
            os.mkfifo(path, 0o600)
        elif change == "folder":
            path.mkdir(0o700)
        else:
            (tmp_path / "real").write_bytes(data)
            (tmp_path / "real").chmod(0o600)
            path.symlink_to(tmp_path / "real")

    assert loaded(folder, tmp_path / "state").agents["mine"]["binary"] == "mycli"


def test_a_state_home_that_cannot_be_written_is_no_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    assert loaded(folder, tmp_path / "state").agents["mine"]["binary"] == "mycli"


def test_a_warm_start_imports_nothing_heavy(folder: Path, tmp_path: Path) -> None:
    code = f"""
import sys
from runner.config import check_pair, find_project, load
config = load(find_project({str(folder)!r}, None), {str(tmp_path / "state")!r})
check_pair(config, "mine", "good")
heavy = {{"yaml", "jinja2", "jsonschema", "click", "requests", "cronsim", "pathlib", "logging", "hashlib", "zoneinfo"}}
print(sorted(heavy & set(sys.modules)))
"""
    loaded(folder, tmp_path / "state")

    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_check_pair(folder: Path) -> None:
    config = loaded(folder)

    check_pair(config, "mine", "good")
    check_pair(config, "mine", "effort")
    check_pair(config, "mine", None)


@pytest.mark.parametrize(
    ("agent", "task", "expected"),
    [
        ("bad", None, ["agents.yaml:4:35: agents.bad.argv[0]: unknown variable `modl` (did you mean 'model'?)"]),
        (
            "mine",
            "bad",
            [
                (
                    "prompts/bad.md:1:12: unknown variable `branch` "
                    "(known here: agent, effort, model, output_schema, output_schema_file, project, python, repo, run_dir, run_id, task, vars)"
                )
            ],
        ),
    ],
)
def test_check_pair_refuses(folder: Path, agent: str, task: str | None, expected: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        check_pair(loaded(folder), agent, task)

    assert [str(problem) for problem in caught.value.problems] == expected


def test_an_option_of_another_agent_is_unknown(folder: Path) -> None:
    (folder / "agents.yaml").write_text(AGENTS.replace("modl", "model"))

    with pytest.raises(ConfigError, match="1 problem"):
        check_pair(loaded(folder), "bad", "effort")


@pytest.mark.parametrize("kind", ["missing", "outside", "fifo", "folder", "latin1"])
def test_prompts_that_are_not_read(folder: Path, tmp_path: Path, kind: str) -> None:
    path = folder / "prompts" / "good.md"
    path.unlink()
    (tmp_path / "outside.md").write_text("secret\n")
    make = {
        "missing": lambda: None,
        "outside": lambda: path.symlink_to(tmp_path / "outside.md"),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "latin1": lambda: path.write_bytes(b"caf\xe9"),
    }
    make[kind]()

    with pytest.raises(UnreadableError) as caught:
        read_prompt(loaded(folder), "good")

    assert (
        str(caught.value)
        == {
            "missing": "cannot be read: no such file",
            "outside": "lies outside the folder of its tasks.yaml",
            "fifo": "is a FIFO, expected a file",
            "folder": "is a folder, expected a file",
            "latin1": "is not UTF-8",
        }[kind]
    )


def test_files_are_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)

    assert read_file(str(path), 10) == b"x" * 10
    with pytest.raises(UnreadableError, match="is too large: 10 bytes, the limit is 9"):
        read_file(str(path), 9)
    with pytest.raises(UnreadableError, match="is a device, expected a file"):
        read_file("/dev/zero", 9)
    with pytest.raises(UnreadableError, match="is not a file name"):
        read_file("a\0b", 9)


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert show_file("/some/where") == "/some/where"
