"""The table's rows of the commands that run agents, and look at what ran."""

from __future__ import annotations

from runner.cli.arguments import Argument, Command, Option

_RUN = "RUN is an id, the beginning of one, `last` or `last:AGENT/TASK`."
_RUN_ID = Argument("name", "RUN", completes="runs")
_SINCE = "Only from then on: `2h`, `2026-02-19`, `all`."
_JSON = Option("--json", "", "Print JSON.", "as_json")

RUN_COMMANDS = (
    Command(
        "run",
        "docs/tasks.md",
        "Run one agent on one task, and record what happened. With several agents, AGENT,AGENT, the next one tries "
        "where the one before met a limit or could not start; without a list, those under the task's `fallback` do.\n\n"
        "Exit codes: 0 success, 1 agent error, 10 rate limit, 11 timeout, 12 skipped; of several tries, the last's.",
        (
            "runner run demo debug_hello_simple",
            "runner run demo document_coverage --model opus --timeout 30m",
            'runner run demo --prompt "Update the changelog and commit."',
            "runner run demo debug_smoke_commit --var url=http://127.0.0.1:8000/",
            "runner run demo document_coverage --dry-run",
            "runner run demo debug_hello_simple --unattended",
        ),
        (Argument("names", "AGENT[,AGENT]... TASK", many=True, completes="agent_then_task"),),
        (
            Option("--agent", "NAME", "The agent or agents, instead of the first argument.", completes="agent_list"),
            Option("--task", "NAME", "The task, instead of the second argument.", completes="tasks"),
            Option("--model", "NAME", "The model; stronger than environment, task and agent."),
            Option("--timeout", "DURATION", "End the run after this time: `5m`, `90s`, `none`."),
            Option("--wait", "DURATION", "Wait this long for a checkout in which another run works."),
            Option("--set", "OPTION=VALUE", "Set an option of the agent; repeatable.", "options", "pairs"),
            Option("--var", "KEY=VALUE", "Set a variable of the prompt; repeatable.", "vars", "pairs"),
            Option("--repo", "DIR", "Work in this checkout instead of the project's folder.", completes="folders"),
            Option("--prompt", "TEXT", "Use this text instead of a task's prompt."),
            Option("--unattended", "", "Run as a schedule would: cooldowns and preflight count."),
            Option("--gate", "", "Ask the task's `when` first, as an unattended run does."),
            Option("--dry-run", "", "Print what would run, and start nothing."),
            Option("--json", "", "Print the record as JSON on stdout, everything else on stderr."),
        ),
        acts=True,
    ),
    Command(
        "ps",
        "docs/operations.md",
        "List the running runs: their processes, how long they have run, and what they printed last.",
        ("runner ps", "runner ps --json"),
        (Argument("names", "[RUN]...", many=True, completes="runs"),),
        options=(_JSON,),
    ),
    Command(
        "stop",
        "docs/operations.md",
        f"End a run as SIGTERM to its runner would, and wait until its record is closed. {_RUN}",
        ("runner stop 20260219_175043", "runner stop 20260219_175043 --now"),
        (_RUN_ID,),
        (Option("--now", "", "Leave the agent no grace time."),),
        call="commands.ps:stop",
        acts=True,
    ),
    Command(
        "runs",
        "docs/history.md",
        "List runs, the newest first.",
        ("runner runs", "runner runs --status failed --since 24h", "runner runs --agent demo --limit 5 --json"),
        options=(
            Option("--agent", "NAME", "Only of this agent.", completes="agents"),
            Option("--task", "NAME", "Only of this task.", completes="tasks"),
            Option("--status", "STATUS", "Only with this status: `failed`, `running` …"),
            Option("--reason", "REASON", "Only with this reason: `no_commits`, `timeout` …"),
            Option("--since", "TIME", _SINCE),
            Option("--until", "TIME", "Only up to then."),
            Option("--limit", "N", "At most this many, by default 20; `all` for no limit."),
            Option("--rebuild", "", "Make the index again from the run folders first."),
            Option("--json", "", "Print JSON, a line a run.", "as_json"),
        ),
    ),
    Command(
        "show",
        "docs/history.md",
        f"Show the record of a run. {_RUN}",
        ("runner show last", "runner show last:demo/debug_hello_simple --json"),
        (_RUN_ID,),
        (_JSON, Option("--output", "", "Print the answer alone that the task's `output` asked for.")),
    ),
    Command(
        "why",
        "docs/history.md",
        f"Say in one paragraph what happened in a run, and what to do. {_RUN}",
        ("runner why last",),
        (_RUN_ID,),
        call="commands.show:why",
    ),
    Command(
        "logs",
        "docs/history.md",
        f"Print what the agent did, event by event. {_RUN}",
        ("runner logs last", "runner logs last -f", "runner logs last --prompt"),
        (_RUN_ID,),
        (
            Option("-f", "", "Go on while the run lives, and end with it.", "follow"),
            Option("--stdout", "", "Only what the agent printed on stdout, as it came."),
            Option("--prompt", "", "The prompt instead."),
            Option("--raw", "", "The transcript as it came; made harmless on a terminal."),
        ),
    ),
    Command(
        "diff",
        "docs/history.md",
        f"Print the commits of a run. {_RUN}",
        ("runner diff last:demo/debug_smoke_commit",),
        (_RUN_ID,),
        call="commands.show:diff",
    ),
    Command(
        "triage",
        "docs/history.md",
        "Say what needs a person, worst first; exit code 1 when something does.",
        ("runner triage", "runner triage --since 2h"),
        options=(Option("--since", "TIME", "How far to look back: `2h`; by default 24h."), _JSON),
    ),
    Command(
        "stats",
        "docs/history.md",
        "Add up runs: success, duration, tokens, cost, commits.",
        ("runner stats", "runner stats --by day --since 7d", "runner stats --by model --csv"),
        options=(
            Option("--by", "KIND", "`agent` (the default), `task`, `model` or `day`."),
            Option("--since", "TIME", _SINCE),
            _JSON,
            Option("--csv", "", "Print comma-separated values.", "as_csv"),
        ),
    ),
    Command(
        "prune",
        "docs/history.md",
        "Remove old runs, as `settings.retention` says; never one that runs or was not reported.",
        ("runner prune --dry-run",),
        options=(Option("--dry-run", "", "Say what would go, and remove nothing."), _JSON),
        acts=True,
    ),
    Command(
        "parse",
        "docs/recordings.md",
        "Judge a run, a recording, or a recorded output of AGENT as a run would be judged. RUN is an id, `last`, or "
        "the folder of a run or recording. With --check, compare all recordings of the project with what they must "
        "come to; exit code 1 when one differs.",
        (
            "runner parse last --explain",
            "runner parse demo stdout.log --exit-code 0",
            "runner parse demo stdout.log --stderr stderr.log --exit-code 1 --json",
            "runner parse --check",
        ),
        (Argument("names", "RUN | AGENT STDOUT | --check [AGENT]...", many=True, completes="run_or_agent_then_file"),),
        (
            Option("--stderr", "FILE", "What the agent printed on stderr.", completes="files"),
            Option(
                "--exit-code", "INTEGER", "How it ended; negative is a signal. Without: by timeout.", kind="integer"
            ),
            Option("--at", "TIME", "When it ended, RFC 3339; relative reset times count from then."),
            Option("--file", "TEMPLATE=PATH", "A file that rules look into; repeatable.", kind="pairs"),
            Option("--parser", "NAME", "Use this parser instead of the agent's own.", completes="parsers"),
            Option("--tries", "", "Judge the tries before the run, too."),
            _JSON,
            Option("--explain", "", "Say of every rule what it gave at which line, or why nothing."),
            Option("--check", "", "Compare the recordings of the AGENTs, or all, with their expected.yaml."),
            Option("--recordings", "DIR", "Where they are, instead of `recordings`.", completes="folders"),
            Option("--update", "", "With --check: write an expected.yaml where there is none."),
        ),
    ),
)
