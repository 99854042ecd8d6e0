"""One file's data in the one form that the rest of the program reads: shorthands written out, paths absolute. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from runner.model import JsonObject


def normalise(kind: str, data: JsonObject, folder: str, logs_base: str) -> JsonObject:
    """Normalise an agents or a tasks file that lies in `folder`; the log folder is relative to `logs_base`."""
    if kind == "agents":
        return {
            **data,
            **_each(data, "agents", lambda entry: _agent(entry, folder)),
            **_each(data, "sandboxes", lambda entry: entry if isinstance(entry, dict) else {"argv": entry}),
            **({"defaults": _common(data["defaults"])} if data.get("defaults") else {}),
        }
    return {
        **data,
        **_each(data, "tasks", lambda entry: _task(entry, folder)),
        **({"settings": _settings(data["settings"], folder, logs_base)} if data.get("settings") else {}),
    }


def _each(data: JsonObject, section: str, work: Callable[[Any], JsonObject]) -> JsonObject:
    entries = data.get(section)
    return {section: {name: work(entry) for name, entry in entries.items()}} if entries else {}


def _agent(entry: JsonObject, folder: str) -> JsonObject:
    result = _common(entry)
    if "state" in result:
        result["state"] = [absolute(path, folder).rstrip("/") + "/" * path.endswith("/") for path in result["state"]]
    if "binary" in result and "/" in result["binary"]:
        result["binary"] = absolute(result["binary"], folder)
    if "model" in result:
        model = result["model"]
        result["model"] = _lists(model, "env") if isinstance(model, dict) else {"default": model}
    if "options" in result:
        result["options"] = {name: _option(option) for name, option in result["options"].items()}
    if "requires" in result:
        result["requires"] = _lists(result["requires"], "env", "files")
        if "files" in result["requires"]:
            result["requires"]["files"] = [absolute(path, folder) for path in result["requires"]["files"]]
    return result


def _option(option: Any) -> JsonObject:
    return _lists(option, "env") if isinstance(option, dict) else {"default": option}


def _task(entry: JsonObject, folder: str) -> JsonObject:
    result = _lists(_common(entry), "agents")
    if "prompt" in result:
        result["prompt"] = os.path.normpath(os.path.join(folder, result["prompt"]))
    if "output" in result:
        output = result["output"]
        result["output"] = {
            "from": "reply",
            **output,
            "schema": os.path.normpath(os.path.join(folder, output["schema"])),
        }
    if "when" in result:
        result["when"] = _lists(result["when"], "changed")
    if "protect" in result:
        result["protect"] = [_protection(rule) for rule in result["protect"]]
    if "repo" in result:
        result["repo"] = absolute(result["repo"], folder)
    if "fallback" in result:
        result["fallback"] = _fallback(result["fallback"])
    if "retry" in result:
        retry = result["retry"]
        result["retry"] = _lists(retry, "classes") if isinstance(retry, dict) else {"count": retry}
    if isinstance(result.get("verify"), list):
        result["verify"] = {"checks": result["verify"]}
    if isinstance(result.get("schedule"), dict):
        result["schedule"] = [result["schedule"]]
    if "schedule" in result:
        result["schedule"] = [_schedule(schedule) for schedule in result["schedule"]]
    return result


def _protection(rule: Any) -> JsonObject:
    given = rule if isinstance(rule, dict) else {"paths": [rule]}
    return {"additions": False, **_lists(given, "paths")}


def _schedule(entry: JsonObject) -> JsonObject:
    result = _lists(entry, "agents")
    return {**result, "fallback": _fallback(result["fallback"])} if "fallback" in result else result


def _fallback(given: Any) -> list[str] | dict[str, list[str]]:
    """Return a list of agents for all, or one for each of some agents."""
    if isinstance(given, dict):
        return {name: [others] if isinstance(others, str) else others for name, others in given.items()}
    return [given] if isinstance(given, str) else given


def _common(entry: JsonObject) -> JsonObject:
    result = dict(entry)
    if "env" in result:
        env = result["env"] = _lists(result["env"], "pass", "unset")
        if "set" in env:
            env["set"] = {name: _text(value) for name, value in env["set"].items()}
    if "preflight" in result:
        result["preflight"] = _commands(result["preflight"])
    return result


def _commands(given: list[Any]) -> list[list[str]]:
    """Return a list of commands: one may be given alone, as its words; in a list, a word alone is a command."""
    if given and all(isinstance(word, str) for word in given):
        return [given]
    return [[item] if isinstance(item, str) else item for item in given]


def _settings(entry: JsonObject, folder: str, logs_base: str) -> JsonObject:
    result = _lists(entry, "path")
    if "path" in result:
        result["path"] = [absolute(path, folder) for path in result["path"]]
    if "logs" in result:
        result["logs"] = absolute(result["logs"], logs_base)
    return result


def _lists(entry: JsonObject, *keys: str) -> JsonObject:
    """Copy `entry`; a single text under one of `keys` becomes a list of one."""
    return {key: [value] if key in keys and isinstance(value, str) else value for key, value in entry.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def absolute(path: str, folder: str) -> str:
    """Make a path absolute against its file's folder, unless it begins with `~` or is a template."""
    if "{{" in path or "{%" in path or path.startswith(("~", "/")):
        return path
    return os.path.normpath(os.path.join(folder, path))
