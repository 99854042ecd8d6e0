"""`runner show` and `runner why`: one run."""

from __future__ import annotations

import os
import sys

from runner.commands.open_logs import open_logs
from runner.errors import RunnerError
from runner.history.index import Store
from runner.history.queries import entry, find
from runner.reasons import reason_of
from runner.records import store
from runner.records.evidence import line_at
from runner.records.summary import WIDTH, summary
from runner.records.why import why as why_text
from runner.text import json_text, wrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.history.queries import Place
    from runner.model import JsonObject
    from runner.records.folder import Logs


def show(project: str | None, name: str, *, as_json: bool) -> int:
    """Raises UsageError for what names no run."""
    logs = open_logs(project)
    place = find(logs, name)
    found = read(logs, place)
    text = _evidence(found, place)
    if as_json:
        print(json_text({**found, "why": why_text(found, text), "folder": place.folder}, 2))
    else:
        folder = place.folder and place.folder.removeprefix(os.getcwd() + os.sep)
        print(summary(found, folder, text), end="")
    return 0


def why(project: str | None, name: str) -> int:
    """Raises UsageError for what names no run."""
    logs = open_logs(project)
    place = find(logs, name)
    found = read(logs, place)
    text = why_text(found, _evidence(found, place))
    print("\n".join(wrapped(text, WIDTH - 2)) if sys.stdout.isatty() else text)
    return 0


def read(logs: Logs, place: Place) -> JsonObject:
    """The record of a run; of a skipped one, what the index knows. Raises RunnerError when there is none any more."""
    found = store.read_metadata(place.folder) if place.folder else entry(Store(logs), place.run_id)
    if found is None:
        raise RunnerError(f"the record of run `{place.run_id}` is gone or damaged", hint="`runner runs --rebuild`")
    if place.folder is None:
        # A list's entry counts the commits, of which a skipped run has none.
        found = {**found, "commits": [], "advice": reason_of(found["reason"]).advice}
    return found


def _evidence(found: JsonObject, place: Place) -> str | None:
    where = (found.get("error") or {}).get("evidence")
    return line_at(place.folder, where) if where and place.folder else None
