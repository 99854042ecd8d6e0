"""Configuration and request → invocation, as tables."""

from __future__ import annotations

import fnmatch
from typing import Any

import pytest

from runner.errors import UsageError
from runner.git import Places
from runner.model import Invocation, Request, Skipped
from runner.run.environment import matcher
from runner.run.plan import RunConfig, TemplateFaultError, plan
from runner.run.site import Machine

AGENT = {
    "binary": "tool",
    "argv": ["run", {"when": "model", "args": ["--model", "{{ model }}"]}, "{{ effort }}"],
    "parser": "text",
    "model": {"default": "base", "env": ["TOOL_MODEL"]},
    "options": {
        "effort": {"default": "medium", "env": ["TOOL_EFFORT"], "choices": ["low", "medium", "high"]},
        "free": {"default": None},
    },
    "timeout": "10m",
}


def made(
    agent: dict[str, Any] | None = None,
    task: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    settings: dict[str, Any] | None = None,
    prompt: str = "Do it.",
    **request: Any,
) -> Invocation:
    machine = Machine(
        {"PATH": "/bin", "HOME": "/home/u", **(environ or {})},
        "/p",
        "/r",
        "/p/logs",
        "/py",
        "/state",
        exists=lambda _: False,
    )
    config = RunConfig({**AGENT, **(agent or {})}, task or {}, {}, settings or {}, "digest", prompt)
    return plan(config, Request("tool", "job", **request), machine, "20260101_000000")


def invocation(*args: Any, **words: Any) -> Invocation:
    planned = made(*args, **words)
    assert isinstance(planned, Invocation)
    return planned


@pytest.mark.parametrize(
    ("request_model", "environ", "task", "agent", "model"),
    [
        ("said", {"TOOL_MODEL": "env"}, {"model": "task"}, {}, "said"),
        (None, {"TOOL_MODEL": "env"}, {"model": "task"}, {}, "env"),
        (None, {"TOOL_MODEL": ""}, {"model": "task"}, {}, "task"),
        (None, {}, {}, {}, "base"),
        (None, {}, {}, {"model": {}}, None),
    ],
)
def test_the_model_comes_from_the_nearest(
    request_model: str | None, environ: dict[str, str], task: dict[str, Any], agent: dict[str, Any], model: str | None
) -> None:
    planned = invocation(agent, task, environ, model=request_model)
    assert planned.model == model
    assert planned.argv[2:-1] == (("--model", model) if model else ())


