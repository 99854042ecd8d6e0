"""What the two OpenAI dialects have in common: the errors and their headers."""

from __future__ import annotations

from runner.modelserver.dialect import Call, HttpAnswer
from runner.modelserver.scenario import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.modelserver.scenario import RefusalKind

_LIMITS = "Visit https://platform.openai.com/account/rate-limits to learn more."
# kind: (HTTP status, type, code, message)
_ERRORS: dict[RefusalKind, tuple[int, str, str | None, str]] = {
    "rate_limit": (
        429,
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-scripted on tokens per min (TPM): "
        "Limit 30000, Used 29500, Requested 12000. {wait}" + _LIMITS,
    ),
    "usage_limit": (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-scripted on requests per day (RPD): "
        "Limit 200, Used 200, Requested 1. {wait}" + _LIMITS,
    ),
    "billing": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        (
            "You exceeded your current quota, please check your plan and billing details. For more information on this "
            "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
        ),
    ),
    "model_not_found": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    "auth": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        (
            "Incorrect API key provided: scripted. You can find your API key at "
            "https://platform.openai.com/account/api-keys."
        ),
    ),
    "overloaded": (
        503,
        "server_error",
        "server_is_overloaded",
        "The server is currently overloaded with other requests. Sorry about that! Please retry your request.",
    ),
    "server": (
        500,
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    ),
}


def error(call: Call, refusal: Refusal) -> JsonObject:
    """The object below `error` in a body."""
    _, kind, code, message = _ERRORS[refusal.kind]
    text = message.format(model=call.model, wait=_wait(refusal.retry_after))
    param = "model" if refusal.kind == "model_not_found" else None
    return {"message": text, "type": kind, "param": param, "code": code}


def status(refusal: Refusal) -> int:
    return _ERRORS[refusal.kind][0]


def refuse(call: Call, refusal: Refusal, number: int) -> HttpAnswer:
    headers = {"x-request-id": f"req_scripted{number:06}"}
    if refusal.retry_after is not None:
        headers |= {"retry-after": str(refusal.retry_after), "retry-after-ms": str(refusal.retry_after * 1000)}
    return HttpAnswer(status(refusal), headers, {"error": error(call, refusal)})


def _wait(seconds: int | None) -> str:
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"Please try again in {f'{hours}h{minutes}m' if hours else ''}{rest}s. "
