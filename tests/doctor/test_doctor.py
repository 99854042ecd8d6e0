"""`runner doctor`: what it finds, what it advises, what it leaves alone."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from runner.process import capture
from runner.process.spawn import LaunchError
from tests.helpers import ROOT, make_project, processes_with, with_crontab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

SPEAKER = ROOT / "tests" / "doubles" / "speaker.py"
SCHEMA = json.loads((ROOT / "schema" / "doctor.schema.json").read_text())


def script(project: Project, name: str, text: str) -> Path:
    path = project.write(name, f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def agent(project: Project, binary: Path | str, **more: Any) -> None:
    """Make an agent `mine` of a program that speaks the stream-json dialect."""
    entry = {"binary": str(binary), "argv": [], "stdin": "{{ prompt }}", "parser": "claude-jsonl", **more}
    project.write("agents.yaml", json.dumps({"agents": {"mine": entry}}))


def report(project: Project, *words: str, exit_code: int = 0, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = project("doctor", "--json", *words, env=env)
    assert done.returncode == exit_code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    Draft202012Validator(SCHEMA).validate(found)
    return found


def checks(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Of the only agent."""
    (patient,) = found["agents"]
    return [check for check in patient["checks"] if check["name"] == name]


def machine(found: dict[str, Any], name: str) -> dict[str, Any]:
    (check,) = [check for check in found["machine"] if check["name"] == name]
    return check


def test_the_stock_agents_on_a_machine_without_them(stock_project: Project) -> None:
    done = stock_project("doctor", env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert "  warn  binary      `claude` was not found on PATH; to install it: npm install\n" in done.stdout
    assert "  ok    parser      claude-jsonl\n" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "/" not in line) <= 80
    assert "\x1b" not in done.stdout
    assert "warnings" in done.stdout.splitlines()[-1]


def test_a_missing_program_fails_only_whom_it_was_asked_for(stock_project: Project) -> None:
    path = {"PATH": "/usr/bin:/bin"}
    found = report(stock_project, "codex", exit_code=1, env=path)
    (binary,) = checks(found, "binary")
    assert (binary["level"], binary["found"]) == ("fail", "`codex` was not found on PATH")
    assert binary["advice"] == "to install it: npm install -g @openai/codex"
    assert found["agents"][0]["can_run"] is False
    assert report(stock_project, "demo", env=path)["agents"][0]["can_run"] is True


def test_an_unknown_agent_is_wrong_usage(stock_project: Project) -> None:
    done = stock_project("doctor", "dmeo")
    assert (done.returncode, "did you mean 'demo'?" in done.stderr) == (2, True)


@pytest.mark.parametrize("flag", ["--deep", "--live"])
def test_a_trial_needs_a_name(stock_project: Project, flag: str) -> None:
    done = stock_project("doctor", flag)
    assert (done.returncode, f"runner doctor {flag} demo" in done.stderr) == (2, True)


def test_the_version_is_asked_of_the_program_that_would_run(project: Project) -> None:
    theirs = script(project, "theirs", "echo 1.0 of theirs")
    script(project, "bin/mine", 'echo "2.0 with $*"')
    agent(project, "mine", version=["anything", "--version"])
    project.write("tasks.yaml", f'settings: {{path: ["{project.root}/bin"]}}')
    found = report(project, "mine")
    assert found["agents"][0]["version"] == "2.0 with --version"
    assert found["agents"][0]["binary"] == f"{project.root}/bin/mine"
    found = report(project, "mine", env={"RUNNER_MINE_BIN": str(theirs)})
    assert found["agents"][0]["version"] == "1.0 of theirs"
    assert checks(found, "binary")[0]["found"] == f"{theirs} (by RUNNER_MINE_BIN)"


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        ("echo oops >&2; exit 3", "warn", "exit code 3: oops"),
        ("exit 0", "warn", "exit code 0"),
        ("printf '\\033[31m1.2\\033[0m\\nmore\\n'", "ok", "1.2"),
        ("echo v9 >&2", "ok", "v9"),
        ("echo key sk-no-secret-0123456789", "ok", "key "),
    ],
)
def test_what_a_version_command_may_say(project: Project, text: str, level: str, said: str) -> None:
    agent(project, script(project, "mine", text), version=["mine"], env={"pass": ["MINE_*"]})
    (check,) = checks(report(project, "mine", env={"MINE_KEY": "sk-no-secret-0123456789"}), "version")
    assert check["level"] == level
    assert check["found"].startswith(said)
    assert "no-secret" not in check["found"]