@pytest.mark.parametrize(
    ("options", "environ", "task", "effort"),
    [
        ({"effort": "low"}, {"TOOL_EFFORT": "high"}, {}, "low"),
        ({}, {"TOOL_EFFORT": "high"}, {"options": {"effort": "low"}}, "high"),
        ({}, {}, {"options": {"effort": "low"}}, "low"),
        ({}, {}, {}, "medium"),
    ],
)
def test_an_option_comes_from_the_nearest(
    options: dict[str, str], environ: dict[str, str], task: dict[str, Any], effort: str
) -> None:
    assert invocation(None, task, environ, options=options).argv[-1] == effort


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"options": {"effort": "extreme"}}, "option `effort` of agent `tool` is `extreme`"),
        ({"options": {"efort": "low"}}, "agent `tool` has no option `efort`"),
        ({"timeout": "soon"}, "--timeout: expected a duration"),
        ({"environ": {"AGENT_RUNNER_TIMEOUT_SECONDS": "soon"}}, "AGENT_RUNNER_TIMEOUT_SECONDS: expected a duration"),
    ],
)
def test_wrong_words(words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(**words)


@pytest.mark.parametrize(
    ("words", "environ", "task", "seconds"),
    [
        ({"timeout": "5m"}, {"AGENT_RUNNER_TIMEOUT_SECONDS": "7"}, {"timeout": "1h"}, 300.0),
        ({}, {"AGENT_RUNNER_TIMEOUT_SECONDS": "7"}, {"timeout": "1h"}, 7.0),
        ({}, {}, {"timeout": "1h"}, 3600.0),
        ({}, {}, {}, 600.0),
        ({"timeout": "none"}, {}, {}, None),
    ],
)
def test_the_timeout_comes_from_the_nearest(
    words: dict[str, str], environ: dict[str, str], task: dict[str, Any], seconds: float | None
) -> None:
    assert invocation(None, task, environ, **words).limits.timeout == seconds


def test_defaults_of_the_limits() -> None:
    limits = invocation({"timeout": "15m", "grace": "none"}).limits
    assert (limits.timeout, limits.grace, limits.drain, limits.linger, limits.stall) == (900.0, 5.0, 0.3, 10.0, 60.0)


def test_the_watch_thresholds() -> None:
    limits = invocation({"watch": {"stall": "10s", "max_wait": "remaining"}}, {"watch": {"max_wait": "2m"}}).limits
    assert (limits.stall, limits.max_wait) == (10.0, 120.0)


@pytest.mark.parametrize(
    ("agent", "task", "part"),
    [
        ({"requires": {"env": ["NEEDED"]}}, {}, "`NEEDED`"),
        ({"requires": {"files": ["~/.login"]}}, {}, "`~/.login`"),
        ({"model": {"required": True, "env": ["A", "B"]}}, {}, "give --model, or set `A`, `B`"),
        ({"requires": {"edits": False}}, {"requires_commit": True}, "cannot change files"),
    ],
)
def test_what_is_missing_skips(agent: dict[str, Any], task: dict[str, Any], part: str) -> None:
    with pytest.raises(Skipped) as skipped:
        made(agent, task)
    assert skipped.value.skip.reason == "missing_requirement"
    assert part in skipped.value.skip.message


def test_templates_see_everything_of_the_run() -> None:
    words = "{{ agent }} {{ task }} {{ run_id }} {{ repo }} {{ project }} {{ run_dir }} {{ python }} {{ vars.a }} {{ prompt }}"
    planned = invocation({"stdin": words}, {"vars": {"a": "1", "b": "2"}}, vars={"a": "said"}, prompt="P {{ vars.b }}")
    run_dir = "/p/logs/job/tool/20260101_000000"
    assert planned.stdin == f"tool job 20260101_000000 /r /p {run_dir} /py said P 2"


def test_a_fault_names_its_place() -> None:
    with pytest.raises(TemplateFaultError) as caught:
        made({"argv": ["fine", "{{ vars.none_such }}"]})
    assert caught.value.path == ("agents", "tool", "argv", 1)


def test_settings_files_lie_in_the_runs_folder() -> None:
    files = invocation({"files": {"a/{{ task }}.json": "{{ model }}", "/abs": "x"}}).files
    assert files == {"/p/logs/job/tool/20260101_000000/a/job.json": "base", "/abs": "x"}


def test_the_binary_can_be_overridden() -> None:
    assert invocation(environ={"RUNNER_TOOL_BIN": "/opt/other"}).argv[0] == "/opt/other"


def test_folders_for_agents_come_before_the_path() -> None:
    planned = invocation(settings={"path": ["/opt/bin", "~/bin"]})
    assert planned.env["PATH"] == "/opt/bin:/home/u/bin:/bin"


BOX = {
    "argv": [
        "box",
        "{{ workspace }}",
        {"when": "model", "args": ["--model", "{{ model }}"]},
        {"when": "free", "args": ["--never"]},
        {"each": "state", "args": ["--own", "{{ item }}"]},
        {"each": "guarded", "args": ["--keep={{ item }}"]},
        "{{ logs }}|{{ run_dir }}|{{ home }}",
        "--",
    ]
}


def boxed(**agent: Any) -> Invocation:
    machine = Machine(
        {"PATH": "/bin", "HOME": "/home/u", "TOOL_HOME": "/t"},
        "/p",
        "/link",
        "/p/logs",
        "/py",
        "/state",
        resolve=lambda path: path.replace("/home", "/real").rstrip("/"),
        places=lambda folder: Places(f"{folder}/top", ("/g",), ("/g/config", "/g/hooks")),
    )
    own = {"sandbox": "box", "env": {"pass": ["TOOL_*"]}, **agent}
    config = RunConfig({**AGENT, **own}, {}, {}, {}, "digest", "Do it.", BOX)
    planned = plan(config, Request("tool", "job"), machine, "20260101_000000")
    assert isinstance(planned, Invocation)
    return planned


def test_a_sandbox_comes_before_the_agents_own_argv() -> None:
    state = ["~/.tool/", "{{ env.TOOL_HOME or '~/none' }}/a", "{{ env.TOOL_NONE or '~/b' }}/", "{{ env.TOOL_NONE }}"]
    planned = boxed(state=state)
    own = ["--own", "/real/u/.tool", "--own", "/t/a", "--own", "/real/u/b"]
    assert planned.argv[: planned.wrapped] == (
        *("box", "/link/top", "--model", "base", *own, "--keep=/g/config", "--keep=/g/hooks"),
        "/p/logs|/p/logs/job/tool/20260101_000000|/real/u",
        "--",
    )
    assert planned.argv[planned.wrapped :] == ("tool", "run", "--model", "base", "medium")
    assert planned.folders == ("/home/u/.tool/", "/home/u/b/")


def test_a_fault_in_a_sandbox_has_its_place() -> None:
    with pytest.raises(TemplateFaultError) as caught:
        boxed(state=["{{ nothing }}"])
    assert caught.value.path == ("agents", "tool", "state", 0)


def test_without_a_sandbox_there_is_no_prefix() -> None:
    planned = invocation({"state": ["~/.tool/"]})
    assert (planned.wrapped, planned.folders, planned.argv[0]) == (0, (), "tool")


@pytest.mark.parametrize(
    "globs", [["A"], ["A*"], ["*_Z"], ["*"], ["A?C", "X"], ["[AB]C*"], ["A*C*"], ["a", "A*", "*_proxy"], []]
)
def test_globs_match_as_fnmatch_does(globs: list[str]) -> None:
    names = ("", "A", "AB", "ABC", "AXC", "BC", "BCD", "X_Z", "_Z", "a", "http_proxy", "*", "A*", "[AB]C")
    matches = matcher(globs)
    assert [name for name in names if matches(name)] == [
        name for name in names if any(fnmatch.fnmatchcase(name, glob) for glob in globs)
    ]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TOOL_URL": "http://x"}, ("tool", "--url=http://x", "")),
        ({"TOOL_URL": "http://x", "TOOL_ZONE": "eu", "OTHER": "no"}, ("tool", "--url=http://x", "eu")),
        ({}, ("tool", "")),
    ],
)
def test_env_in_templates_is_what_is_passed_on(environ: dict[str, str], words: tuple[str, ...]) -> None:
    argv = [{"when": "env.TOOL_URL", "args": ["--url={{ env.TOOL_URL }}"]}, "{{ env.TOOL_ZONE or '' }}"]
    agent = {"argv": argv, "env": {"pass": ["TOOL_*"]}, "options": {}, "stdin": "{{ env.OTHER }}"}

    planned = invocation(agent, environ=environ)

    assert (planned.argv, planned.stdin) == (words, "")


def test_what_is_taken_away_is_not_in_env_either() -> None:
    agent = {"argv": ["{{ env.KEY }}"], "env": {"pass": ["KEY"]}, "options": {}}

    assert invocation(agent, environ={"KEY": "k"}).argv == ("tool", "k")
    assert invocation(agent, {"env": {"unset": ["KEY"]}}, {"KEY": "k"}).argv == ("tool", "")
