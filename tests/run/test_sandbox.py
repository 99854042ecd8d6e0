"""Agents in the stock sandbox, by real bubblewrap: what they can write, and that nothing else of a run changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers import DOUBLE, ROOT, Project, kill_both, sandboxes, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBER = ROOT / "tests" / "doubles" / "prober.py"
BOXES = sandboxes()
AGENTS = f"""\
{BOXES}defaults: {{sandbox: bubblewrap}}
agents:
  double:
    binary: "{{{{ python }}}}"
    argv: [{DOUBLE}, "{{{{ vars.mode }}}}", {{when: argument, args: ["{{{{ argument }}}}"]}}]
    options: {{argument: {{default: null}}}}
    stdin: "{{{{ prompt }}}}"
    parser: text
    grace: 3s
  prober:
    binary: "{{{{ python }}}}"
    argv: [{PROBER}, "{{{{ vars.paths }}}}"]
    stdin: "{{{{ prompt }}}}"
    parser: text
    state: [~/.prober/, ~/.prober.json, "{{{{ env.PROBER_HOME or '~/.unset' }}}}/own/"]
    env: {{pass: [PROBER_*]}}
"""
TASKS = """\
tasks:
  free: {prompt: prompts/free.md, vars: {mode: hello, paths: ""}}
