"""Secrets are looked up when a message goes: an outbox file holds the variable's name alone."""

from __future__ import annotations

from runner.notify.channels.base import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def secret(name: str, environ: Mapping[str, str]) -> str | Failed:
    """The value of a variable that the settings name; one that is missing now may be there for the next try."""
    value = environ.get(name, "").strip()
    return value or Failed(f"the variable {name} is not set", permanent=False)
