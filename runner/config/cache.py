"""The merged configuration as one JSON file, so that a warm start reads no YAML. A bad cache is a miss."""

from __future__ import annotations

import json
import os
import sys
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner import __version__
from runner.files import make_folders, read_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_VERSIONS = [__version__, ".".join(map(str, sys.version_info[:3])), 1]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def cache_path(state_home: str, root: str) -> str:
    """The one cache file of a project."""
    name = blake2b(os.fsencode(root), digest_size=8).hexdigest()
    return os.path.join(state_home, "config", f"{name}.json")


def read(path: str, digest: str) -> Any:
    """What `write` stored for the same inputs and versions; None otherwise."""
    data = read_own(path)  # a file that others could have written decides nothing here: it names the programs to start
    try:
        stored = json.loads(data or b"")
        return stored["config"] if stored["versions"] == _VERSIONS and stored["digest"] == digest else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def write(path: str, digest: str, config: Any) -> None:
    """Whole or not at all; a cache that cannot be written is no error."""
    staging = f"{path}.{os.getpid()}.new"
    try:
        make_folders(os.path.dirname(path))
        with open(os.open(staging, _NEW, 0o600), "w", encoding="utf-8") as file:
            json.dump({"versions": _VERSIONS, "digest": digest, "config": config}, file, separators=(",", ":"))
        os.rename(staging, path)
    except (OSError, UnicodeError):
        try:
            os.unlink(staging)
        except OSError:
            pass