def test_a_program_that_cannot_start_fails(project: Project) -> None:
    path = project.write("mine", "#!/no/such/interpreter\n")
    path.chmod(0o755)
    agent(project, path, version=["mine"])
    (check,) = checks(report(project, "mine", exit_code=1), "version")
    assert check["level"] == "fail"
    assert "interpreter" in check["found"]


def test_requirements_are_named_and_never_shown(project: Project) -> None:
    agent(project, script(project, "mine", ":"), requires={"env": ["A_KEY", "B_KEY"], "files": ["~/.a/auth", "~/.b"]})
    (project.home / ".a").mkdir()
    (project.home / ".a" / "auth").write_text("the login")
    done = project("doctor", "mine", "--json", env={"A_KEY": "the value"})
    assert done.returncode == 1
    assert [(check["level"], check["found"]) for check in checks(json.loads(done.stdout), "requires")] == [
        ("ok", "variable A_KEY is there"),
        ("fail", "variable B_KEY is missing"),
        ("ok", "file ~/.a/auth is there"),
        ("fail", "file ~/.b is missing"),
    ]
    assert "the value" not in done.stdout
    assert "the login" not in done.stdout


@pytest.mark.parametrize(("env", "level"), [({}, "warn"), ({"MINE_MODEL": "m"}, "ok")])
def test_a_required_model(project: Project, env: dict[str, str], level: str) -> None:
    agent(project, script(project, "mine", ":"), model={"required": True, "env": ["MINE_MODEL"]})
    (check,) = checks(report(project, "mine", env=env), "model")
    assert check["level"] == level


def test_a_parser_that_does_not_compile_is_a_configuration_error(project: Project) -> None:
    entry = {"binary": "sh", "argv": [], "parser": "broken"}
    rules = {"format": "jsonl", "errors": [{"in": "stderr", "match": "(", "class": "auth"}]}
    project.write("agents.yaml", json.dumps({"agents": {"mine": entry}, "parsers": {"broken": rules}}))
    done = project("doctor", "mine")
    assert (done.returncode, "agents.yaml:1:151: parsers.broken.errors[0].match" in done.stderr) == (3, True)


def test_the_last_good_run_and_what_changed_since(stock_project: Project) -> None:
    project = stock_project
    assert checks(report(project, "demo"), "last good")[0]["found"] == "no good run yet"
    assert project("run", "demo", "debug_hello_simple").returncode == 0
    with (project.root / "logs" / "runs.jsonl").open("a") as feed:
        feed.write('{"status": "success"}\n{"status": "success", "agent": 1\nnoise "success"\n')
    found = report(project, "demo")
    (run_id,) = [line.name for line in project.folders()]
    assert checks(found, "last good")[0]["found"] == f"{run_id} debug_hello_simple, just now"
    assert checks(found, "entry")[0]["found"] == "stock, unchanged since then"
    project.write("agents.yaml", "agents: {demo: {extends: demo, timeout: 4m}}\n")
    (entry,) = checks(report(project, "demo"), "entry")
    assert (entry["level"], entry["found"]) == (
        "warn",
        "agents.yaml:1, which extends a stock entry; the configuration changed since then",
    )
    project.write("agents.yaml", "agents: {demo: {binary: sh, argv: [], parser: text}}\n")
    (entry,) = checks(report(project, "demo"), "entry")
    assert (entry["level"], "replaces the stock entry" in entry["found"]) == ("warn", True)
    assert project("run", "demo", "debug_hello_simple").returncode == 1
    assert checks(report(project, "demo"), "last good")[0]["found"].startswith(run_id)


