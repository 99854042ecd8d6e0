"""The table's rows of the commands about a project: its configuration, schedules, messages and machine."""

from __future__ import annotations

from runner.cli.arguments import Argument, Command, Option
from runner.commands.schema import NAMES

_FORMATS = ("text", "json", "github", "junit")
_AGENT = Argument("name", "NAME", completes="agents")
_JSON = Option("--json", "", "Print JSON.", "as_json")
_SYSTEMD = Option("--systemd", "", "A user timer of systemd instead of the crontab.", "by_systemd")

PROJECT_COMMANDS = (
    Command(
        "agents",
        "docs/agents.md",
        "List the agents that can be run.",
        ("runner agents", "runner agents --json", "runner agents show demo", "runner agents clear demo"),
        options=(_JSON,),
    ),
    Command(
        "agents show",
        "docs/agents.md",
        "Print the merged entry of an agent, with the file and line of each key.",
        ("runner agents show demo",),
        (_AGENT,),
        (_JSON,),
    ),
    Command(
        "agents clear",
        "docs/tasks.md",
        "End the cooldown of an agent, so that unattended runs try it again.",
        ("runner agents clear demo",),
        (_AGENT,),
        acts=True,
    ),
    Command(
        "tasks",
        "docs/tasks.md",
        "List the tasks that can be run.",
        ("runner tasks", "runner tasks --json", "runner tasks show debug_hello_simple"),
        options=(_JSON,),
    ),
    Command(
        "tasks show",
        "docs/tasks.md",
        "Print the merged entry of a task, with the file and line of each key.",
        ("runner tasks show debug_hello_simple",),
        (Argument("name", "NAME", completes="tasks"),),
        (_JSON,),
    ),
    Command(
        "validate",
        "docs/operations.md",
        "Check agents.yaml, tasks.yaml, templates, parser rules and prompts; exit code 3 when something is wrong.",
        ("runner validate", "runner validate --format github"),
        (Argument("paths", "[PATHS]...", many=True, completes="files"),),
        (Option("--format", "FORMAT", "Default: text.", "fmt", choices=_FORMATS, default="text"),),
    ),
    Command(
        "schema",
        "docs/json.md",
        "Print the JSON Schema of agents.yaml, tasks.yaml, a run's metadata.json, or of what --json prints.",
        ("runner schema agents",),
        (Argument("name", "NAME", choices=NAMES),),
        takes_project=False,
        call="commands.schema:print_schema",
    ),
    Command(
        "init",
        "docs/agents.md",
        "Write a first agents.yaml, tasks.yaml and prompt; overwrites nothing.",
        ("runner init",),
        acts=True,
    ),
    Command(
        "doctor",
        "docs/operations.md",
        "Say whether agents can run here, and if not, what to do; exit code 1 when a check fails.",
        ("runner doctor", "runner doctor demo --json", "runner doctor demo --live"),
        (Argument("names", "[AGENT]...", many=True, completes="agents"),),
        (
            Option("--deep", "", "Run each AGENT's CLI against a scripted server: does its parser still fit?"),
            Option("--live", "", "Run debug_hello_simple against the real service, in a scratch repository."),
            _JSON,
        ),
    ),
    Command(
        "heartbeat",
        "docs/schedules.md",
        "Start what is due, close lost runs, send what waits: one line in a crontab, each minute.",
        ("runner heartbeat",),
        acts=True,
    ),
    Command(
        "occurrence",
        "docs/schedules.md",
        "What the heartbeat starts for a schedule.",
        (),
        (Argument("name", "SCHEDULE"),),
        hidden=True,
        call="commands.heartbeat:occurrence",
        acts=True,
    ),
    Command(
        "cron",
        "docs/schedules.md",
        "Install the heartbeat, which starts what is due, and say what will start.",
        ("runner cron install", "runner cron next", "runner cron remove"),
        call="",
    ),
    Command(
        "cron show",
        "docs/operations.md",
        "Say whether the heartbeat is installed as it should be, and print its lines.",
        ("runner cron show", "runner cron show --systemd --json"),
        options=(_SYSTEMD, _JSON),
    ),
    Command(
        "cron install",
        "docs/operations.md",
        "Put this project's heartbeat into the crontab, in its own block; all other lines stay as they are.",
        ("runner cron install", "runner cron install --systemd"),
        options=(_SYSTEMD,),
        acts=True,
    ),
    Command(
        "cron remove",
        "docs/operations.md",
        "Take this project's heartbeat out again.",
        ("runner cron remove", "runner cron remove --systemd"),
        options=(_SYSTEMD,),
        acts=True,
    ),
    Command(
        "cron next",
        "docs/schedules.md",
        "List the coming starts of all schedules, in local time.",
        ("runner cron next", "runner cron next -n 3 --json"),
        options=(Option("-n", "N", "How many.", "count", "count", default=10), _JSON),
        call="commands.cron:upcoming",
    ),
    Command(
        "notify",
        "docs/messages.md",
        "Test the message channels, and see and send the messages that wait.",
        ("runner notify test", "runner notify list", "runner notify flush"),
        call="",
    ),
    Command(
        "notify test",
        "docs/messages.md",
        "Send a message by every configured channel, now.",
        ("runner notify test",),
        acts=True,
    ),
    Command(
        "notify list",
        "docs/messages.md",
        "List the messages that wait, and the dead letters.",
        ("runner notify list",),
        options=(_JSON,),
        call="commands.notify:list_messages",
    ),
    Command(
        "notify flush",
        "docs/messages.md",
        "Close lost runs and send what waits; exit code 1 when something remains.",
        ("runner notify flush",),
        acts=True,
    ),
    Command(
        "notify history",
        "docs/messages.md",
        "Ask the ntfy server for the messages that it still holds.",
        ("runner notify history --since 2h",),
        options=(Option("--since", "TIME", "`2h`, `all`, or a message id.", default="12h"), _JSON),
    ),
    Command(
        "completion",
        "docs/operations.md",
        "Print a script that completes commands, options and the names in the YAML: a line for the shell's start file.",
        ('eval "$(runner completion bash)"', 'eval "$(runner completion zsh)"', "runner completion fish | source"),
        (Argument("shell", "SHELL", choices=("bash", "zsh", "fish")), Argument("args", "", many=True)),
        takes_project=False,
        call="cli.complete:completion",
    ),
)
