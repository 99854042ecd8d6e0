"""What an editor makes of the schemas: the language server behind most of them, and a validator on the command line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT
from tests.real_tools.lsp import Editor

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

CHECK = ["uv", "tool", "run", "check-jsonschema@0.37.0"]
# As it was before a test took the home away: where uv keeps its programs.
ENVIRONMENT = dict(os.environ)
SERVERS = ["yaml-language-server", "yaml-language-server-1"]

AGENTS = """
agents:
  mine:
    binary: mine
    argv: [--quiet]
    args: [--loud]
    parser: mine-json
    \

parsers:
  mine-json:
    format: yaml
    success: {when: {type: end}}
    fields:
      text: {at: answer, take: lst}
"""


def place(text: str, words: str) -> tuple[int, int]:
    """Line and column of the last place of `words`, from 0."""
    before = text[: text.rindex(words)]
    return before.count("\n"), len(before) - before.rfind("\n") - 1


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `runner init` writes, and the stock set as it lies in a clone."""
    folder = tmp_path_factory.mktemp("editor")
    subprocess.run(
        [sys.executable, "-m", "runner", "init"], cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL
    )
    return folder


@pytest.fixture(scope="module", params=SERVERS)
def editor(started: Path, request: pytest.FixtureRequest) -> Iterator[Editor]:
    node = shutil.which("node", path=ENVIRONMENT["PATH"])
    assert node
    program = Path(__file__).parent / "node_modules" / request.param / "bin" / "yaml-language-server"
    assert program.exists(), "npm install --prefix tests/real_tools"
    editor = Editor([node, str(program), "--stdio"], started)
    yield editor
    editor.close()


def test_a_wrong_key_is_underlined_and_the_right_one_offered_and_explained(editor: Editor, started: Path) -> None:
    path = started / "agents.yaml"
    text = path.read_text() + AGENTS
    marked = {}
    for found in editor.open(path, text):
        start, end = found["range"]["start"], found["range"]["end"]
        assert start["line"] == end["line"]
        line = text.splitlines()[start["line"]]
        marked[line[start["character"] : end["character"]], start["line"]] = found["message"]
    assert {word for word, _ in marked} == {"args", "yaml", "lst"}
    args, _ = place(text, "args: [--loud]")
    assert "args is not allowed" in marked["args", args]
    assert "jsonl" in next(message for (word, _), message in marked.items() if word == "yaml")

    line, column = place(text, "argv: [--quiet]")
    hover = editor.at("textDocument/hover", path, line, column + 1)
    assert "The arguments, one template an item; never read by a shell" in hover["contents"]["value"]
    assert hover["range"]["start"] == {"line": line, "character": column}

    without = text.replace("    argv: [--quiet]\n    args: [--loud]\n", "")
    path = started / "sub.yaml"
    editor.open(path, without)
    line, _ = place(without, "parser: mine-json\n")
    offered = {item["label"]: item for item in editor.at("textDocument/completion", path, line + 1, 4)["items"]}
    assert {"argv", "stdin", "model", "timeout", "extends"} <= set(offered)
    assert not {"binary", "parser", "agents", "prompt"} & set(offered), "what is there already, or belongs elsewhere"
    assert "never read by a shell" in str(offered["argv"]["documentation"])


def test_tasks(editor: Editor, started: Path) -> None:
    path = started / "tasks.yaml"
    text = path.read_text() + "    requires_comit: true\n    \n"
    (found,) = editor.open(path, text)
    line, column = place(text, "requires_comit")
    assert found["range"] == {
        "start": {"line": line, "character": column},
        "end": {"line": line, "character": column + len("requires_comit")},
    }
    offered = [item["label"] for item in editor.at("textDocument/completion", path, line + 1, 4)["items"]]
    assert {"requires_commit", "nothing_to_do", "schedule"} <= set(offered)


@pytest.mark.parametrize("name", ["agents.yaml", "tasks.yaml"])
def test_the_files_as_they_are_have_no_fault_and_a_schema(editor: Editor, started: Path, name: str) -> None:
    """That the schema is found at all shows in an added fault."""
    for folder in (started, ROOT):
        path = folder / name
        # Another name beside it: the server takes each file once.
        assert editor.open(path.with_name(f"sound-{name}"), path.read_text()) == []
        faulty = editor.open(path.with_name(f"faulty-{name}"), path.read_text() + "nonsense: 1\n")
        assert len(faulty) == 1, f"{path} names no schema in its first line, or one that is not there"


def check(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CHECK, *map(str, words)],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", ["agents", "tasks", "metadata"])
def test_the_schemas_are_schemas(name: str) -> None:
    done = check("--check-metaschema", ROOT / "schema" / f"{name}.schema.json")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["agents", "tasks"])
def test_the_validator_accepts_what_is_shipped_and_refuses_what_is_wrong(name: str, started: Path) -> None:
    schema = ROOT / "schema" / f"{name}.schema.json"
    for path in (ROOT / f"{name}.yaml", started / f"{name}.yaml"):
        done = check("--schemafile", schema, path)
        assert done.returncode == 0, done.stdout + done.stderr
    wrong = started / f"wrong-{name}.yaml"
    wrong.write_text(f"{name}: {{mine: {{nonsense: 1}}}}\n")
    assert check("--schemafile", schema, wrong).returncode == 1
