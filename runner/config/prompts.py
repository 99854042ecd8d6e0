"""The prompt file of a task: it lies where it may, it can be read, its template is right."""

from __future__ import annotations

import os

from runner import template
from runner.config.project import stock_dir
from runner.config.snapshot import UnreadableError, read_file, shown
from runner.config.templates import options_of
from runner.config.variables import VARIABLES
from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.value import Config

MAX_PROMPT = 16 * 1024 * 1024
PROMPT_VARIABLES = VARIABLES - {"prompt", "prompt_file"}


def prompt_problems(config: Config, name: str, agent: str | None) -> Iterator[Problem]:
    """`agent` None: with the options of every agent that may run it."""
    path = config.tasks[name]["prompt"]
    try:
        text = read_prompt(config, name)
    except UnreadableError as error:
        place = config.locate("tasks", name, "prompt")
        yield Problem(*place, f"the prompt file `{shown(path)}` {error}", config.show("tasks", name, "prompt"))
        return
    for fault in template.check(text, PROMPT_VARIABLES | options_of(config, name, agent)):
        yield Problem(shown(path), fault.line, fault.column, fault.message, "", fault.hint)


def read_prompt(config: Config, name: str) -> str:
    """The text of a task's prompt file. Raises UnreadableError."""
    path = config.tasks[name]["prompt"]
    home = os.path.realpath(path)
    if not any(_below(home, os.path.realpath(folder)) for folder in (config.project.root, stock_dir())):
        raise UnreadableError("lies outside the folder of its tasks.yaml")
    try:
        return read_file(path, MAX_PROMPT).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("is not UTF-8") from None


def _below(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder
