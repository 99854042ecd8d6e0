"""Whatever the files hold, validate answers 0 or 3, within two seconds and 200 MB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.commands.validate import examine_all, validate
from runner.config.project import project_at
from tests.helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS, MEMORY = 2, 200 * 1024 * 1024
MINE = "agents:\n  mine:\n    binary: x\n    parser: text\n"


def argv(template: str, count: int) -> str:
    return MINE + "    argv:\n" + "".join(f"      - '{template}{n}'\n" for n in range(count))


def stdin(text: str) -> str:
    return MINE + f'    argv: []\n    stdin: "{text}"\n'


def lines(head: str, line: str, count: int) -> str:
    return head + "".join(line.format(n=n, m=n + 1) for n in range(count))


FILES: dict[str, tuple[str, bytes | str]] = {
    "empty": ("agents", ""),
    "a list": ("agents", "- 1\n"),
    "10 MB": ("agents", b"x" * 10_000_000),
    "tabs": ("agents", "\t" * 1000),
    "python object": ("agents", "!!python/object/apply:os.system [id]"),
    "alias bomb": ("agents", lines("x0: &x0 [1]\n", "x{m}: &x{m} [*x{n}, *x{n}, *x{n}, *x{n}]\n", 50)),
    "brackets": ("agents", "[" * 5000),
    "braces": ("agents", "{a: " * 5000),
    "indentation": ("agents", "".join(" " * n + "a:\n" for n in range(1000))),
    "a million brackets": ("agents", "[" * 1_000_000),
    "invalid UTF-8": ("agents", b"\xff" * 1000),
    "NULs": ("agents", b"\0" * 1_000_000),
    "blank": ("agents", " " * 1_000_000),
    "newlines": ("agents", "\n" * 1_000_000),
    "quotes": ("agents", "'" * 1_000_000),
    "anchors": ("agents", "&a " * 300_000),
    "a long key": ("agents", "a" * 1_000_000 + ": 1"),
    "keys": ("agents", lines("", "k{n}: 1\n", 80_000)),
    "unknown keys": ("agents", lines("agents:\n  mine:\n", "    argv{n}: x\n", 9000)),
    "templates with logic": ("agents", argv("{{ task|upper }}", 4000)),
    "unknown variables": ("agents", argv("{{ x }}", 8000)),
    "unknown filters": ("agents", argv("{{ task|x }}", 4000)),
    "prompts in argv": ("agents", argv("{{ prompt }}", 3900)),
    "one template": ("agents", stdin("{{ x }}" * 8000)),
    "open tags": ("agents", stdin("{% if x %}" * 6000)),
    "broken tags": ("agents", stdin("{{ 1+" * 8000)),
    "a deep expression": ("agents", stdin("{{ " + "(" * 30_000 + " }}")),
    "a long expression": ("agents", stdin("{{ " + "1+" * 15_000 + "1 }}")),
    "more expressions": ("agents", stdin("{{ x|y }}" * 100_000)),
    "extends in a row": ("agents", lines("agents:\n", "  a{n}: {{extends: a{m}}}\n", 4900)),
    "missing keys": ("agents", lines("agents:\n", "  a{n}: {{binary: x}}\n", 4900)),
    "unknown parsers": ("agents", lines("agents:\n", "  a{n}: {{binary: x, argv: [], parser: p{n}}}\n", 2400)),
    "defaults": ("agents", lines("defaults: {env: {set: {A: x}}}\nagents:\n", "  a{n}: {{binary: x, argv: [], parser: text}}\n", 2400)),
    "parsers": ("agents", lines("parsers:\n", "  p{n}: {{format: text, strip: ['(a{n}+)+$']}}\n", 2400)),
    "options": ("agents", lines(MINE + "    argv: ['{{ z }}']\n    options:\n", "      o{n}: 1\n", 9000)),
    "a deep regular expression": ("tasks", "tasks: {t: {prompt: x, nothing_to_do: '" + "(" * 500_000 + "'}}"),
    "a large regular expression": ("tasks", "tasks: {t: {prompt: x, nothing_to_do: '" + "[a-z]{1,60000}" * 20_000 + "'}}"),
    "a long duration": ("agents", "agents: {a: {timeout: '1m" + " " * 900_000 + "x'}}"),
    "schedules": ("tasks", lines("tasks:\n  t:\n    prompt: x\n    schedule:\n", "      - {{cron: '0 0 29 2 1', timezone: Mars/B{n}, agents: x{n}}}\n", 2400)),
    "prompts": ("tasks", lines("tasks:\n", "  t{n}: {{prompt: .}}\n", 4900)),
    "merge keys": ("agents", "x-a: &a {" + ", ".join(f"k{n}: 1" for n in range(300)) + "}\nx-b:\n" + "  - {<<: [*a, *a]}\n" * 30),
}  # fmt: skip


VALIDATE = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY}, {MEMORY}))
from runner.commands.validate import validate
sys.exit(validate(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", FILES)
def test_hostile_files(name: str, tmp_path: Path) -> None:
    """In a process of its own, not slowed by any measuring, and by its own clock: the machine may be busy. A child that takes too much memory fails."""
    kind, data = FILES[name]
    (tmp_path / f"{kind}.yaml").write_bytes(data if isinstance(data, bytes) else data.encode())
    with (tmp_path / "output").open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-c", VALIDATE, str(tmp_path)],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]},
            stdout=output,
            stderr=output,
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    printed = (tmp_path / "output").read_text()

    assert child.returncode in (0, 3), printed
    assert printed.splitlines()[-1].startswith(("ok: ", "failed: "))
    assert len(printed.splitlines()) <= 103
    assert used.ru_utime + used.ru_stime < SECONDS


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _socket(path: Path) -> None:
    os.mknod(path, 0o140600)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_fifo, "is a FIFO, expected a file"),
        (_loop, "cannot be read: a loop of symbolic links"),
        (_socket, "is a socket, expected a file"),
        (lambda path: path.mkdir(), "is a folder, expected a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, expected a file"),
        (lambda path: path.symlink_to("nowhere"), "cannot be read: no such file"),
        (
            lambda path: path.write_bytes(b"#" * (1024 * 1024 + 1)),
            "is too large: 1,048,577 bytes, the limit is 1,048,576",
        ),
    ],
)
def test_what_is_no_file(
    make: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make(tmp_path / "agents.yaml")
    monkeypatch.chdir(tmp_path)

    assert validate([]) == 3
    assert capsys.readouterr().out == f"agents.yaml: {message}\nfailed: 1 error\n"


STOCK = {kind: (ROOT / f"{kind}.yaml").read_bytes() for kind in ("agents", "tasks")}
PIECES = st.sampled_from(
    [b"\n", b"  ", b"\t", b": ", b"- ", b"[", b"]", b"{", b"}", b"{{ ", b" }}", b"{% if x %}", b"'", b'"', b"&a ", b"*a", b"!!int ", b"#", b"|", b">", b"(", b"\\", b"\xff", b"\x00", b"\xe2\x80\xae", b"0", b"-1", b"null", b"true", b"~", b"<<: ", b"extends: ", b"75", b"1e9", b"\xef\xbb\xbf", b"---\n"]
)  # fmt: skip


@st.composite
def mutants(draw: Any) -> tuple[str, bytes]:
    """A stock file with a few pieces cut out, doubled, moved or put in."""
    kind = draw(st.sampled_from(["agents", "tasks"]))
    data = STOCK[kind]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 40)))
        filling = draw(PIECES | st.binary(max_size=3) | st.just(data[at:end] * 2))
        data = data[:at] + filling + data[end:]
    return kind, data


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutants())
def test_mutants_of_the_stock_files(tmp_path: Path, mutant: tuple[str, bytes]) -> None:
    kind, data = mutant
    for name, text in {**STOCK, kind: data}.items():
        (tmp_path / f"{name}.yaml").write_bytes(text)

    report = examine_all([project_at(str(tmp_path))])

    for problem in report.problems:
        assert problem.severity in ("error", "warning")
        assert problem.line >= 0
        json.dumps(str(problem)).encode()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutants(), st.sampled_from(["text", "json", "github", "junit"]))
def test_mutants_answer_0_or_3(tmp_path: Path, mutant: tuple[str, bytes], fmt: str) -> None:
    kind, data = mutant
    (tmp_path / f"{kind}.yaml").write_bytes(data)

    assert validate([str(tmp_path)], fmt) in (0, 3)
