"""One HTTP request within a time limit, what its answer means for a message, and the report to a dead man's switch."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http.client import responses
from urllib.parse import urlsplit, urlunsplit

import requests

from runner import __version__
from runner.notify.channels.base import MAX_RETRY_AFTER, Failed
from runner.notify.channels.settings import text_fault
from runner.text import one_line
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Result = TypeVar("Result")

ANSWER_LIMIT = 64 * 1024
_MAX_TEXT = 20_000  # characters: it is cut when what is secret in it is masked
# With any other 4xx the same request will fail again. 407 comes from a proxy, 425 means too early.
_TEMPORARY = frozenset((407, 408, 425, 429))


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    answer_limit: int = ANSWER_LIMIT


def exchange(request: Request, environ: Mapping[str, str], timeout: float) -> bytes | Failed:
    """The body of a 2xx answer, at most `answer_limit` bytes of it. Never raises."""
    fault = address_fault(request.url)
    if fault is not None:
        return fault
    host = _host(request.url)
    try:
        return within(timeout, lambda given_up: _exchange(request, environ, timeout, given_up))
    except OutOfTimeError:
        return Failed(f"`{host}` gave no answer within {timeout:g} s", permanent=False)
    except Exception as error:  # libraries below raise more than they document
        return Failed(f"cannot reach `{host}`: {_plain(error)}", permanent=False)


def address_fault(url: object) -> Failed | None:
    """What is wrong with an address."""
    text = str(url or "")
    fault = text_fault("its url", text)
    if fault is None and _host(text) is None:
        return Failed("its url is not an http or https address", permanent=True)
    return fault


class OutOfTimeError(Exception):
    """The work did not end in time; it may still go on, and its result is ignored."""


def within(seconds: float, work: Callable[[threading.Event], Result]) -> Result:
    """Return or raise what `work` does, or raise OutOfTimeError after `seconds`.

    The timeouts of an HTTP library count for one read each: a server that sends a byte a second outlives them all, and
    a name server that hangs is under no timeout. So the work is done in a daemon thread, which is left behind when time
    is up. It gets an event that says so, for it must not send anything from then on.
    """
    given_up = threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work(given_up))
        except BaseException as error:  # raised again by the caller
            errors.append(error)

    thread = threading.Thread(target=body, name="channel", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    # Set before the results are read: work that ends later finds it set, and is not counted.
    given_up.set()
    if errors:
        raise errors[0]
    if not results:
        raise OutOfTimeError
    return results[0]


def ping(address: str, signal: str, text: str, environ: Mapping[str, str], timeout: float) -> str | None:
    """Report to a service that raises the alarm when no report comes; return what went wrong. Never raises.

    As healthchecks.io and its like have it: ADDRESS when all is well, ADDRESS/start, ADDRESS/fail, ADDRESS/<exit code>.
    """
    if signal and _host(address) is not None:
        parts = urlsplit(address)
        address = urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{signal}"))
    request = Request("POST", address, text.encode(errors="replace"), {"Content-Type": "text/plain"})
    answer = exchange(request, environ, timeout)
    return answer.error if isinstance(answer, Failed) else None


class _Body:
    """The request's body, which is not sent once the time is up: its message will be sent again."""

    def __init__(self, data: bytes, given_up: threading.Event) -> None:
        self._data = data
        self._given_up = given_up

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        if self._given_up.is_set():
            raise OutOfTimeError
        yield self._data


def _exchange(
    request: Request, environ: Mapping[str, str], timeout: float, given_up: threading.Event
) -> bytes | Failed:
    with requests.Session() as session:
        # Nothing of this process's own environment: no netrc, and the proxies of the environment given.
        session.trust_env = False
        session.verify = _certificates(environ)
        # Redirects are not followed: they would carry the message, and perhaps the token, to another host.
        with session.request(
            request.method,
            request.url,
            data=_Body(request.body, given_up) if request.body else None,
            headers={"User-Agent": f"runner/{__version__}", "Accept-Encoding": "identity", **request.headers},
            proxies=_proxies(request.url, environ),
            timeout=max(timeout, 0.001),
            allow_redirects=False,
            stream=True,
        ) as response:
            body: bytes = response.raw.read(request.answer_limit, decode_content=False)
            return body if 200 <= response.status_code < 300 else _refused(response, body)


def _refused(response: requests.Response, body: bytes) -> Failed:
    status = response.status_code
    error = f"{status} {responses.get(status, '').lower()}".rstrip()  # the server's own words could hold anything
    if 300 <= status < 400:
        # A captive portal does that, too, and goes away: so it is not permanent.
        location = response.headers.get("Location", "")
        # As the server spells it, for what is secret in it is masked as it is spelled.
        place = urlsplit(location).netloc.rpartition("@")[2] if _host(location) else "another path"
        return Failed(f"{error}: it redirects to {place}, which is not followed", permanent=False)
    text = _error_text(body)
    return Failed(
        f"{error} ({text})" if text else error,
        permanent=400 <= status < 500 and status not in _TEMPORARY,
        retry_after=_retry_after(response.headers.get("Retry-After")) if status in (429, 503) else None,
    )


def _error_text(body: bytes) -> str | None:
    """The text of an error in JSON; a page in HTML is of no use in a log."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    text = answer.get("error") if isinstance(answer, dict) else None
    return one_line(text, _MAX_TEXT) if isinstance(text, str) else None


def _retry_after(value: str | None) -> float | None:
    """Seconds from now, of a number of seconds or an HTTP date; at most a day."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def _certificates(environ: Mapping[str, str]) -> str | bool:
    """The bundle that the environment names for other tools as well; True for the library's own."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    return next((environ[name].strip() for name in names if environ.get(name)), True)


def _proxies(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    for name in _variable("no_proxy", environ).replace(" ", "").split(","):
        bare = name.removeprefix("*").removeprefix(".")
        if name == "*" or (bare and (host == bare or host.endswith(f".{bare}"))):
            return {}
    proxy = _variable(f"{parts.scheme}_proxy", environ) or _variable("all_proxy", environ)
    return {parts.scheme: proxy} if proxy else {}


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _plain(error: BaseException) -> str:
    """The cause in a few words, without addresses and object names that libraries wrap around it."""
    seen: list[BaseException] = []
    inner: object = error
    while isinstance(inner, BaseException) and inner not in seen:
        seen.append(inner)
        arguments = [argument for argument in inner.args if isinstance(argument, BaseException)]
        inner = getattr(inner, "reason", None) or inner.__cause__ or inner.__context__ or next(iter(arguments), None)
    for cause in reversed(seen):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
            text = one_line(cause.strerror or str(cause))
            return text[:1].lower() + text[1:]
    return type(error).__name__
