"""How a check went on a commit before an agent worked on it, kept by tree and command: nothing is run twice for it."""

from __future__ import annotations

import json
import os
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner.files import make_folders, read_own, write_text
from runner.verify.checks import Check, Ran

_MOST = 500  # files


def key_of(tree: str, check: Check, place: str) -> str:
    """`tree` is git's name for the content; `place` is where it runs: the checkout, or a clone."""
    words = json.dumps([tree, check.argv, check.ok_exit, check.report, place])
    return blake2b(words.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def remembered(state: str, key: str) -> Ran | None:
    data = read_own(_path(state, key))
    if data is None:
        return None
    try:
        found = json.loads(data)
        failures = found["failures"]
        return Ran(found["code"], found["seconds"], None, None if failures is None else frozenset(failures))
    except (ValueError, KeyError, TypeError):
        return None


def remember(state: str, key: str, ran: Ran) -> None:
    """Errors are ignored: the check is run again then. What could not be started, or did not end, is not kept."""
    if ran.error is not None or ran.code is None or ran.code < 0:
        return
    failures = None if ran.failures is None else sorted(ran.failures)
    try:
        make_folders(os.path.join(state, "verify"))
        write_text(_path(state, key), json.dumps({"code": ran.code, "seconds": ran.seconds, "failures": failures}))
        _forget_old(os.path.join(state, "verify"))
    except OSError:
        pass


def _path(state: str, key: str) -> str:
    return os.path.join(state, "verify", f"{key}.json")


def _forget_old(folder: str) -> None:
    paths = [entry.path for entry in os.scandir(folder)]
    if len(paths) > _MOST:
        for path in sorted(paths, key=os.path.getmtime)[: len(paths) - _MOST]:
            os.unlink(path)
