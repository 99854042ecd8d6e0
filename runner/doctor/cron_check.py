"""Whether anything runs the heartbeat: a block or a line of the crontab, or a systemd timer."""

from __future__ import annotations

import os
from collections.abc import Mapping

from runner.config import Config
from runner.crontab import crontab, crontab_io, systemd
from runner.crontab.crontab import block_of, find, matches
from runner.crontab.environment import heartbeat_command
from runner.doctor.check import Check
from runner.errors import RunnerError

_ADVICE = "`runner cron install` lets the heartbeat start what is due, close lost runs and send what waits"


def cron_check(config: Config, environ: Mapping[str, str]) -> Check:
    """Another user's crontab, and whether systemd has loaded its timer, are not checked."""
    try:
        if systemd.read_units(systemd.units_folder(environ), config.project.root):
            return Check("cron", "ok", "a systemd timer of this project is written")
    except RunnerError:
        pass  # no home, or a file that is not ours: then look at the crontab
    try:
        return _crontab(config, environ, crontab_io.read(environ))
    except RunnerError as error:
        return Check("cron", "warn", error.message, error.hint)


def _crontab(config: Config, environ: Mapping[str, str], table: bytes) -> Check:
    """Raises RunnerError for a damaged marker."""
    beat = heartbeat_command(config, environ)
    block = find(table, os.fsencode(beat.project))
    if block is not None:
        current = matches(block, block_of(beat))
        changed = "" if current else ", which `runner cron install` would change: see `runner cron show`"
        return Check("cron", "ok", f"a block of the crontab{changed}")
    for other in crontab.blocks(table):
        table = table.replace(other.text, b"")
    ours = [line for line in table.decode(errors="replace").splitlines() if _is_ours(line)]
    beats = any("heartbeat" in line.split() for line in ours)
    count = f"{len(ours)} line{'s' if len(ours) > 1 else ''} of the crontab"
    if beats:
        return Check("cron", "ok", f"{count}, heartbeat among them")
    found = f"{count}, no heartbeat" if ours else "no line of the crontab runs `runner`"
    return Check("cron", "warn", found, _ADVICE)


def _is_ours(line: str) -> bool:
    words = line.split()
    if not words or words[0].startswith("#"):
        return False
    named = any(os.path.basename(word) == "runner" for word in words)
    return named and bool({"heartbeat", "run"} & set(words))