"""
GONE = "No such file or directory"
READ_ONLY = "Read-only file system"


def in_tmp(folder: Path) -> bool:
    """Where the tests lie below /tmp, what is not let in is not even seen."""
    return str(folder).startswith("/tmp/")


@pytest.fixture
def boxed(project: Project) -> Project:
    """Agents that are confined by default, in a project whose files are committed."""
    return confined(project)


def confined(project: Project) -> Project:
    project.write("agents.yaml", AGENTS)
    project.write("tasks.yaml", TASKS)
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "agents")
    return project


def probe(project: Project, paths: list[str], *words: str, **options: Any) -> dict[str, str]:
    """What the agent could write, by path."""
    done = project("run", "prober", "free", "--var", f"paths={':'.join(paths)}", *words, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = json.loads(project.record()["text"])
    return found


def test_the_demo_agent_commits_in_the_workspace(boxed: Project) -> None:
    done = boxed("run", "demo", "debug_smoke_commit")
    assert done.returncode == 0, done.stdout + done.stderr
    record = boxed.record()
    assert [commit["subject"] for commit in record["commits"]] == [f"Smoke test {record['run_id']}"]
    assert (record["argv"][0], record["argv"][-2:]) == ("bwrap", ["--model", "stand-in"])
    assert record["survivors"] == 0
    assert boxed.git("status", "--porcelain") == ""
    assert boxed.git("log", "-1", "--format=%an") == "Tester"


def test_it_cannot_write_elsewhere(boxed: Project, tmp_path: Path) -> None:
    """Everything in the table is tried by one run, and looked at from outside afterwards."""
    other = tmp_path / "other"
    other.mkdir()
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    (boxed.home / ".prober.json").write_text("{}")
    assert boxed("run", "double", "free").returncode == 0
    before = boxed.folders()[0]
    writable = [
        f"{boxed.root}/",
        f"{boxed.root}/README",
        f"{boxed.root}/agents.yaml",
        f"{boxed.root}/.git/objects/",
        f"{boxed.home}/.prober/",
        f"{boxed.home}/.prober.json",
        f"{tmp_path}/elsewhere/own/",
    ]
    its_own = ["/tmp/", "/var/tmp/", "/run/", "/dev/shm/"]
    hidden = GONE if in_tmp(tmp_path) else READ_ONLY
    refused = {
        f"{other}/": hidden,
        f"{other}/.git/config": hidden,
        f"{tmp_path}/": "written" if hidden == GONE else READ_ONLY,
        f"{boxed.home}/": READ_ONLY,
        f"{boxed.home}/.gitconfig": READ_ONLY,
        f"{boxed.home}/.local/state/runner/": READ_ONLY,
        f"{before}/metadata.json": READ_ONLY,
        f"{before}/": READ_ONLY,
        f"{boxed.root}/logs/runs.jsonl": READ_ONLY,
        f"{boxed.root}/logs/outbox/": GONE,
        f"{boxed.root}/.git/config": READ_ONLY,
        f"{boxed.root}/.git/hooks/post-commit": READ_ONLY,
        "/etc/": READ_ONLY,
        f"{ROOT}/": READ_ONLY,
        "/proc/sys/kernel/core_pattern": READ_ONLY,
        "/sys/kernel/mm/transparent_hugepage/enabled": READ_ONLY,
    }
    found = probe(boxed, [*writable, *its_own, *refused], env={"PROBER_HOME": f"{tmp_path}/elsewhere"})
    # Who is not root is refused by the files' modes before the file system is asked.
    found = {path: READ_ONLY if said == "Permission denied" else said for path, said in found.items()}
    assert found == {**dict.fromkeys([*writable, *its_own], "written"), **refused}
    for path in [*its_own, *(name for name in refused if name.endswith("/"))]:
        assert not Path(path, "probe").exists(), path
    for path in (name for name in refused if not name.endswith("/") and Path(name).is_file()):
        assert "by the prober" not in Path(path).read_text(), path
    for path in writable:
        assert "by the prober" in Path(path, "probe" if path.endswith("/") else "").read_text(), path
    assert json.loads((before / "metadata.json").read_text())["status"] == "success"


def test_its_own_record_is_not_its_to_change(boxed: Project) -> None:
    text = (boxed.root / "agents.yaml").read_text()
    boxed.write(
        "agents.yaml",
        text.replace("{{ vars.paths }}", "{{ run_dir }}/:{{ run_dir }}/metadata.json:{{ run_dir }}/transcript.log"),
    )
    found = probe(boxed, [])
    assert [found[path] for path in sorted(found)] == ["written", READ_ONLY, READ_ONLY]


def test_a_project_elsewhere_is_read_only(boxed: Project, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    paths = [f"{repo}/", f"{boxed.root}/logs/runs.jsonl", f"{boxed.root}/agents.yaml"]
    found = probe(boxed, paths, "--repo", str(repo))
    # Below /tmp it writes into a file of the sandbox's own.
    assert [found[path] for path in paths] == ["written", READ_ONLY, "written" if in_tmp(tmp_path) else READ_ONLY]
    assert (boxed.root / "agents.yaml").read_text() == AGENTS


def make_repo(folder: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run(
        [
            "git",
            "-C",
            str(folder),
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@t",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "first",
        ],
        check=True,
    )
    return folder


def test_a_worktree(boxed: Project, tmp_path: Path) -> None:
    """Its commits go to the git folder of the main checkout, whose files stay out of reach."""
    tree = tmp_path / "tree"
    boxed.git("worktree", "add", "-q", str(tree), "-b", "night")
    done = boxed("run", "demo", "debug_smoke_commit", "--repo", str(tree))
    assert (done.returncode, len(boxed.record()["commits"])) == (0, 1), done.stdout + done.stderr
    own = boxed.root / ".git" / "worktrees" / "tree"
    paths = [
        f"{tree}/",
        f"{own}/",
        f"{boxed.root}/README",
        f"{tree}/.git",
        f"{own}/commondir",
        f"{boxed.root}/.git/config",
    ]
    found = probe(boxed, paths, "--repo", str(tree))
    hidden = "written" if in_tmp(tmp_path) else READ_ONLY
    assert [found[path] for path in paths] == ["written", "written", hidden, READ_ONLY, READ_ONLY, READ_ONLY]
    assert "prober" not in (boxed.root / "README").read_text()


def test_odd_paths(tmp_path: Path) -> None:
    """A blank, a quote and a letter of another alphabet in the path; a checkout by a symbolic link; a folder below its top."""
    from tests.helpers import make_project

    project = confined(make_project(tmp_path / "it's a \u00fcber folder"))
    (project.root / "below").mkdir()
    link = ROOT / "tests" / "data" / f".link-{os.getpid()}"  # not below /tmp, where it would not be seen
    link.symlink_to(project.root)
    try:
        for folder in (str(project.root), str(link), f"{link}/below"):
            done = project("-C", str(link), "run", "demo", "debug_smoke_commit", "--repo", folder)
            assert done.returncode == 0, done.stdout + done.stderr
            assert len(project.record()["commits"]) == 1
    finally:
        link.unlink()


@pytest.mark.parametrize("mode", ["double_fork", "stubborn_daemon", "daemon_keeps_stdout"])
@pytest.mark.parametrize("rung", ["cgroup", "subreaper", "group"])
def test_nothing_outlives_it(boxed: Project, mode: str, rung: str) -> None:
    done = boxed("run", "double", "free", "--var", f"mode={mode}", env={"RUNNER_CONTAINMENT": rung})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (boxed.record()["survivors"], boxed.processes()) == (0, [])


@pytest.mark.parametrize(
    ("mode", "words", "code", "reason", "agent_exit_code", "agent_signal"),
    [
        ("hello", [], 0, None, 0, None),
        ("exit_with", ["--set", "argument=7"], 1, "agent_error", 7, None),
        ("exit_with", ["--set", "argument=145"], 1, "agent_error", 145, None),
        ("kill_myself", [], 1, "crashed", None, signal.SIGKILL),
        ("hang", ["--timeout", "1s"], 11, "timeout", 143, None),
        ("ignore_term", ["--timeout", "2s"], 11, "timeout", None, signal.SIGKILL),
    ],
)
def test_the_end_passes_through(
    boxed: Project,
    mode: str,
    words: list[str],
    code: int,
    reason: str | None,
    agent_exit_code: int | None,
    agent_signal: int | None,
) -> None:
    done = boxed("run", "double", "free", "--var", f"mode={mode}", *words)
    record = boxed.record()
    assert (done.returncode, record["reason"]) == (code, reason), done.stdout + done.stderr
    assert (record["agent_exit_code"], record["agent_signal"]) == (agent_exit_code, agent_signal)
    assert boxed.processes() == []


@pytest.mark.parametrize("sandbox", ["bubblewrap", "nicely"])
def test_an_agent_that_is_ended_has_its_grace(boxed: Project, sandbox: str) -> None:
    """Also in a sandbox that becomes the agent itself, as `nice` does."""
    script = 'trap "sleep 0.3; echo tidied; exit 0" TERM; echo up; while :; do sleep 0.05; done'
    agent = f"  tidy: {{binary: sh, argv: [-c, '{script}'], parser: text, sandbox: {sandbox}, grace: 20s}}\n"
    nicely = "{nicely: [nice, -n, '1']"
    boxes = BOXES.replace("{", f"{nicely}, ", 1) if BOXES else f"sandboxes: {nicely}}}\n"
    boxed.write("agents.yaml", AGENTS.replace(BOXES, "", 1) + agent + boxes)
    assert boxed("run", "tidy", "free", "--timeout", "2s").returncode == 11
    assert boxed.record()["text"].split() == ["up", "tidied"]


def hanging(boxed: Project) -> subprocess.Popen[str]:
    run = boxed.start("run", "double", "free", "--var", "mode=hang_with_daemon")
    wait_until(lambda: any(path.stat().st_size for path in boxed.root.glob("logs/*/*/*/stdout.log")))
    return run


def test_a_killed_runner(boxed: Project) -> None:
    run = hanging(boxed)
    run.kill()
    run.communicate()
    wait_until(lambda: boxed.record()["status"] == "lost")
    wait_until(lambda: boxed.processes() == [])


def test_a_killed_runner_and_guardian(boxed: Project) -> None:
    """Nobody is left to end it; the sandbox dies with its parent."""
    kill_both(hanging(boxed))
    wait_until(lambda: boxed.processes() == [])


def test_it_sees_no_other_process(boxed: Project) -> None:
    agent = "  looker: {binary: sh, argv: [-c, 'cd /proc && echo [0-9]* && echo $RUNNER_RUN_DIR'], parser: text}\n"
    boxed.write("agents.yaml", AGENTS + agent)
    assert boxed("run", "looker", "free").returncode == 0
    pids, folder = boxed.record()["text"].splitlines()
    assert [int(pid) < 10 for pid in pids.split()] == [True] * len(pids.split())
    assert folder == str(boxed.folders()[-1])


def without_bubblewrap(folder: Path) -> str:
    """A PATH that has all but bubblewrap."""
    folder.mkdir()
    for name in ("git", "sh"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_without_bubblewrap(boxed: Project, tmp_path: Path) -> None:
    path = {"PATH": without_bubblewrap(tmp_path / "bin")}
    done = boxed("run", "demo", "debug_hello_simple", env=path)
    record = boxed.record()
    assert (done.returncode, record["reason"]) == (1, "launch_failed")
    assert "`bwrap` was not found on PATH" in record["error"]["message"]
    done = boxed("doctor", "demo", env=path)
    assert done.returncode == 1
    found = "fail sandbox bubblewrap: `bwrap` was not found on PATH; to install it: apt install bubblewrap"
    assert found in " ".join(done.stdout.split())


def test_the_agents_own_program_is_missing(boxed: Project) -> None:
    """Said as without a sandbox, and not in the sandbox's words."""
    boxed.write("agents.yaml", AGENTS + "  absent: {binary: no-such-program, argv: [], parser: text}\n")
    assert boxed("run", "absent", "free").returncode == 1
    record = boxed.record()
    assert (record["reason"], record["error"]["message"].split(" on ")[0]) == (
        "launch_failed",
        "`no-such-program` was not found",
    )


