"""The settings of a channel: what the outbox keeps of them, and what they are when a message is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from runner import template
from runner.mask import mask_known_tokens, mask_text, secrets_of
from runner.model import JsonObject
from runner.notify.channels.base import Failed
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# One of these settings each channel needs; where all are empty it is not configured.
ESSENTIAL = {"ntfy": ("topic",), "webhook": ("url", "url_env"), "command": ("argv",), "apprise": ("url_env",)}
_IN_TEMPLATE = re.compile(r"\benv\.([A-Za-z_]\w*)")
_MAX_ERROR = 250
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class _Environ(dict[str, str]):
    """A variable that is not set is null in the templates of this section."""

    def __missing__(self, name: str) -> None:
        return None


def rendered(section: JsonObject, environ: Mapping[str, str]) -> JsonObject:
    """A section with its templates rendered, in which only `env` is defined. Raises template.TemplateError."""
    variables = {"env": _Environ(environ)}
    return {key: _rendered(item, variables) for key, item in section.items()}


def _rendered(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return template.render(value, variables) or None
    if isinstance(value, list):
        return [_rendered(item, variables) for item in value]
    if isinstance(value, dict):
        return {key: _rendered(item, variables) for key, item in value.items()}
    return value


def present(section: JsonObject, environ: Mapping[str, str]) -> JsonObject:
    """The settings of a channel as they count: rendered, without white space around them."""
    return {key: _stripped(item) for key, item in rendered(section, environ).items()}


def _stripped(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, dict):
        return {key.strip(): _stripped(item) for key, item in value.items()}
    return value


def kept(kind: str, section: JsonObject, environ: Mapping[str, str]) -> JsonObject | None:
    """The settings as the outbox keeps them; None where the channel is not configured. Raises TemplateError.

    Names of variables, and the server and topic of ntfy, are kept as they are now: a heartbeat may lack the variables.
    All else, and whatever a secret is a part of, stays the template, which is rendered when the message is sent.
    """
    # The essential settings first: where they are empty the others' templates are not worth an import of jinja2.
    if not any(present({key: section.get(key)}, environ)[key] for key in ESSENTIAL[kind]):
        return None
    now = present(section, environ)
    plain = {key for key in section if key.endswith("_env") or (kind == "ntfy" and key in ("url", "topic"))}
    harmless = {key for key in plain if _harmless(section[key], now[key], environ)}
    return {"kind": kind, **{key: now[key] if key in harmless else item for key, item in section.items()}}


def _harmless(before: Any, now: Any, environ: Mapping[str, str]) -> bool:
    """Whether a rendered text holds no secret, and nothing that would be rendered again."""
    if now is None or before == now:
        return True
    named = {name: environ[name] for name in _IN_TEMPLATE.findall(str(before)) if name in environ}
    return not ("{" in now or mask_known_tokens(now) != now or mask_text(now, secrets_of(named)) != now)


def absence(section: JsonObject, environ: Mapping[str, str]) -> Failed | None:
    """What keeps a message waiting that cannot be sent: a variable that its templates name is not set here."""
    names = _IN_TEMPLATE.findall(json.dumps(section))
    missing = next((name for name in names if name not in environ), None)
    return None if missing is None else Failed(f"the variable {missing} is not set", permanent=False)


def hide(text: str, section: JsonObject, environ: Mapping[str, str]) -> str:
    """Words of a server or a program on one short line, without secrets and without what the settings name."""
    text = one_line(text, len(text) + 1)  # escapes between the letters of a token go first
    return one_line(mask_known_tokens(mask_text(text, _secrets(section, environ))), _MAX_ERROR)


def _secrets(section: JsonObject, environ: Mapping[str, str]) -> list[bytes]:
    """Whatever its name, a variable that the settings name may hold a secret; and a login as HTTP writes it."""
    from base64 import b64encode  # noqa: PLC0415  # for errors alone

    names = [value for key, value in section.items() if key.endswith("_env") and isinstance(value, str)]
    values = [environ[name] for name in [*names, *_IN_TEMPLATE.findall(json.dumps(section))] if name in environ]
    values += [path_of(value) for value in values]
    login = [environ.get(str(section.get(key)), "").strip() for key in ("user_env", "password_env")]
    values.append(b64encode(":".join(login).encode(errors="surrogateescape")).decode())
    return secrets_of({**environ, **{f"{at}_TOKEN": value for at, value in enumerate(values)}})


def path_of(address: str) -> str:
    """What follows the host of an address: where that is a secret, it is this part."""
    from urllib.parse import urlsplit  # noqa: PLC0415  # for errors alone

    try:
        return urlsplit(address.strip())._replace(scheme="", netloc="").geturl().strip("/")
    except ValueError:
        return ""


def text_fault(what: str, text: str) -> Failed | None:
    """A character that no address and no topic holds, named by its code point."""
    odd = next((char for char in text if char.isspace() or not char.isprintable()), None)
    return None if odd is None else Failed(f"{what} holds {named(odd)}", permanent=True)


def header_fault(what: str, value: str) -> Failed | None:
    """A character that no HTTP header can hold."""
    odd = next((char for char in value if not (" " <= char <= "~" or "\xa0" <= char <= "\xff" or char == "\t")), None)
    return None if odd is None else Failed(f"{what} holds {named(odd)}, which no HTTP header can hold", permanent=True)


def headers_fault(headers: Mapping[str, Any]) -> Failed | None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            return Failed(f"`{one_line(name, 60)}` is not the name of an HTTP header", permanent=True)
        fault = header_fault(f"the header {name}", str(value))
        if fault is not None:
            return fault
    return None


def named(char: str) -> str:
    """`“` (U+201C); U+000D; the byte 0xE2 of a text that is not UTF-8."""
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"the byte 0x{code - 0xDC00:02X}, which is not UTF-8"
    return f"`{char}` (U+{code:04X})" if char.isprintable() and not char.isspace() else f"U+{code:04X}"
