"""The word `completion`, and the completion itself: words begun → what may stand for the last of them."""

from __future__ import annotations

import shlex

import click
from click.shell_completion import ShellComplete

from runner.cli.app import app
from runner.commands import completion as completion_command
from runner.errors import RunnerError
from runner.words import implied_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem


@app.command()
@click.argument("shell", type=click.Choice(completion_command.SHELLS))
@click.argument("words", nargs=-1, metavar="", type=click.UNPROCESSED)
def completion(shell: str, words: tuple[str, ...]) -> int:
    """Print a script that completes commands, options and the names in the YAML: a line for the shell's start file.

    \b
    Examples:
      eval "$(runner completion bash)"
      eval "$(runner completion zsh)"
      runner completion fish | source
    """
    if not words:
        return completion_command.print_script(shell)
    # The script calls back with the words after `runner`, of which the last is being typed.
    return completion_command.print_items(complete(words_of_bash(words) if shell == "bash" else words))


def complete(words: Sequence[str]) -> list[completion_command.Item]:
    """What may stand for the last of `words`; nothing where the configuration or the words before are wrong."""
    *before, begun = implied_run(list(words))
    try:
        found = ShellComplete(app, {}, "runner", "").get_completions(before, begun)
    except (RunnerError, click.ClickException, OSError):
        return []
    # `--format=js` is one word but for bash, and stays one.
    option = begun.partition("=")[0] + "=" if begun.startswith("-") and "=" in begun else ""
    return [_item(item, option) for item in found]


def _item(item: CompletionItem[str], option: str) -> completion_command.Item:
    return completion_command.Item(item.type, option + item.value, item.help or "")


def words_of_bash(words: Sequence[str]) -> list[str]:
    """bash hands over words as they were typed, quotes included, and `--format=js` as three."""
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
