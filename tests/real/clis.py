"""The pinned CLIs as data: where each is, and what points it at the scripted model server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

MODULES = Path(__file__).parent / "node_modules"


@dataclass(frozen=True)
class Cli:
    """`binary` is a path below node_modules; `environment` and `files` (path below HOME: text) are made from the URL.

    `reports` names the token counts that it prints, `priced` whether it prints costs. `sessions` is a pattern below HOME of files whose names end with the
    session's id, where it keeps such.
    """

    agent: str
    binary: str
    model: str
    reports: frozenset[str]
    environment: Callable[[str], dict[str, str]]
    files: Callable[[str], dict[str, str]] = lambda _: {}
    sessions: str | None = None
    priced: bool = False

    @property
    def path(self) -> str:
        path = MODULES / self.binary
        if not path.exists():
            pytest.fail(f"{path} is missing: run `npm install --prefix tests/real --no-package-lock`")
        return str(path)


def reports(*more: str) -> frozenset[str]:
    return frozenset({"input_tokens", "output_tokens", "cache_read_tokens", *more})


def codex_files(url: str) -> dict[str, str]:
    config = f"""\
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""
    return {".codex/config.toml": config}


def provider(prefix: str) -> Callable[[str], dict[str, str]]:
    """The variables of those that take their whole configuration from one."""

    def environment(url: str) -> dict[str, str]:
        model = {"name": "scripted", "limit": {"context": 200000, "output": 32000}}
        scripted = {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": f"{url}/v1", "apiKey": "no-secret"},
            "models": {"model": {**model, "cost": {"input": 3, "output": 15, "cache_read": 0.3}}},
        }
        config = {"autoupdate": False, "share": "disabled", "provider": {"scripted": scripted}}
        disabled = {f"{prefix}_DISABLE_{what}": "1" for what in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD")}
        return {f"{prefix}_CONFIG_CONTENT": json.dumps(config), f"{prefix}_TELEMETRY_LEVEL": "off", **disabled}

    return environment


def qwen(binary: str) -> Cli:
    return Cli(
        agent="qwen",
        binary=binary,
        model="qwen3-coder-plus",
        reports=reports(),
        # of a proxy it would ask for loopback, too
        environment=lambda url: {
            "OPENAI_API_KEY": "no-secret",
            "OPENAI_BASE_URL": f"{url}/v1",
            "HTTP_PROXY": "",
            "HTTPS_PROXY": "",
        },
        sessions=".qwen/projects/*/chats/*.jsonl",
    )


CLIS: dict[str, Cli] = {
    "claude": Cli(
        agent="claude",
        binary=".bin/claude",
        model="claude-sonnet-4-5",
        reports=reports("cache_write_tokens"),
        environment=lambda url: {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "no-secret"},
        sessions=".claude/projects/*/*.jsonl",
        priced=True,
    ),
    "codex": Cli(
        agent="codex",
        binary=".bin/codex",
        model="gpt-5.1-codex",
        reports=reports("cache_write_tokens", "reasoning_tokens"),
        environment=lambda _: {"OPENAI_API_KEY": "no-secret"},
        files=codex_files,
        sessions=".codex/sessions/*/*/*/rollout-*.jsonl",
    ),
    "gemini": Cli(
        agent="gemini",
        binary=".bin/gemini",
        model="gemini-2.5-pro",
        reports=reports("reasoning_tokens"),
        environment=lambda url: {"GEMINI_API_KEY": "no-secret", "GOOGLE_GEMINI_BASE_URL": url},
        # the defaults that the runner writes are passed over below a folder that others may write to, such as /tmp
        files=lambda _: {".gemini/settings.json": '{"security": {"auth": {"selectedType": "gemini-api-key"}}}'},
    ),
    "qwen-0.15": qwen("@qwen-code/qwen-code/cli.js"),
    "qwen-0.24": qwen("qwen-code-0.24/cli-entry.js"),
    "opencode": Cli(
        agent="opencode",
        binary=".bin/opencode",
        model="scripted/model",
        reports=reports("reasoning_tokens"),
        environment=provider("OPENCODE"),
        priced=True,
    ),
    "kilo": Cli(
        agent="kilo",
        binary=".bin/kilo",
        model="scripted/model",
        reports=reports("reasoning_tokens"),
        environment=provider("KILO"),
        priced=True,
    ),
}
