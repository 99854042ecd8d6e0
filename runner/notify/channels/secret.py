"""Secrets are looked up when a message is sent: an outbox file holds only the name of the variable."""

from __future__ import annotations

from collections.abc import Mapping

from runner.notify.channels.base import Failed


def secret(name: str, environ: Mapping[str, str]) -> str | Failed:
    """The value of a variable that the settings name; one that is missing now may be there for the next try."""
    value = environ.get(name, "").strip()
    return value or Failed(f"the variable {name} is not set", permanent=False)
