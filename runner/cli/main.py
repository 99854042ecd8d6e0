"""Starts a command, and is the one place where errors become text and exit codes."""

from __future__ import annotations

import os
import sys

from runner.cli.reader import call, implied_run, read
from runner.errors import DISK_ERRORS, EXIT_INTERNAL, RunnerError
from runner.mask import masked_streams
from runner.text import printable

_EXIT_INTERRUPTED = 130


def main() -> None:
    """The console script; leaves by os._exit, because an interpreter takes longer to shut down than a run to close."""
    _open_standard_streams()
    _find_home()
    code = dispatch(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def dispatch(args: list[str]) -> int:
    """Run one command; returns its exit code."""
    try:
        return _call(implied_run(args))
    except RunnerError as error:
        # The text may hold names from anywhere. This is the one place that prints errors.
        print(printable("\n".join(error.lines())), file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output is gone; what it read was right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        return _no_room(error) if error.errno in DISK_ERRORS else _internal()
    except Exception:
        return _internal()


def _no_room(error: OSError) -> int:
    what = f"cannot write `{error.filename}`" if error.filename else "cannot write"
    print(f"error: {what}: {(error.strerror or str(error)).lower()}", file=sys.stderr)  # noqa: T201  # the same place
    return RunnerError.exit_code


def _internal() -> int:
    # Slow to import, and only needed here.
    import traceback  # noqa: PLC0415

    # The same place.
    print(traceback.format_exc(), file=sys.stderr, end="")  # noqa: T201
    print("error: internal error; please report it with the text above", file=sys.stderr)  # noqa: T201
    return EXIT_INTERNAL


def _call(args: list[str]) -> int:
    found = read(args)
    if found is None:
        # click is 35 ms of import, which what the reader understands does without.
        from runner.cli.app import main as run_click  # noqa: PLC0415

        return run_click(args)
    return call(*found)


def _open_standard_streams() -> None:
    """Replace what the caller closed of 0, 1 and 2: else the next file opened would be written to as the terminal."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper unless replaced
    # Python makes the stream of a closed descriptor None; its replacement stays open until the process ends.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stdout, sys.stderr = masked_streams(sys.stdout, sys.stderr, os.environ)


def _find_home() -> None:
    """Set HOME where the starter did not, as cron may: git's identity, the agents' settings and `~` are there."""
    if not os.environ.get("HOME"):
        import pwd  # noqa: PLC0415  # a login has a HOME

        try:
            os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            pass  # a user without an entry, as in some containers
