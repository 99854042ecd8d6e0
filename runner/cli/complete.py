"""`runner completion`: what may stand for the argument that is being typed."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from runner.cli.app import app
from runner.cli.reader import implied_run
from runner.commands.completion import Item, print_items, print_script
from runner.errors import RunnerError


def completion(shell: str, args: Sequence[str]) -> int:
    """Print the shell's script, or with `args` what completes the last of them: the script calls back with these."""
    if not args:
        return print_script(shell)
    return print_items(complete(args_of_bash(args) if shell == "bash" else args))


def complete(args: Sequence[str]) -> list[Item]:
    """Return what may stand for the last argument; nothing where the configuration or those before are wrong."""
    *before, incomplete = implied_run(list(args))
    try:
        found = ShellComplete(app, {}, "runner", "").get_completions(before, incomplete)
    except (RunnerError, click.ClickException, OSError):
        return []
    # `--format=js` is one argument except for bash, and stays one.
    option = incomplete.partition("=")[0] + "=" if incomplete.startswith("-") and "=" in incomplete else ""
    return [_item(item, option) for item in found]


def _item(item: CompletionItem[str], option: str) -> Item:
    return Item(item.type, option + item.value, item.help or "")


def args_of_bash(words: Sequence[str]) -> list[str]:
    """Undo what bash does: it hands over words as they were typed, quotes included, and `--format=js` as three."""
    joined: list[str] = []
    for word in words:
        if joined and (word == "=" or joined[-1].endswith("=")) and joined[-1].startswith("--"):
            joined[-1] += _unquoted(word)
        else:
            joined.append(_unquoted(word))
    return joined


def _unquoted(word: str) -> str:
    try:
        return "".join(shlex.split(word))
    except ValueError:
        return word