def test_doctor(boxed: Project) -> None:
    done = boxed("doctor", "demo")
    assert "ok    sandbox     bubblewrap works here" in done.stdout, done.stdout
    boxed.write("agents.yaml", "agents: {}\n")
    assert "bubblewrap works here; no agent uses it" in boxed("doctor").stdout
    boxed.write(
        "agents.yaml", "agents: {demo: {extends: demo, sandbox: odd}}\nsandboxes: {odd: [bwrap, --no-such-word, --]}\n"
    )
    done = boxed("doctor", "demo")
    assert done.returncode == 1
    assert "fail  sandbox     odd: bwrap: Unknown option --no-such-word" in done.stdout


def test_it_can_be_left_out(boxed: Project) -> None:
    boxed.write("agents.yaml", AGENTS + "  demo: {extends: demo, sandbox: null}\n")
    assert boxed("run", "demo", "debug_hello_simple").returncode == 0
    assert "bwrap" not in boxed.record()["argv"]


def test_show(boxed: Project) -> None:
    shown = boxed("agents", "show", "prober").stdout
    assert "sandbox: bubblewrap" in shown
    assert "~/.prober/" in shown


@pytest.fixture
def nobody() -> Iterator[dict[str, Any]]:
    """Words that turn root into somebody without rights, and a folder of theirs; as somebody already, none are needed."""
    root = os.geteuid() == 0
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    with tempfile.TemporaryDirectory() as folder:
        if root:
            os.chown(folder, 65534, 65534)
        yield {"words": words if root else [], "folder": folder}


