"""A configuration that is broken while nobody looks: told once, by the last notify settings that were valid."""

from __future__ import annotations

import os
import time
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner.config.project import TASKS
from runner.errors import ConfigError, Problem, RunnerError
from runner.mask import mask_known_tokens, mask_text, secrets_of
from runner.notify.last_valid import Memory, logs_of, nearest
from runner.notify.message import broken_message
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Policy, loudness, read_policy, rendered
from runner.template import TemplateError
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.config import Config
    from runner.notify.last_valid import Place
    from runner.records.folder import Logs

LOADING, GONE = "configuration", "files"
"""What was wrong, beside a run's agent and task: the files as a whole, and files that are no longer there."""

_BUDGET = 5.0  # seconds for messages
_PRIORITY = 4
_MEND = "mend it and check with `runner validate`; `runner triage` says what was missed"


def remember(place: Place, config: Config, environ: Mapping[str, str]) -> None:
    """Keep what a valid configuration says of messages; `config.settings` is unrendered.

    On a warm start one small file is read and nothing is written.
    """
    known = place.read()
    if known is not None and known.digest == config.digest and not _outdated(known):
        return
    if not _renders(config, environ):
        return
    lock = place.lock()
    if lock is not None:
        place.write(_renewed(place.read() or Memory(), config))
        os.close(lock)


def _outdated(known: Memory) -> bool:
    """Whether something was said of it that a valid configuration contradicts."""
    return known.noted is not None or LOADING in known.told or (GONE in known.told and not known.gone)


def _renewed(known: Memory, config: Config) -> Memory:
    files = tuple(path for path in (config.project.agents_file, config.project.tasks_file) if path is not None)
    missed = tuple(path for path in known.gone if path not in files)
    told = {key: digest for key, digest in known.told.items() if key != LOADING and (missed or key != GONE)}
    kept = replace(known, digest=config.digest, files=(*files, *missed), told=told, noted=None)
    if any(os.path.basename(path) == TASKS for path in missed):
        return kept  # what is valid now is only what is left without the file that said where messages go
    return replace(kept, notify=dict(config.notify), logs=config.settings.get("logs"))


def well(place: Place, cause: str) -> None:
    """What was told under `cause` is over; should it come again, it is told again."""
    known = place.read()
    if known is None or cause not in known.told:
        return
    lock = place.lock()
    if lock is not None:
        known = place.read() or known
        place.write(replace(known, told={key: digest for key, digest in known.told.items() if key != cause}))
        os.close(lock)


def missing(state: str | None, start: str, root: str) -> tuple[Place, ConfigError] | None:
    """The YAML files that the project had, and that went while nobody looked."""
    found = nearest(state, start, root)
    if found is None or not found[1].gone:
        return None
    place, memory = found
    hint = "put it back, or start a run from a terminal when it is meant to be gone"
    return place, ConfigError(Problem(path, 0, 0, "is gone", hint=hint) for path in memory.gone)


def config_broken(
    place: Place, error: RunnerError, cause: str, environ: Mapping[str, str], now: float, *, each: bool
) -> bool:
    """Into the runner's log, and by a message unless the same words were told already; whether it was news.

    `each`: note it in the log each time, not only as news. Never raises for what a server does.
    """
    known = place.read() or Memory()
    secrets = secrets_of(environ)
    words = [mask_text(mask_known_tokens(line), secrets) for line in _words(error, place.root)]
    digest = blake2b("\n".join(words).encode(errors="replace"), digest_size=8).hexdigest()
    logs = logs_of(known.logs, place.root, environ)
    news = digest != known.noted and digest not in known.told.values()
    if each or news:
        note(logs, [*words, *([] if cause == GONE else [f"error: {error.message}"])], now)
    lock = place.lock()
    if lock is None:
        return news  # somebody else is at it, or there can be no memory
    try:
        known = place.read() or known
        policy = last_policy(known, environ)
        after = known if cause == GONE else replace(known, noted=digest)
        told = digest in known.told.values()
        if not told and _tell(place, error, cause, words, logs, policy, environ, now, digest):
            after = replace(after, told={**known.told, cause: digest})
        if after != known:
            place.write(after)
    finally:
        os.close(lock)
    return news


def note(logs: Logs, lines: Sequence[str], now: float) -> None:
    """Into the runner's own log, where there is a log folder: cron's output is read by nobody."""
    if os.path.isdir(logs.root):
        logs.note("\n".join(lines), now)


def _renders(config: Config, environ: Mapping[str, str]) -> bool:
    try:
        read_policy(config.notify, {}, environ)
        rendered({"logs": config.settings.get("logs")}, environ)
    except TemplateError:
        return False
    return True


def last_policy(known: Memory, environ: Mapping[str, str]) -> Policy:
    """Who heard of runs when the configuration was valid for the last time."""
    try:
        return read_policy(known.notify, {}, environ)
    except (TemplateError, AttributeError, LookupError, TypeError, ValueError):
        return Policy()  # no settings that this version writes


def _words(error: RunnerError, root: str) -> list[str]:
    """What is wrong, in the same words wherever the command was started: places are relative to the project."""
    if not isinstance(error, ConfigError):
        return [line.removeprefix("error: ") for line in error.lines()]
    base = os.path.join(root, "")
    return [str(replace(found, file=os.path.abspath(found.file).removeprefix(base))) for found in error.problems]


def _tell(
    place: Place,
    error: RunnerError,
    cause: str,
    words: Sequence[str],
    logs: Logs,
    policy: Policy,
    environ: Mapping[str, str],
    now: float,
    digest: str,
) -> bool:
    """Whether it is on its way: in the outbox, so that a dead server only delays it, or sent."""
    if not policy.everything:
        return cause == GONE  # of a broken configuration somebody may hear who sets a topic later
    is_config = isinstance(error, ConfigError)
    verdict = "configuration broken" if is_config else "a run cannot begin"
    advice = _MEND if is_config else "correct the command (in the crontab?), or the name in the YAML"
    name = f"config_{now * 1000:.0f}_{digest[:8]}"
    message = broken_message(name, place.root, words, verdict, advice, loudness(policy, _PRIORITY, now))
    pending = Pending(message, now, tuple(Target(target) for target in policy.everything))
    outbox = Outbox(logs, environ)
    claim = None
    if os.path.isdir(logs.root):
        try:
            logs.prepare()
            claim = logs.lock(name)
            outbox.write(pending)
        except (OSError, RunnerError):
            pass  # a full disk, a folder of somebody else: straight to the server, then
    sent = outbox.send(pending, time.time, min(_BUDGET, policy.budget))
    on_disk = os.path.exists(outbox.path(name))
    if claim is not None:
        try:
            outbox.settle(sent)
        except OSError:
            pass
        logs.release(claim, keep_id=True)
    return on_disk or sent.notification()["state"] != "pending"
