"""README and the pages of docs/: their blocks, their links, their words, and how an example is run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.helpers import ROOT, Project, with_crontab

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
AGENTS_SECTIONS = frozenset(("agents", "parsers", "sandboxes", "defaults"))
# What this very test run is.
NOT_RUN = {"uv run pytest -n auto"}
# What differs from run to run, and the width that it changes.
VARIABLE = [
    (r"\d{8}_\d{6}(_\d\d+)?", "RUN"),
    (r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", "WHEN"),
    (r"\b\d+(\.\d+)?(ms|s)\b", "TIME"),
    (r"pid \d+", "pid N"),
    (r"\b[0-9a-f]{7}\b", "SHA"),
    (r" {2,}", "  "),
    (r"(?m)^(.*?) +$", r"\1"),
]


@dataclass(frozen=True)
class Block:
    """A fenced block: the page, the line of its fence, its section's heading, its language."""

    page: str
    line: int
    section: str
    language: str
    body: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: str, text: str) -> Iterator[Block]:
    section = ""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$|^#+ ([^\n]+)$", text, re.MULTILINE | re.DOTALL):
        if found[3]:
            section = found[3]
        else:
            yield Block(page, text.count("\n", 0, found.start()) + 1, section, found[1], found[2])


BLOCKS = [block for page, text in PAGES.items() for block in _blocks(page, text)]


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code_spans(text: str) -> list[str]:
    """What stands between backticks outside the fenced blocks, a table's escaped bars unescaped."""
    spans = re.findall(r"(`+)(.+?)\1", prose(text), re.DOTALL)
    return [" ".join(span.replace("\\|", "|").split()) for _, span in spans]


def named(text: str) -> set[str]:
    """The words that a page names in backticks: `a`, of `a.b` also `b`, of `a: 1` and `a=1` also `a`."""
    found: set[str] = set()
    for span in code_spans(text):
        word = re.split(r"[:=]", span)[0]
        found |= {span, word, span.rpartition(".")[2], word.rpartition(".")[2]}
    return found


def yaml_before(block: Block) -> list[Block]:
    """The YAML files that the same section shows above a block, the last of each kind."""
    above = [
        other
        for other in BLOCKS
        if (other.page, other.section, other.language) == (block.page, block.section, "yaml")
        and other.line < block.line
    ]
    return list({file_of(other.body): other for other in above}.values())


def file_of(body: str) -> str:
    """Whether a YAML example is an agents.yaml or a tasks.yaml; it is a whole file."""
    sections = set(yaml.safe_load(body))
    ours = sections & AGENTS_SECTIONS
    assert not ours or ours == sections, f"sections of two files in one example: {sections}"
    return "agents.yaml" if ours else "tasks.yaml"


def write_yaml(project: Project, body: str) -> None:
    """The example as the project's file, and the prompts and schemas that it names."""
    project.write(file_of(body), body)
    for prompt in re.findall(r"prompt: ([^\s,}]+\.md)", body):
        if not (project.root / prompt).exists():
            project.write(prompt, "Do it.\n")
    for schema in re.findall(r"schema: ([^\s,}]+\.json)", body):
        project.write(schema, "{}\n")


def with_runner(project: Project) -> Project:
    """The project with `runner` first on its PATH, and a crontab that is nobody's."""
    with_crontab(project)
    project.env["PATH"] = f"{Path(sys.executable).parent}:{project.env['PATH']}"
    return project


def run_console(project: Project, block: Block) -> None:
    """Each command ends well, or with the code that a comment behind it names; what is printed is what is shown."""
    for other in yaml_before(block):
        write_yaml(project, other.body)
    for step in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        line, _, expected = step.partition("\n")
        command, _, comment = line.partition("  # ")
        if command in NOT_RUN:
            continue
        done = run_in(project, shlex.split(command.removeprefix("uv run ")))
        code = re.search(r"exit (\d+)", comment)
        assert done.returncode == (int(code[1]) if code else 0), f"{command}\n{done.stdout}{done.stderr}"
        if expected:
            assert same(done.stdout) == same(expected)


def run_in(project: Project, argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def same(text: str) -> str:
    for pattern, word in VARIABLE:
        text = re.sub(pattern, word, text)
    return text.strip()


@lru_cache
def help_of(*command: str) -> str:
    done = Project(ROOT, ROOT)(*command, "--help")
    assert done.returncode == 0, f"runner {' '.join(command)}: {done.stderr}"
    return done.stdout