def test_an_older_runner_is_named(stock_project: Project) -> None:
    assert stock_project("run", "demo", "debug_hello_simple").returncode == 0
    path = stock_project.folders()[0] / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "runner_version": "0.0.1", "config_hash": "0"}))
    (entry,) = checks(report(stock_project, "demo"), "entry")
    assert entry["found"].startswith("stock; the configuration changed since then (runner 0.0.1, now ")


def test_git_identity(stock_project: Project) -> None:
    assert machine(report(stock_project, "demo"), "git")["found"] == "commits are by Tester <tester@example.invalid>"
    (stock_project.home / ".gitconfig").write_text("[user]\n  name = Tester\n")
    check = machine(report(stock_project, "demo"), "git")
    assert (check["level"], check["found"]) == ("warn", "user.email not set, so no agent can commit")
    assert machine(report(stock_project, "demo", env={"GIT_AUTHOR_EMAIL": "a@b"}), "git")["level"] == "ok"


@pytest.mark.parametrize(("folders", "level"), [(None, "ok"), ("", "warn")])
def test_time_zones(stock_project: Project, folders: str | None, level: str) -> None:
    environment = None if folders is None else {"PYTHONTZPATH": folders}
    assert machine(report(stock_project, "demo", env=environment), "time zones")["level"] == level


def test_the_log_folder(stock_project: Project, tmp_path: Path) -> None:
    check = machine(report(stock_project, "demo"), "logs")
    assert (check["level"], "inside the checkout" in check["found"]) == ("warn", True)
    assert not (stock_project.root / "logs").exists()
    stock_project.write("tasks.yaml", f"settings: {{logs: {tmp_path}/outside}}\n")
    assert machine(report(stock_project, "demo"), "logs") == {
        "name": "logs",
        "level": "ok",
        "found": f"{tmp_path}/outside",
        "advice": None,
        "field": None,
    }
    assert list(tmp_path.glob("outside*")) == []


def test_a_log_folder_that_cannot_be_written_fails_the_named_agent(stock_project: Project) -> None:
    stock_project.write("tasks.yaml", "settings: {logs: /proc/logs}\n")
    assert machine(report(stock_project, "demo", exit_code=1), "logs")["level"] == "fail"
    assert machine(report(stock_project, exit_code=1), "logs")["level"] == "fail"


def test_messages_without_the_topic(stock_project: Project) -> None:
    assert machine(report(stock_project, "demo"), "messages")["level"] == "warn"
    done = stock_project("doctor", "demo", env={"RUNNER_NTFY_TOPIC": "hidden-topic", "RUNNER_NTFY_TOKEN": "tk_hidden"})
    assert "by ntfy; `runner notify test` sends one" in done.stdout
    assert "token variable RUNNER_NTFY_TOKEN is set" in done.stdout
    assert "hidden" not in done.stdout


def test_waiting_messages_and_dead_letters_are_counted(stock_project: Project) -> None:
    stock_project.write("logs/outbox/a.json", "{}")
    assert machine(report(stock_project, "demo"), "outbox")["found"] == "1 waiting"
    stock_project.write("logs/outbox/dead/b.json", "{}")
    check = machine(report(stock_project, "demo"), "outbox")
    assert (check["level"], check["found"]) == ("warn", "1 waiting, 1 given up")


@pytest.mark.parametrize(
    ("table", "level", "found"),
    [
        ("* * * * * cd /p && /usr/bin/runner -C /p heartbeat", "ok", "1 line of the crontab, heartbeat among them"),
        (
            "0 3 * * * runner run demo x\n* * * * * runner heartbeat",
            "ok",
            "2 lines of the crontab, heartbeat among them",
        ),
        ("0 3 * * * uv run runner run demo x", "warn", "1 line of the crontab, no heartbeat"),
        ("# * * * * * runner heartbeat\n0 0 * * * rerunner run", "warn", "no line of the crontab runs `runner`"),
        (None, "warn", "no line of the crontab runs `runner`"),
    ],
)
def test_the_crontab(stock_project: Project, tmp_path: Path, table: str | None, level: str, found: str) -> None:
    text = "echo 'no crontab for tester' >&2; exit 1" if table is None else f"cat <<'EOF'\n{table}\nEOF"
    script(stock_project, "bin/crontab", text)
    path = f"{stock_project.root}/bin:{os.environ['PATH']}"
    check = machine(report(stock_project, "demo", env={"PATH": path}), "cron")
    assert (check["level"], check["found"]) == (level, found)


