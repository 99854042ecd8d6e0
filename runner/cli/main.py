"""Starts a command, and is the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys

from runner.cli.reader import COMMANDS, call, implied_run, read, take_project
from runner.cli.streams import OutputError, open_standard_streams
from runner.errors import DISK_ERRORS, EXIT_INTERNAL, EXIT_IO, RunnerError, UsageError
from runner.text import printable

_EXIT_INTERRUPTED = 130
_STARTS = ("run", "heartbeat", "occurrence")


def main() -> None:
    """The console script; leaves by os._exit, because an interpreter takes longer to shut down than a run to close."""
    open_standard_streams()
    _find_home()
    code = dispatch(sys.argv[1:])
    try:
        sys.stdout.flush()  # what was printed before an error
    except OutputError:
        pass
    os._exit(code)


def dispatch(args: list[str]) -> int:
    """Run one command; returns its exit code."""
    try:
        return _call(implied_run(args))
    except OutputError as error:
        if error.exit_code == EXIT_IO:
            _print_error(f"error: {error}")
        return error.exit_code
    except RunnerError as error:
        _print_error(printable("\n".join(error.lines())))  # the text may hold names from anywhere
        _report(args, error)
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except OSError as error:
        return _no_room(error) if error.errno in DISK_ERRORS else _internal()
    except Exception:
        return _internal()


def _print_error(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  # the one place that prints errors


def _report(args: list[str], error: RunnerError) -> None:
    """Send a message of wrong words that should have started something, where no terminal shows them."""
    project, words = take_project(implied_run(args))
    starts = bool(words) and (words[0] in _STARTS or not any(command.words[0] == words[0] for command in COMMANDS))
    watched = sys.stderr.isatty() and "--unattended" not in words
    if error.reported or not starts or watched or "--dry-run" in words or not isinstance(error, UsageError):
        return
    from runner.commands._project import Watch  # noqa: PLC0415 - brings all that sends messages, for a start that failed

    try:
        with Watch(project, report=True, words=" ".join(words)):
            raise error
    except (RunnerError, OSError):
        pass  # it was printed


def _no_room(error: OSError) -> int:
    what = f"cannot write `{error.filename}`" if error.filename else "cannot write"
    _print_error(f"error: {what}: {(error.strerror or str(error)).lower()}")
    return RunnerError.exit_code


def _internal() -> int:
    import traceback  # noqa: PLC0415 - slow to import, and only needed here

    _print_error(f"{traceback.format_exc()}error: internal error; please report it with the text above")
    return EXIT_INTERNAL


def _call(args: list[str]) -> int:
    found = read(args)
    if found is not None:
        code = call(*found)
    else:
        from runner.cli.app import main as run_click  # noqa: PLC0415 - click is 35 ms of import, which the reader saves

        code = run_click(args)
    sys.stdout.flush()
    return code


def _find_home() -> None:
    """Set HOME where the starter did not, as cron may: git's identity, the agents' settings and `~` are there."""
    if not os.environ.get("HOME"):
        import pwd  # noqa: PLC0415 - only where HOME is not set, as in no login

        try:
            os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            pass  # a user without an entry, as in some containers
