"""Imports go downwards, without cycles, and only named modules touch the world."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

ROOT = Path(__file__).resolve().parent.parent / "runner"
# From the roof down: a room may import those after it. `model` and its neighbours are the ground, from `checkout` on.
ROOMS = """
__main__ cli commands learn doctor recordings modelserver crontab schedule run verify notify history config budget records template parsers process
git demo_agent mask files codec crontimes model asked reasons text units errors values __init__
""".split()
MODULES = sorted(ROOT.rglob("*.py"))
# Who may touch the world: the import or call, and the modules that may.
EFFECTS = {
    "subprocess": {"notify"},
    "sqlite3": {"history"},
    "requests": {"notify"},
    "multiprocessing": set(),
    "threading": {"modelserver", "notify"},
    "asyncio": set(),
}
CALLS = {
    "os.fork": {"process"},
    "os.posix_spawn": {"process"},
    "os.posix_spawnp": {"git", "demo_agent.py"},
    "os.system": set(),
    "os.popen": set(),
    "os.environ": {"commands", "cli", "demo_agent.py"},
    "os.getenv": set(),
}
AGENTS = ("claude", "codex", "gemini", "kilo", "ollama", "opencode", "qwen", "amp")


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def dotted(module: str) -> str:
    return module.removeprefix("runner").removeprefix(".").split(".")[0]


def imports(path: Path) -> set[str]:
    """Every module that a file imports, those for the type checker and inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {_submodule(module, alias.name) or module for alias in node.names}
    return found


def _submodule(module: str, name: str) -> str | None:
    """`from package import name` where the name is a module of ours, or a constant of the package itself."""
    place = ROOT.parent.joinpath(*module.split("."), name)
    if module == "runner" and not (place.with_suffix(".py").exists() or place.is_dir()):
        return "runner.__init__"
    return f"{module}.{name}" if place.with_suffix(".py").exists() or place.is_dir() else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    here = part_of(path)
    for module in imports(path):
        if module.startswith("runner."):
            there = dotted(module)
            assert there == here or ROOMS.index(there) > ROOMS.index(here), f"{here} imports {there}"


def test_no_cycles() -> None:
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
        edges[name] = {module for module in imports(path) if module.startswith("runner.") and module != name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name not in done:
            for module in edges.get(name, ()):
                visit(module, (*trail, name))
            done.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_effects_stay_at_named_edges(path: Path) -> None:
    here = path.relative_to(ROOT).parts[0]
    for module in imports(path):
        allowed = EFFECTS.get(module.split(".")[0])
        assert allowed is None or here in allowed, f"{here} imports {module}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            allowed = CALLS.get(f"{node.value.id}.{node.attr}")
            assert allowed is None or here in allowed, f"{here} uses {node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_size_and_names(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300, "a module above 300 lines holds a second noun"
    assert not re.findall(rf"(?i)(?<![a-z])(?:{'|'.join(AGENTS)})(?![a-z])", text), "an agent is data"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name} does not fit on a screen"
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
            assert len(names) <= 5, f"{node.name} has {len(names)} parameters: is there a value in them?"


HEAVY = """
typing dataclasses inspect pathlib subprocess logging tempfile zoneinfo
click jinja2 yaml requests jsonschema cronsim
""".split()


@pytest.mark.parametrize("args", [["run", "canned", "free"], ["heartbeat"], ["runs"]], ids=" ".join)
def test_the_hot_path_imports_nothing_heavy(project: Project, args: list[str]) -> None:
    project.write(
        "agents.yaml", "stock: false\nagents:\n  canned: {binary: /bin/sh, argv: [-c, 'echo hello'], parser: text}\n"
    )
    for before in (["run", "canned", "free"], ["heartbeat"]):  # the configuration is cached, and what is daily done
        assert project(*before).returncode == 0
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from runner.__main__ import main; main()", *args],
        cwd=project.root,
        env={name: value for name, value in project.environment().items() if not name.startswith("COVERAGE_")},
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {f"runner.commands.{args[0]}", "runner.config.load"} <= loaded
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


SUPPRESSION = re.compile(r"# (?:noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\])")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_switched_off_has_its_reason(path: Path) -> None:
    """On its own line, behind the word that switches off a rule of ruff or mypy."""
    found = [line for line in path.read_text().splitlines() if SUPPRESSION.search(line)]
    bare = [line.strip() for line in found if len(SUPPRESSION.sub("", line[line.index("  #") :]).strip(" #-()")) < 5]
    assert bare == []