def test_no_crontab_command(stock_project: Project, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("git", "sh"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    check = machine(report(stock_project, "demo", env={"PATH": str(tmp_path / "bin")}), "cron")
    assert check["found"] == "`crontab` was not found on PATH"
    assert check["advice"].startswith("install cron")


def test_a_block_or_a_timer_or_nothing(stock_project: Project) -> None:
    with_crontab(stock_project)
    check = machine(report(stock_project, "demo"), "cron")
    assert (check["level"], check["found"]) == ("warn", "no line of the crontab runs `runner`")
    assert check["advice"].startswith("`runner cron install` ")
    stock_project("cron", "install")
    check = machine(report(stock_project, "demo"), "cron")
    assert (check["level"], check["found"]) == ("ok", "a block of the crontab")
    check = machine(report(stock_project, "demo", env={"PATH": f"{stock_project.env['PATH']}:/usr/sbin"}), "cron")
    assert check["found"] == "a block of the crontab"


def test_the_block_of_another_project_is_not_ours(stock_project: Project, tmp_path: Path) -> None:
    table = with_crontab(stock_project)
    stock_project("cron", "install")
    other = make_project(tmp_path / "other", stock=True)
    other.env = stock_project.env
    check = machine(report(other, "demo"), "cron")
    assert (check["level"], check["found"]) == ("warn", "no line of the crontab runs `runner`")
    table.write_text(table.read_text() + "# >>> runner /x >>>\n")
    check = machine(report(other, "demo"), "cron")
    assert (check["level"], check["found"][:22]) == ("warn", "line 5 of the crontab ")


def test_a_timer_counts(stock_project: Project) -> None:
    with_crontab(stock_project)
    stock_project("cron", "install", "--systemd")
    check = machine(report(stock_project, "demo"), "cron")
    assert (check["level"], check["found"]) == ("ok", "a systemd timer of this project is written")


@pytest.mark.parametrize(
    ("forced", "level", "found"),
    [
        (None, "ok", "(cgroup|subreaper): nothing"),
        ("subreaper", "ok", "subreaper: nothing that an agent starts outlives its run, but a storm"),
        ("group", "warn", "group: what an agent starts"),
        ("goup", "fail", "RUNNER_CONTAINMENT is `goup`"),
    ],
)
def test_the_rung_that_a_run_would_have(stock_project: Project, forced: str | None, level: str, found: str) -> None:
    env = {"RUNNER_CONTAINMENT": forced} if forced else {}
    words = [] if level == "fail" else ["demo"]
    check = machine(report(stock_project, *words, env=env, exit_code=1 if level == "fail" else 0), "containment")
    assert check["level"] == level
    assert re.match(found, check["found"])
    if forced is None:
        stock_project("run", "demo", "debug_hello_simple")
        assert check["found"].startswith(stock_project.record()["containment"])


def test_without_git(stock_project: Project, tmp_path: Path) -> None:
    check = machine(report(stock_project, "demo", exit_code=1, env={"PATH": str(tmp_path)}), "git")
    assert (check["level"], check["found"]) == ("fail", "cannot start git: No such file or directory")


# deep


def speaker(project: Project, alter: str = "cat", **more: Any) -> None:
    """An agent whose output goes through a wrapper script."""
    wrapper = script(project, "mine", f'"{sys.executable}" "{SPEAKER}" "$@" | {alter}')
    deep = {"model": "speaker-1", "env": {"SPEAKER_URL": "{{ server }}", **more.pop("pointing", {})}}
    agent(project, wrapper, version=["mine", "--version"], deep=deep, **more)


def test_an_output_that_fits(project: Project) -> None:
    speaker(project)
    project.git("add", "-A")
    project.git("commit", "-qm", "mine")
    (check,) = checks(report(project, "mine", "--deep"), "deep")
    assert (check["level"], check["found"]) == ("ok", "its output fits the parser: 1,521 in (256 cached), 49 out")
    assert project.git("status", "--porcelain") == ""
    assert not (project.root / "logs").exists()
    assert processes_with(str(project.root)) == []


@pytest.mark.parametrize(
    ("alter", "fields"),
    [
        ("""sed 's/"result": "/"answer": "/'""", ["text"]),
        ("""sed 's/"session_id"/"session"/'""", ["session_id"]),
        ("""sed 's/"input_tokens"/"tokens_in"/'""", ["usage.input_tokens"]),
        ("""sed 's/"output_tokens": 49/"output_tokens": 50/'""", ["usage.output_tokens"]),
        ("""sed 's/"cache_read_input_tokens": 256//; s/, ,/,/'""", ["usage.input_tokens", "usage.cache_read_tokens"]),
        ("""sed 's/"total_cost_usd"/"cost"/'""", ["cost_usd"]),
        ("""sed 's/"model"/"engine"/'""", ["model"]),
        ("""sed 's/Hello from/Hullo from/'""", ["text"]),
        ("""sed 's/"is_error": false/"is_error": "no"/'""", ["verdict"]),
    ],
)
def test_an_altered_output_names_the_field(project: Project, alter: str, fields: list[str]) -> None:
    speaker(project, alter)
    found = report(project, "mine", "--deep", exit_code=1)
    head, *told = checks(found, "deep")
    assert head["found"] == "this version changed its contract"
    assert [check["field"] for check in told] == fields
    assert {check["level"] for check in told} == {"fail"}
    assert all(f"`{check['field']}`" in check["found"] for check in told if check["field"] != "verdict")
    assert all("agents.yaml:" in check["advice"] for check in told if check["field"] != "verdict")
    kept = project.root / "logs" / "state" / "doctor" / "mine.log"
    assert str(kept) in head["advice"]
    assert "system" in kept.read_text()


def test_a_terminal_event_of_another_name(project: Project) -> None:
    speaker(project, """sed 's/"type": "result"/"type": "final"/'""")
    _, first, *_ = checks(report(project, "mine", "--deep", exit_code=1), "deep")
    assert first["field"] == "terminal event"
    assert first["found"] == "the terminal event is missing: no event with `type: result`, `is_error: false`"


def test_a_field_that_the_agent_never_tells(project: Project) -> None:
    speaker(project, """sed 's/"total_cost_usd"/"cost"/'""")
    entry = json.loads((project.root / "agents.yaml").read_text())
    entry["agents"]["mine"]["deep"]["without"] = ["cost_usd"]
    project.write("agents.yaml", json.dumps(entry))
    (check,) = checks(report(project, "mine", "--deep"), "deep")
    assert check["level"] == "ok"


def test_a_trial_gets_nothing_of_the_users(project: Project) -> None:
    """Neither home nor key nor proxy; what it is pointed with, and the settings file, are there."""
    tells = "HOME SECRET_KEY HTTPS_PROXY NO_PROXY npm_config_registry"
    speaker(project, "cat; cat ~/.mine/rc >&2; false", pointing={"SPEAKER_TELLS": tells}, env={"pass": ["*"]})
    entry = json.loads((project.root / "agents.yaml").read_text())
    entry["agents"]["mine"]["deep"]["files"] = {".mine/rc": "server {{ server }}\n"}
    project.write("agents.yaml", json.dumps(entry))
    env = {"SECRET_KEY": "hidden", "HTTPS_PROXY": "http://proxy.invalid"}
    report(project, "mine", "--deep", exit_code=1, env=env)
    told = dict(
        line.split(" ", 1)
        for line in (project.root / "logs/state/doctor/mine.log").read_text().splitlines()
        if not line.startswith("{")
    )
    assert told["HOME"].endswith("/home")
    assert str(project.home) != told["HOME"]
    assert not os.path.exists(told["HOME"])
    assert told["SECRET_KEY"] == "None"
    assert told["HTTPS_PROXY"] == told["npm_config_registry"].rstrip("/") == "http://127.0.0.1:9"
    assert told["server"].startswith("http://127.0.0.1:")


def test_a_settings_file_outside_the_scratch_home_is_refused(project: Project) -> None:
    speaker(project)
    entry = json.loads((project.root / "agents.yaml").read_text())
    entry["agents"]["mine"]["deep"]["files"] = {"../../escape": "x"}
    project.write("agents.yaml", json.dumps(entry))
    (check,) = checks(report(project, "mine", "--deep", exit_code=1), "deep")
    assert check["found"] == "`deep.files`: `../../escape` is not below the home folder"


def test_a_program_that_asks_another_server(project: Project) -> None:
    agent(project, script(project, "mine", "echo no login >&2; exit 1"), deep={"env": {}})
    (check,) = checks(report(project, "mine", "--deep", exit_code=1), "deep")
    assert check["found"].startswith("it did not ask the scripted server: ")
    assert "no login" in check["found"]


def test_an_agent_that_cannot_be_pointed(stock_project: Project) -> None:
    (check,) = checks(report(stock_project, "demo", "--deep"), "deep")
    assert (check["level"], check["found"]) == ("warn", "its entry does not say how to point it at another server")


# live


def test_live_runs_in_a_scratch_repository(stock_project: Project) -> None:
    (check,) = checks(report(stock_project, "demo", "--live"), "live")
    assert check["level"] == "ok"
    assert check["found"].startswith("it answered: ")
    assert ", stand-in, " in check["found"]
    assert not (stock_project.root / "logs").exists()
    assert list(stock_project.home.glob(".local/state/runner/config/*")) != []
    assert len(list(stock_project.home.glob(".local/state/runner/config/*"))) == 1


RESULT = '{"type": "result", "is_error": true, "result": "API Error: %s", "api_error_status": %s}'


@pytest.mark.parametrize(
    ("printed", "level", "words"),
    [
        (RESULT % ("Request rejected (429)", 429), "warn", "rate_limited (rate_limit): API Error"),
        (RESULT % ("nope", 401), "fail", "failed (auth): API Error: nope"),
    ],
)
def test_a_limit_is_a_warning_and_a_login_a_failure(project: Project, printed: str, level: str, words: str) -> None:
    agent(project, script(project, "mine", f"echo '{printed}'; exit 1"))
    (check,) = checks(report(project, "mine", "--live", exit_code=int(level == "fail")), "live")
    assert (check["level"], check["found"].startswith(words)) == (level, True)


def test_live_keeps_the_users_login(project: Project) -> None:
    line = '{"type": "result", "is_error": true, "result": "%s"}'
    agent(project, script(project, "mine", f"""printf '{line}' "$HOME $MINE_KEY"; exit 1"""), env={"pass": ["MINE_*"]})
    (check,) = checks(report(project, "mine", "--live", exit_code=1, env={"MINE_KEY": "here"}), "live")
    assert f"{project.home} here" in check["found"]


# short commands


def test_a_command_that_hangs_is_ended_with_its_group() -> None:
    env = {**os.environ, "MARK": str(time.monotonic())}
    child = capture.start(["sh", "-c", "echo begun; (trap '' TERM; sleep 77) & sleep 77"], env, "/")
    began = time.monotonic()
    said = capture.finish(child, 0.3, grace=0.1)
    assert (said.code, said.out) == (None, b"begun\n")
    assert time.monotonic() - began < 5
    while processes_with(f"MARK={env['MARK']}") and time.monotonic() - began < 5:
        time.sleep(0.01)  # a killed process takes a moment to go
    assert processes_with(f"MARK={env['MARK']}") == []


@pytest.mark.parametrize(
    ("text", "code", "out", "err"),
    [
        ("echo a; echo b >&2; exit 3", 3, b"a\n", b"b\n"),
        ("kill -9 $$", -9, b"", b""),
        ("(sleep 3; echo late) & echo a", 0, b"a\n", b""),
        ("cat", 0, b"", b""),
    ],
)
def test_what_a_command_said(text: str, code: int, out: bytes, err: bytes) -> None:
    said = capture.finish(capture.start(["sh", "-c", text], dict(os.environ), "/"), 10)
    assert (said.code, said.out, said.err) == (code, out, err)


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(LaunchError, match="not found"):
        capture.start(["no-such-program"], {"PATH": "/nowhere"}, "/")
