"""Stock and project become one configuration, and each key knows where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.config import Config, build, load, merge
from runner.config.load import examine
from runner.config.project import Project, Source, project_at

if TYPE_CHECKING:
    from pathlib import Path

STOCK_AGENTS = """\
defaults: {timeout: 15m, env: {pass: [LANG]}}
agents:
  claude:
    binary: claude
    argv: [-p]
    stdin: "{{ prompt }}"
    parser: text
    model: {default: sonnet, env: CLAUDE_MODEL}
    env: {pass: [CLAUDE_*], set: {A: "1", B: "2"}}
    options: {effort: {default: low, choices: [low, high]}}
  other: {binary: bin/other, argv: [], parser: text}
parsers:
  lines: {format: jsonl, fields: {text: {at: text}, model: {at: model}}, exit: {75: rate_limit}}
"""
STOCK_TASKS = """\
notify: {ntfy: {url: "https://ntfy.sh", topic: null}}
settings: {logs: logs, retention: {keep: 90d}}
tasks:
  cover: {prompt: prompts/cover.md, requires_commit: true, vars: {path: "", depth: 1}}
"""


def merged(agents: str = "", tasks: str = "", *, stock: bool = True) -> dict[str, Any]:
    pairs = [("agents", STOCK_AGENTS, True), ("tasks", STOCK_TASKS, True)] if stock else []
    pairs += [("agents", agents, False), ("tasks", tasks, False)]
    sources = [
        Source(kind, f"/{'stock' if is_stock else 'project'}/{kind}.yaml", is_stock, text.encode())
        for kind, text, is_stock in pairs
    ]
    result, problems = build.build(sources, "/project")
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    return result.sections


def test_the_stock_set_alone() -> None:
    sections = merged()

    assert list(sections["agents"]) == ["claude", "other"]
    assert sections["agents"]["other"]["timeout"] == "15m"
    assert sections["parsers"]["text"] == {"format": "text"}


def test_a_new_name_adds() -> None:
    agents = merged("agents: {mine: {binary: mine, argv: [], parser: text}}")["agents"]

    assert sorted(agents) == ["claude", "mine", "other"]


def test_the_same_name_replaces() -> None:
    claude = merged("agents: {claude: {binary: mine, argv: [], parser: text}}")["agents"]["claude"]

    assert claude == {"binary": "mine", "argv": [], "parser": "text", "timeout": "15m", "env": {"pass": ["LANG"]}}


def test_extends_changes_a_few_keys() -> None:
    text = "agents: {mine: {extends: claude, argv: [x], env: {set: {B: 3}}, model: opus, options: {effort: high}}}"
    agents = merged(text)["agents"]

    assert agents["mine"]["argv"] == ["x"]
    assert agents["mine"]["stdin"] == "{{ prompt }}"
    assert agents["mine"]["env"] == {"pass": ["CLAUDE_*"], "set": {"A": "1", "B": "3"}}
    assert agents["mine"]["model"] == {"default": "opus", "env": ["CLAUDE_MODEL"]}
    assert agents["mine"]["options"] == {"effort": {"default": "high", "choices": ["low", "high"]}}
    assert agents["claude"]["env"]["set"] == {"A": "1", "B": "2"}


def test_extends_of_its_own_name_is_the_stock_entry() -> None:
    sections = merged(
        "agents: {claude: {extends: claude, timeout: 1h}}", "tasks: {cover: {extends: cover, vars: {path: src}}}"
    )

    assert sections["agents"]["claude"]["timeout"] == "1h"
    assert sections["agents"]["claude"]["binary"] == "claude"
    assert sections["tasks"]["cover"]["vars"] == {"path": "src", "depth": 1}


def test_extends_in_a_row_and_of_parsers() -> None:
    text = """
agents:
  one: {extends: two, timeout: 1m}
  two: {extends: claude, timeout: 2m, grace: 2s}
parsers:
  more: {extends: lines, fields: {session_id: {at: id}}, exit: {76: auth}}
