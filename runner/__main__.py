"""The door: dispatches the words, and is the one place where errors become text and exit codes."""

from __future__ import annotations

import gc
import os
import pwd
import sys

from runner.errors import DISK_ERRORS, EXIT_INTERNAL, RunnerError
from runner.text import printable
from runner.verbs import call_verb, read_verb
from runner.words import implied_run, read_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.words import RunWords

_EXIT_INTERRUPTED = 130


def main() -> None:
    """The console script; leaves by os._exit, because tearing the interpreter down takes longer than closing a run."""
    _open_standard_streams()
    _find_home()
    code = dispatch(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)


def dispatch(words: list[str]) -> int:
    """The exit code of one command."""
    try:
        return _call(implied_run(words))
    except RunnerError as error:
        # Names in it may be anybody's. Here is the one place that prints errors.
        print(printable("\n".join(error.lines())), file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; what it did read was right.
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
    # Heavy, and of no use to a run that goes well.
    import traceback  # noqa: PLC0415

    # Here, too, is the one place that prints errors.
    print(traceback.format_exc(), file=sys.stderr, end="")  # noqa: T201
    print("error: internal error; please report it with the text above", file=sys.stderr)  # noqa: T201
    return EXIT_INTERNAL


def _call(words: list[str]) -> int:
    said = read_run(words)
    if said is not None:
        return _run(said)
    verb = read_verb(words)
    if verb is not None:
        return call_verb(*verb)
    # click is 35 ms of import, which these two need not wait for.
    from runner.cli import call  # noqa: PLC0415

    return call(words)


def _run(said: RunWords) -> int:
    # What an import leaves stays for good: to look for garbage in it is a tenth of the start.
    gc.disable()
    from runner.commands.run import run  # noqa: PLC0415  # the other commands need none of it

    gc.freeze()
    gc.enable()
    return run(said)


def _open_standard_streams() -> None:
    """A caller may have closed 0, 1 or 2: the next file opened would then be written to as if it were the terminal."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIOWrapper unless somebody replaced it
    # Python makes a stream of a closed descriptor None; what takes its place stays open until the process ends.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _find_home() -> None:
    """A starter that is no login may name no home, where git's identity, the agents' settings and `~` are."""
    if not os.environ.get("HOME"):
        try:
            os.environ["HOME"] = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            pass  # a user without an entry, as in some containers


if __name__ == "__main__":
    main()
