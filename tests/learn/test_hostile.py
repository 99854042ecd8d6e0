"""`runner learn` with CLIs that misbehave, and with an agents.yaml that is not as one would wish."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.helpers import state, wait_until

if TYPE_CHECKING:
    from tests.helpers import Project

SECRET = "sk-test-0123456789-of-nobody"
PYTHON = "import sys, json\n"

# what it does: the program, what must be said or proposed
PROGRAMS: dict[str, tuple[str, str]] = {
    "prints 100 MB": (f"{PYTHON}for _ in range(100): sys.stdout.write('word ' * 200_000 + '\\n')", "format: text"),
    "prints a million lines": (f"{PYTHON}sys.stdout.write('429 too many\\n' * 1_000_000)", "format: text"),
    "prints many events": (
        f"{PYTHON}for i in range(150_000): print(json.dumps({{'type': f't{{i % 9}}', 'text': 'x' * 40, 'k': {{i: i}}}}))",
        "format: jsonl",
    ),
    "prints NUL bytes": (f"{PYTHON}sys.stdout.write('a\\0b\\n\\0\\n')", "format: text"),
    "prints deep JSON": (
        f"{PYTHON}print('{{\"a\":' * 900 + '1' + '}}' * 900); print('{{\"a\":' * 100_000); print('[' * 100_000)",
        "format:",
    ),
    "prints escapes": (
        f"{PYTHON}sys.stdout.write('\\033[31mred\\033[0m \\033]0;title\\007 \\033[2J\\n')",
        "format: text",
    ),
    "prints YAML in its keys": (
        (
            f"{PYTHON}print(json.dumps({{'type': '# x: y\\n', 'a b': {{'[0]': 'z', '': 'q', 'text': 'hi # there: *a &b'}}}})); "
            "print(json.dumps({'type': 'end', 'text': '!tag', 'session_id': '* &a', 'null': 1, 'model': 'yes'}))"
        ),
        "format:",
    ),
    "never ends": (f"{PYTHON}import time\nprint('begun', flush=True)\ntime.sleep(600)", "live  timeout"),
    "ignores SIGTERM": (
        f"{PYTHON}import time, signal\nsignal.signal(15, signal.SIG_IGN)\nprint('begun', flush=True)\ntime.sleep(600)",
        "live  timeout",
    ),
    "writes links, a FIFO, and names that are none": (
        (
            f"{PYTHON}import os\nos.chdir(sys.argv[1])\nos.symlink('/etc/passwd', 'p')\nos.symlink('/', 'root')\n"
            "os.mkfifo('f')\nopen(b'\\xff\\n', 'w').close()\nopen('kept', 'w').write('x')\nprint('hi')"
        ),
        "wrote {{ run_dir }}/kept",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(project: Project, name: str) -> None:
    program, said = PROGRAMS[name]
    path = str(project.write("odd.py", program))
    done = project("learn", "odd", "--yes", "--timeout", "3s", "--", sys.executable, path, "{{ run_dir }}")

    assert done.returncode == 0, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    project.write("p.patch", done.stdout)
    project.git("apply", "p.patch")
    assert project("validate").returncode == 0
    files = project.root / "recordings" / "odd" / "live" / "files"
    assert [path.name for path in files.iterdir()] == ["kept"] if "wrote" in said else not files.exists()


def test_a_daemon_does_not_live_on(project: Project) -> None:
    script = (
        'setsid sh -c "echo \\$\\$ > daemon; exec sleep 300" & while ! test -s daemon; do sleep 0.05; done; cat daemon'
    )
    done = project("learn", "odd", "--yes", "--", "sh", "-c", script)

    assert done.returncode == 0, done.stderr
    pid = int((project.root / "recordings/odd/live/stdout").read_text())
    wait_until(lambda: state(pid) in ("", "Z"))


def test_secrets_are_masked_wherever_it_puts_them(project: Project) -> None:
    script = 'echo "key $MY_API_KEY"; echo "$MY_API_KEY" >&2; echo "$MY_API_KEY" > "$0/report"'
    done = project(
        "learn", "odd", "--yes", "--write", "--", "sh", "-c", script, "{{ run_dir }}", env={"MY_API_KEY": SECRET}
    )

    assert done.returncode == 0, done.stderr
    kept = [path for path in (project.root / "recordings").rglob("*") if path.is_file()]
    assert {path.name for path in kept} >= {"stdout", "stderr", "report"}
    shown = [done.stdout, done.stderr, *(path.read_text() for path in (*kept, project.root / "agents.yaml"))]
    assert [text for text in shown if SECRET in text] == []
    assert (project.root / "recordings/odd/live/stdout").read_text() == "key ***\n"


def test_secrets_in_files_that_are_read_are_not_shown(project: Project) -> None:
    project.write("out.jsonl", f'{{"type": "say", "text": "{SECRET}", "session_id": "{SECRET}"}}\n')
    done = project("learn", "odd", "--from", "out.jsonl", env={"MY_API_KEY": SECRET})

    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["null", "on", "yes", "0x1", "1e3", "12", "1-2", "true"])
def test_names_that_yaml_takes_for_something_else(project: Project, name: str) -> None:
    for code in (0, 2):
        done = project("learn", name, "--yes", "--write", "--", "echo", "hi", "1e3", "0o7")
        assert done.returncode == code, done.stderr
    assert f"has `agents.{name}` already" in done.stderr
    found = yaml.safe_load((project.root / "agents.yaml").read_text())
    assert found["agents"][name]["argv"] == ["hi", "1e3", "0o7"]
    assert found["parsers"][name] == {"format": "text"}


AGENT = "{binary: a, argv: [], stdin: '{{ prompt }}', parser: text}"

# An agents.yaml that an entry fits into.
PLACES = {
    "empty": "",
    "comments alone": "# nothing yet\n",
    "empty sections": "agents: {}\nparsers: {} # none\n",
    "no line end": f"agents:\n  a: {AGENT}",
    "line ends of Windows": f"agents:\r\n  a: {AGENT}\r\n\r\nparsers:\r\n  b: {{format: text}}\r\n",
    "a byte order mark": f"\ufeffagents:\n  a: {AGENT}\n",
    "four blanks": f"agents:\n    a: {AGENT}\n",
    "comments at the end": f"agents:\n  a: {AGENT}\n  # the end\n# of all\n\nstock: false\n",
    "tabs in comments": f"agents:\n  a: {AGENT} #\ttab\n  #\tmore\n",
    "an anchor": f"agents: &all\n  a: &one {AGENT}\nparsers:\n  b: &two {{format: text}}\n",
    "a last anchor": f"agents:\n  a: {AGENT}\n  b: &last\n    <<: {AGENT}\nparsers:\n",
    "a block at the end": "agents:\n  a:\n    binary: a\n    argv: []\n    parser: text\n    stdin: |\n      {{ prompt }}\n\n\nstock: false\n",
    "a document's start": f"---\nagents:\n  a: {AGENT}\n",
}


@pytest.mark.parametrize("name", PLACES)
def test_an_entry_leaves_the_rest_as_it_is(project: Project, name: str) -> None:
    before = PLACES[name].encode()
    path = project.root / "agents.yaml"
    path.write_bytes(before)
    printed = project("learn", "odd", "--yes", "--", "echo", "hi")
    done = project("learn", "odd", "--yes", "--write", "--", "echo", "hi")

    assert (printed.returncode, done.returncode) == (0, 0), done.stderr
    after = path.read_bytes()
    kept = [line.strip() for line in before.splitlines() if line.strip() and b"{}" not in line]
    assert [line for line in kept if line not in [other.strip() for other in after.splitlines()]] == []
    assert (b"\r\n" in before) == (after.count(b"\r\n") == after.count(b"\n") > 0)
    if name in ("line ends of Windows", "a byte order mark", "empty"):
        return  # `print` takes out such marks, and a new file has nothing to be patched
    path.write_bytes(before)
    project.write("p.patch", printed.stdout)
    project.git("apply", "p.patch")
    assert path.read_bytes() == after


# One that it does not fit into: said before anything is run.
NO_PLACE = {
    "flow style": (f"{{agents: {{a: {AGENT}}}}}\n", "no place where an entry would leave the rest as it is"),
    "a section on one line": (f"agents: {{a: {AGENT}}}\n", "`agents` is written on one line"),
    "a quoted key": (f'"agents":\n  a: {AGENT}\n', "no place where"),
    "the end of a document": (f"agents:\n  a: {AGENT}\n...\n", "no place where"),
    "a list": ("- agents\n", "is no mapping"),
    "no YAML": ("agents: [\n", "is not YAML"),
    "a tab behind a value": (f"agents:\n  a: {AGENT}\t# tab\n", "is not YAML"),
    "tabs": (f"agents:\n\ta: {AGENT}\n", "is not YAML"),
    "deep": ("agents: " + "[" * 5000, "is not YAML"),
    "no text": ("\x00", "is not YAML"),
    "a second time": ("agents:\n  odd: {}\n", "has `agents.odd` already"),
    "its parser": ("parsers:\n  odd: {format: text}\n", "has `parsers.odd` already"),
}


@pytest.mark.parametrize("name", NO_PLACE)
def test_no_place_is_said_before_anything_is_run(project: Project, name: str) -> None:
    text, said = NO_PLACE[name]
    project.write("agents.yaml", text)
    done = project("learn", "odd", "--yes", "--", "sh", "-c", "echo hi")

    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.root / "recordings").exists()
    assert (project.root / "agents.yaml").read_text() == text


def test_a_folder_that_takes_no_recordings(project: Project) -> None:
    project.write("recordings", "in the way")
    done = project("learn", "odd", "--yes", "--", "echo", "hi")

    assert done.returncode == 1
    assert "cannot keep the recording in" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_recording_without_stdout(project: Project) -> None:
    project.write("recordings/odd/one/exit.json", '{"code": 0}')
    done = project("learn", "odd", "--from", "recordings/odd/one")

    assert done.returncode == 2
    assert "cannot read `recordings/odd/one/stdout`: " in done.stderr


def test_an_interrupt_ends_it_and_what_it_runs(project: Project) -> None:
    before = (project.root / "agents.yaml").read_text()
    script = 'echo $$ > pid; mv pid "$0"; exec sleep 300'
    words = [
        "learn",
        "odd",
        "--yes",
        "--write",
        "--timeout",
        "60s",
        "--",
        "sh",
        "-c",
        script,
        str(project.root / "child"),
    ]
    process = project.start(*words)
    wait_until((project.root / "child").exists)
    child = int((project.root / "child").read_text())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert state(child) in ("", "Z")
    assert (project.root / "agents.yaml").read_text() == before