def test_without_any_right(boxed: Project, nobody: dict[str, Any]) -> None:
    """Bubblewrap then makes a user namespace; files keep their owner. The sandbox's words, as a run would have them."""
    repo, words = f"{nobody['folder']}/repo", nobody["words"]
    environment = {"PATH": os.environ["PATH"], "HOME": nobody["folder"]}
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        identity = ["-c", "user.name=T", "-c", "user.email=t@t"]
        where = [] if command[0] == "init" else ["-C", repo]
        last = [repo] if command[0] == "init" else []
        subprocess.run([*words, "git", *identity, *where, *command, *last], check=True, env=environment, cwd="/")
    boxed.write("tasks.yaml", f"{TASKS}settings: {{logs: {nobody['folder']}/logs}}\n")
    planned = boxed("run", "demo", "free", "--repo", repo, "--dry-run", "--json", env={"HOME": nobody["folder"]})
    argv = json.loads(planned.stdout)["argv"]
    script = (
        "git -c user.name=T -c user.email=t@t commit -q --allow-empty -m night && stat -c %u . && echo x > new && "
        "touch /tmp/own && ! touch /etc/probe 2>/dev/null && ! touch .git/config 2>/dev/null && id -u"
    )
    done = subprocess.run(
        [*words, *argv[: argv.index("--") + 1], "sh", "-c", script],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    uid = str(os.stat(repo).st_uid)
    assert (done.returncode, done.stdout.split()) == (0, [uid, uid]), done.stderr
    assert os.stat(f"{repo}/new").st_uid == int(uid)


@pytest.mark.parametrize(
    ("held", "advice"), [("0", "allow it"), ("1", None), (None, None)], ids=["forbidden", "permitted", "not known"]
)
def test_doctor_knows_a_kernel_that_forbids_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str | None, advice: str | None
) -> None:
    from runner.doctor import sandbox_check as sandbox

    path = tmp_path / "unprivileged_userns_clone"
    if held is not None:
        path.write_text(f"{held}\n")
    monkeypatch.setattr(sandbox, "_FORBIDDEN", ((str(path), "0", "allow it"),))
    assert sandbox._permitted() == advice
