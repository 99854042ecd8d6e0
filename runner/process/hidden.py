"""Secrets of the environment, wiped where other processes of the same user could read them.

An agent's parent and grandparent are the guardian and the runner, and /proc/PID/environ shows what a process was
started with: also the variables that the agent does not get. Python keeps copies of its own, so that nothing here
needs the wiped ones; another process of the same user can still read memory where the system lets it trace.
"""

from __future__ import annotations

from collections.abc import Iterable


def wipe_environment(secrets: Iterable[bytes]) -> None:
    """Overwrite the values that hold one of the secrets, in the environment that this process was started with."""
    import ctypes  # noqa: PLC0415 - imported by become_subreaper already; there is no other door to that memory

    wanted = [secret for secret in secrets if secret]
    if not wanted:
        return
    entries = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    at = 0
    while entries and entries[at]:
        address = entries[at]
        name, _, value = ctypes.string_at(address).partition(b"=")
        if any(secret in value for secret in wanted):
            ctypes.memset(address + len(name) + 1, ord("*"), len(value))
        at += 1