"""
    sections = merged(text)

    assert (sections["agents"]["one"]["timeout"], sections["agents"]["one"]["grace"]) == ("1m", "2s")
    assert list(sections["parsers"]["more"]["fields"]) == ["text", "model", "session_id"]
    assert sections["parsers"]["more"]["exit"] == {"75": "rate_limit", "76": "auth"}


def test_stock_false_starts_from_nothing() -> None:
    sections = merged("stock: false\nagents: {mine: {binary: mine, argv: [], parser: text}}\n")

    assert list(sections["agents"]) == ["mine"]
    assert sections["defaults"] == {}
    assert list(sections["tasks"]) == ["cover"]
    assert merged(tasks="stock: false\n")["notify"] == {}


def test_sections_merge_key_by_key() -> None:
    sections = merged(
        "defaults: {grace: 9s, env: {set: {X: y}}}",
        "notify: {ntfy: {topic: mine}}\nsettings: {retention: {count: 5}, path: ~/bin}\n",
    )

    assert sections["defaults"] == {"timeout": "15m", "grace": "9s", "env": {"pass": ["LANG"], "set": {"X": "y"}}}
    assert sections["notify"] == {"ntfy": {"url": "https://ntfy.sh", "topic": "mine"}}
    assert sections["settings"]["retention"] == {"keep": "90d", "count": 5}
    assert sections["settings"]["path"] == ["~/bin"]


def test_paths_are_relative_to_their_file() -> None:
    sections = merged(
        "agents: {mine: {binary: ./run.sh, argv: [], parser: text, requires: {files: [~/.x, login.json]}}}",
        "settings: {path: [bin, /opt/bin]}\ntasks: {mine: {prompt: p/mine.md, repo: .}}\n",
    )

    assert sections["agents"]["other"]["binary"] == "/stock/bin/other"
    assert sections["agents"]["claude"]["binary"] == "claude"
    assert sections["agents"]["mine"]["binary"] == "/project/run.sh"
    assert sections["agents"]["mine"]["requires"]["files"] == ["~/.x", "/project/login.json"]
    assert sections["tasks"]["cover"]["prompt"] == "/stock/prompts/cover.md"
    assert sections["tasks"]["mine"]["prompt"] == "/project/p/mine.md"
    assert sections["tasks"]["mine"]["repo"] == "/project"
    assert sections["settings"] == {
        "logs": "/project/logs",
        "retention": {"keep": "90d"},
        "path": ["/project/bin", "/opt/bin"],
    }


def test_shorthands_are_written_out() -> None:
    sections = merged(
        "agents: {mine: {binary: '{{ project }}/x', argv: [], parser: text, preflight: [a, b], requires: {env: K},\n"
        "  state: [own/, x, ~/y/]}}\n"
        "sandboxes: {box: [bwrap, --]}",
        "tasks: {mine: {prompt: x, agents: mine, fallback: other, retry: 2, env: {set: {A: true, B: 2}},\n"
        "  schedule: {cron: '@daily', agents: mine}}}\n",
    )
    task = sections["tasks"]["mine"]

    assert sections["agents"]["mine"]["binary"] == "{{ project }}/x"
    assert sections["agents"]["mine"]["preflight"] == [["a", "b"]]
    assert sections["agents"]["mine"]["requires"] == {"env": ["K"]}
    assert sections["agents"]["mine"]["state"] == ["/project/own/", "/project/x", "~/y/"]
    assert sections["sandboxes"]["box"] == {"argv": ["bwrap", "--"]}
    assert (task["agents"], task["fallback"], task["retry"]) == (["mine"], ["other"], {"count": 2})
    assert task["schedule"] == [{"cron": "@daily", "agents": ["mine"]}]
    assert task["env"]["set"] == {"A": "true", "B": "2"}


def test_inheritance_that_grows_without_bound_is_refused() -> None:
    big = "x-all: 1\nagents:\n  a0: {binary: x, argv: [], parser: text, env: {set: {"
    big += ", ".join(f"V{n}: x" for n in range(3000)) + "}}}\n"
    big += "".join(f"  a{n}: {{extends: a0}}\n" for n in range(1, 1000))

    _, problems = build.build([Source("agents", "/p/agents.yaml", False, big.encode())], "/p")

    assert [problem.message for problem in problems] == [f"more than {merge.MAX_MERGED:,} values after inheritance"]


PROJECT_AGENTS = """\
defaults:
  grace: 9s
agents:
  base:
    binary: base
    argv: [run, "{{ model }}"]
    stdin: "{{ prompt }}"
    parser: text
    env: {set: {A: x}}
  mine:
    extends: base
    env:
      set:
        B: y
    model: small
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    (tmp_path / "agents.yaml").write_text("stock: false\n" + PROJECT_AGENTS)
    (tmp_path / "tasks.yaml").write_text("stock: false\nsettings:\n  path: bin\n")
    monkeypatch.chdir(tmp_path)
    return load(project_at(str(tmp_path)), None)


@pytest.mark.parametrize(
    ("path", "origin", "value"),
    [
        (("agents", "mine"), ("agents.yaml", 11, 3), ("agents.yaml", 12, 5)),
        (("agents", "mine", "binary"), ("agents.yaml", 6, 5), ("agents.yaml", 6, 13)),
        (("agents", "mine", "argv", 1), ("agents.yaml", 7, 17), ("agents.yaml", 7, 17)),
        (("agents", "mine", "env", "set", "A"), ("agents.yaml", 10, 17), ("agents.yaml", 10, 20)),
        (("agents", "mine", "env", "set", "B"), ("agents.yaml", 15, 9), ("agents.yaml", 15, 12)),
        (("agents", "mine", "grace"), ("agents.yaml", 3, 3), ("agents.yaml", 3, 10)),
        (("agents", "mine", "model", "default"), ("agents.yaml", 16, 5), ("agents.yaml", 16, 12)),
        (("agents", "mine", "nothing"), ("agents.yaml", 11, 3), ("agents.yaml", 12, 5)),
        (("settings", "path", 0), ("tasks.yaml", 3, 3), ("tasks.yaml", 3, 9)),
    ],
)
def test_origins(
    config: Config, path: tuple[str | int, ...], origin: tuple[str, int, int], value: tuple[str, int, int]
) -> None:
    assert config.origin(*path) == origin
    assert config.locate(*path) == value


def test_a_place_within_a_text(config: Config) -> None:
    assert config.inside(("agents", "mine", "argv", 1), 1, 4) == ("agents.yaml", 7, 21)


def test_unreadable_files_do_not_hide_other_problems(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").mkdir()
    (tmp_path / "tasks.yaml").write_text("task: {}\n")
    project = Project(str(tmp_path), str(tmp_path / "agents.yaml"), str(tmp_path / "tasks.yaml"), is_stock=False)

    _, problems = examine(project, None)

    assert [problem.message for problem in problems] == ["is a folder, expected a file", "unknown key"]
