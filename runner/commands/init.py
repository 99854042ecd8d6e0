"""`runner init`: the first agents.yaml, tasks.yaml and prompt of a repository."""

from __future__ import annotations

import os

from runner.config import find_project, stock_dir
from runner.config.display import show_file
from runner.errors import RunnerError
from runner.files import reason

_SCAFFOLD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "scaffold")
_FILES = ("agents.yaml", "tasks.yaml", "prompts/hello.md")
# Copies beside the project, because that is what an editor finds without a network, in every clone.
_SCHEMAS = ("agents.schema.json", "tasks.schema.json")
_OTHER = "  (not the runner's own of today: delete it and run `runner init` again)"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def init(project: str | None) -> int:
    """Write the files that do not exist, and print a line for each. Raises RunnerError where that is not possible."""
    root = find_project(os.getcwd(), project).root
    for name in _FILES:
        _put(os.path.join(root, name), os.path.join(_SCAFFOLD, name))
    for name in _SCHEMAS:
        _put(os.path.join(root, ".runner", "schema", name), os.path.join(stock_dir(), "schema", name), _OTHER)
    print("next: runner validate")
    return 0


def _put(path: str, source: str, note: str = "") -> None:
    """Write and print the file; `note` is printed for one that was kept and differs."""
    text = _read(source)
    written = _write(path, text)
    differs = not written and note and (not os.path.isfile(path) or _read(path) != text)
    print(f"{'written' if written else 'kept   '}  {show_file(path)}{note if differs else ''}")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _write(path: str, text: bytes) -> bool:
    """Return whether the file is new; what already has the name stays. Raises RunnerError."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    except OSError as error:
        raise _refused(os.path.dirname(path), error) from None
    try:
        file = os.fdopen(os.open(path, _NEW, 0o666), "wb")
    except FileExistsError:
        return False
    except OSError as error:
        raise _refused(path, error) from None
    try:
        with file:
            file.write(text)
    except OSError as error:
        os.unlink(path)  # the next `init` would keep a part of it
        raise _refused(path, error) from None
    return True


def _refused(path: str, error: OSError) -> RunnerError:
    return RunnerError(f"cannot write `{show_file(path)}`: {reason(error)}")
