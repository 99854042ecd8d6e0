"""The words of the commands that look, or come each minute, as data: the door reads them without click."""

from __future__ import annotations

from importlib import import_module

from runner.values import dataclass
from runner.words import Option, take_project

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Verb:
    """`call` is `module:function` below runner.commands; `argument` is the one word that it needs, if any."""

    call: str
    help: str
    examples: tuple[str, ...]
    options: tuple[Option, ...]
    argument: str | None = None
    hidden: bool = False


JSON = Option("--json", "as_json", "flag", "", "Print JSON.")
_SINCE = "Only from then on: `2h`, `2026-02-19`, `all`."
RUN_HELP = "RUN is an id, the beginning of one, `last` or `last:AGENT/TASK`."

VERBS: Mapping[str, Verb] = {
    "runs": Verb(
        "runs:runs",
        "List runs, the newest first.",
        ("runner runs", "runner runs --status failed --since 24h", "runner runs --agent demo --limit 5 --json"),
        (
            Option("--agent", "agent", "value", "NAME", "Only of this agent."),
            Option("--task", "task", "value", "NAME", "Only of this task."),
            Option("--status", "status", "value", "STATUS", "Only with this status: `failed`, `running` …"),
            Option("--reason", "reason", "value", "REASON", "Only with this reason: `no_commits`, `timeout` …"),
            Option("--since", "since", "value", "TIME", _SINCE),
            Option("--until", "until", "value", "TIME", "Only up to then."),
            Option("--limit", "limit", "value", "N", "At most so many; 20 unless told, `all` for no limit."),
            Option("--rebuild", "rebuild", "flag", "", "Make the index again from the run folders first."),
            Option("--json", "as_json", "flag", "", "Print JSON, a line a run."),
        ),
    ),
    "show": Verb(
        "show:show",
        f"Show the record of a run. {RUN_HELP}",
        ("runner show last", "runner show last:demo/debug_hello_simple --json"),
        (JSON,),
        "RUN",
    ),
    "why": Verb(
        "show:why",
        f"Say in one paragraph what happened in a run, and what to do. {RUN_HELP}",
        ("runner why last",),
        (),
        "RUN",
    ),
    "logs": Verb(
        "logs:logs",
        f"Print what the agent did, event by event. {RUN_HELP}",
        ("runner logs last", "runner logs last -f", "runner logs last --prompt"),
        (
            Option("-f", "follow", "flag", "", "Go on while the run lives, and end with it."),
            Option("--stdout", "stdout", "flag", "", "Only what the agent printed on stdout, as it came."),
            Option("--prompt", "prompt", "flag", "", "The prompt instead."),
            Option("--raw", "raw", "flag", "", "The transcript as it came; made harmless on a terminal."),
        ),
        "RUN",
    ),
    "diff": Verb(
        "diff:diff", f"Print the commits of a run. {RUN_HELP}", ("runner diff last:demo/debug_smoke_commit",), (), "RUN"
    ),
    "triage": Verb(
        "triage:triage",
        "Say what needs a person, worst first; exit code 1 when something does.",
        ("runner triage", "runner triage --since 2h"),
        (Option("--since", "since", "value", "TIME", "How far to look back: `2h`; 24h unless told."), JSON),
    ),
    "stats": Verb(
        "stats:stats",
        "Add up runs: success, duration, tokens, cost, commits.",
        ("runner stats", "runner stats --by day --since 7d", "runner stats --by model --csv"),
        (
            Option("--by", "by", "value", "KIND", "`agent` (unless told), `task`, `model` or `day`."),
            Option("--since", "since", "value", "TIME", _SINCE),
            JSON,
            Option("--csv", "as_csv", "flag", "", "Print comma-separated values."),
        ),
    ),
    "prune": Verb(
        "prune:prune",
        "Remove old runs, as `settings.retention` says; never one that runs or was not reported.",
        ("runner prune --dry-run",),
        (Option("--dry-run", "dry_run", "flag", "", "Say what would go, and remove nothing."), JSON),
    ),
    "heartbeat": Verb(
        "heartbeat:heartbeat",
        "Start what is due, close lost runs, send what waits: one line in a crontab, each minute.",
        ("runner heartbeat",),
        (),
    ),
    "occurrence": Verb(
        "occurrence:occurrence", "What the heartbeat starts for a schedule.", (), (), "SCHEDULE", hidden=True
    ),
}


def read_verb(words: list[str]) -> tuple[Verb, dict[str, object]] | None:
    """One of these commands with its words; None for anything else or unusual: then click reads and explains."""
    project, rest = take_project(words)
    verb = VERBS.get(rest[0]) if rest else None
    if verb is None:
        return None
    flags = {option.flag: option for option in verb.options}
    said: dict[str, object] = {option.name: False if option.kind == "flag" else None for option in verb.options}
    names: list[str] = []
    queue = rest[1:]
    while queue:
        flag, equals, value = queue.pop(0).partition("=")
        option = flags.get(flag)
        if option is None:
            if flag.startswith("-"):
                return None
            names.append(flag + equals + value)
        elif option.kind == "flag":
            if equals:
                return None
            said[option.name] = True
        elif equals or queue:
            said[option.name] = value if equals else queue.pop(0)
        else:
            return None
    if len(names) != (1 if verb.argument else 0):
        return None
    return verb, {"project": project, **said, **({"name": names[0]} if verb.argument else {})}


def call_verb(verb: Verb, said: Mapping[str, object]) -> int:
    """The exit code of the command."""
    module, _, name = verb.call.partition(":")
    # By name, so that a command brings in what it needs alone.
    code: int = getattr(import_module(f"runner.commands.{module}"), name)(**said)
    return code
