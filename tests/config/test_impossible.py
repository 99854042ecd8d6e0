"""Values with which no run could go well are refused; patterns that some texts keep busy for ever are warned of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

AGENT = "agents:\n  mine: {binary: sh, argv: [], stdin: '{{ prompt }}', parser: text%s}\n"
TASK = "tasks:\n  mine: {prompt: prompts/mine.md%s}\n"

ZERO = "would end every run at once (write `none` for no limit)"
NUL = "holds a NUL, which no program can be given"
REFUSED = {
    "timeout of an agent": (AGENT % ", timeout: 0", "agents.mine.timeout", ZERO),
    "timeout as text": (AGENT % ", timeout: 0s", "agents.mine.timeout", ZERO),
    "idle_timeout": (AGENT % ", idle_timeout: 0m", "agents.mine.idle_timeout", ZERO),
    "first_output": (AGENT % ", first_output: 0", "agents.mine.first_output", ZERO),
    "timeout of a task": (TASK % ", timeout: 0", "tasks.mine.timeout", ZERO),
    "timeout of all": ("defaults: {timeout: 0}\n" + AGENT % "", "agents.claude.timeout", ZERO),
    "binary": (AGENT.replace("binary: sh", r'binary: "s\0h"') % "", "agents.mine.binary", NUL),
    "argv": (AGENT.replace("argv: []", r'argv: [a, "b\0"]') % "", "agents.mine.argv[1]", NUL),
    "argv when": (AGENT.replace("argv: []", r'argv: [{when: model, args: ["\0"]}]') % "", "agents.mine.argv[0].args[0]", NUL),
    "env": (AGENT % r', env: {set: {A: "\0"}}', "agents.mine.env.set.A", NUL),
    "env of a task": (TASK % r', env: {set: {A: "\0"}}', "tasks.mine.env.set.A", NUL),
    "sandbox": ('sandboxes: {box: ["a\\0"]}\n' + AGENT % "", "sandboxes.box", NUL),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(project: Project, name: str) -> None:
    text, path, message = REFUSED[name]
    project.write("prompts/mine.md", "go")
    project.write("tasks.yaml" if text.startswith("tasks:") else "agents.yaml", text)

    done = project("validate")

    assert done.returncode == 3
    assert f"{path}" in done.stdout + done.stderr
    assert message in done.stdout + done.stderr


WARNED = {
    "^(a+)+$": True,
    "(a*)*b": True,
    "(?:[ab]+,?)+$": True,
    "((x{2,})y*)+": True,
    "(?=(a+)+)b": True,
    "(a|b+)+c": True,
    "(a+){1,5}": False,
    "a+b+c+": False,
    "(ab)+": False,
    "(?:a{1,9})+": False,
}


@pytest.mark.parametrize("place", ["errors", "strip", "fields", "nothing_to_do"])
@pytest.mark.parametrize("pattern", WARNED)
def test_warned(project: Project, place: str, pattern: str) -> None:
    rules = {
        "errors": f"errors: [{{in: stderr, match: '{pattern}', class: auth}}]",
        "strip": f"strip: ['{pattern}']",
        "fields": f"fields: {{model: {{in: stdout, match: '{pattern}'}}}}",
        "nothing_to_do": "strip: []",
    }
    project.write("agents.yaml", f"parsers:\n  mine: {{format: text, {rules[place]}}}\n" + AGENT % "")
    if place == "nothing_to_do":
        project.write("prompts/mine.md", "go")
        project.write("tasks.yaml", TASK % f", nothing_to_do: '{pattern}'")

    done = project("validate")

    assert done.returncode == 0, done.stdout
    assert ("repeats a repetition" in done.stdout + done.stderr) is WARNED[pattern]
