"""The words of `runner run`, as data: the hot path reads them without click, which shows them from the same table."""

from __future__ import annotations

from runner.errors import UsageError
from runner.values import dataclass, field


@dataclass(frozen=True)
class Option:
    """`kind` is value, pairs (repeatable KEY=VALUE) or flag."""

    flag: str
    name: str
    kind: str
    metavar: str
    help: str


RUN_OPTIONS = (
    Option("--agent", "agent", "value", "NAME", "The agent or agents, instead of the first argument."),
    Option("--task", "task", "value", "NAME", "The task, instead of the second argument."),
    Option("--model", "model", "value", "NAME", "The model; stronger than environment, task and agent."),
    Option("--timeout", "timeout", "value", "DURATION", "End the run after this time: `5m`, `90s`, `none`."),
    Option("--wait", "wait", "value", "DURATION", "Wait this long for a checkout in which another run works."),
    Option("--set", "options", "pairs", "OPTION=VALUE", "Set an option of the agent; repeatable."),
    Option("--var", "vars", "pairs", "KEY=VALUE", "Set a variable of the prompt; repeatable."),
    Option("--repo", "repo", "value", "DIR", "Work in this checkout instead of the project's folder."),
    Option("--prompt", "prompt", "value", "TEXT", "Use this text instead of a task's prompt."),
    Option("--unattended", "unattended", "flag", "", "Run as a schedule would: cooldowns and preflight count."),
    Option("--dry-run", "dry_run", "flag", "", "Print what would run, and start nothing."),
    Option("--json", "json", "flag", "", "Print the record as JSON on stdout, everything else on stderr."),
)
PROJECT_FLAGS = ("-C", "--project")
_BY_FLAG = {option.flag: option for option in RUN_OPTIONS}


@dataclass(frozen=True)
class RunWords:
    """What was said on the command line of one run; `agent` may be several names, with commas between them."""

    agent: str | None = None
    task: str | None = None
    model: str | None = None
    timeout: str | None = None
    wait: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    vars: dict[str, str] = field(default_factory=dict)
    repo: str | None = None
    prompt: str | None = None
    unattended: bool = False
    dry_run: bool = False
    json: bool = False
    project: str | None = None


def implied_run(words: list[str]) -> list[str]:
    """`runner --agent A --task T` is `runner run --agent A --task T`."""
    if words and words[0].partition("=")[0] in ("--agent", "--task"):
        return ["run", *words]
    return words


def read_run(words: list[str]) -> RunWords | None:
    """The words of a run; None for anything else or unusual: then click reads and explains. Raises UsageError."""
    project, rest = take_project(words)
    if not rest or rest[0] != "run":
        return None
    said: dict[str, object] = {"project": project, "options": {}, "vars": {}}
    names: list[str] = []
    queue = rest[1:]
    while queue:
        word = queue.pop(0)
        flag, equals, value = word.partition("=")
        option = _BY_FLAG.get(flag)
        if option is None:
            if word.startswith("-") or len(names) == 2:
                return None
            names.append(word)
        elif option.kind == "flag":
            if equals:
                return None
            said[option.name] = True
        else:
            if not equals:
                if not queue:
                    return None
                value = queue.pop(0)
            if option.kind == "pairs":
                said[option.name] = {**said[option.name], **pairs(option.flag, [value])}  # type: ignore[dict-item]  # a dict, from above
            else:
                said[option.name] = value
    return place_names(RunWords(**said), names)  # type: ignore[arg-type]  # the table's names are the fields' names


def agents_of(text: str) -> tuple[str, ...]:
    """The names in `a,b,c`. Raises UsageError."""
    names = tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise UsageError(
            f"a name is missing in `{text}`", hint="for example: runner run one,another debug_hello_simple"
        )
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise UsageError(f"the agent `{twice}` is named twice in `{text}`", hint="`retry:` of a task tries one again")
    return names


def take_project(words: list[str]) -> tuple[str | None, list[str]]:
    """The folder that -C or --project names, and the other words."""
    if words and words[0].partition("=")[0] == "--project" and "=" in words[0]:
        return words[0].partition("=")[2], words[1:]
    if len(words) > 1 and words[0] in PROJECT_FLAGS:
        return words[1], words[2:]
    return None, words


def pairs(flag: str, values: list[str]) -> dict[str, str]:
    """`KEY=VALUE` words as a mapping. Raises UsageError."""
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise UsageError(f"{flag} expects KEY=VALUE, got `{value}`")
        found[key] = text
    return found


def place_names(words: RunWords, names: list[str]) -> RunWords:
    """Positional agent and task joined with the options of the same meaning. Raises UsageError."""
    given = {"agent": words.agent, "task": words.task}
    free = [name for name in ("agent", "task") if given[name] is None]
    if len(names) > len(free):
        raise UsageError(f"unexpected argument `{names[-1]}`", hint="the form is `runner run AGENT TASK`")
    given.update(zip(free, names, strict=False))
    return RunWords(**{**vars(words), **given})
