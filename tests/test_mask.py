"""No secret of the environment gets through, however the stream is cut; nothing else is touched."""

from __future__ import annotations

import base64
import html
import json
import os
import shlex
import time
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.mask import (
    MASK,
    Masker,
    mask_known_tokens,
    mask_of,
    mask_text,
    mask_tree,
    masked_pieces,
    plain_forms,
    secrets_of,
    short_secrets,
)
from tests.hostile.strike import forms

PEM = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nAQEFAASCBKcwggSj+AgEA/A\nshort\n-----END PRIVATE KEY-----\n"
)


def masked(secrets: list[bytes], *pieces: bytes) -> bytes:
    """As the pump does it: the piece is a view of a buffer that the next read overwrites."""
    masker = Masker(secrets)
    out = b""
    for piece in pieces:
        buffer = bytearray(piece)
        out += bytes(masker.feed(memoryview(buffer)))
        buffer[:] = b"#" * len(buffer)
    return out + bytes(masker.flush())


def naive(secrets: list[bytes], data: bytes) -> bytes:
    """The definition: every byte of every occurrence goes, occurrences that overlap become one mark."""
    spans = sorted(
        (start, start + len(secret))
        for secret in secrets
        for start in range(len(data))
        if data.startswith(secret, start)
    )
    out, done = b"", 0
    for start, stop in spans:
        if start >= done:
            out += data[done:start] + MASK.encode()
        done = max(done, stop)
    return out + data[done:]


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("TOKENIZERS_PARALLELISM", "false", False),
        ("TOKENIZERS_PARALLELISM", "surely-not-a-secret", False),
        ("KEYBOARD_LAYOUT", "us-international", False),
        ("MONKEY", "a-long-enough-value", False),
        ("OPENAI_API_KEY", "12345678", True),
        ("OPENAI_API_KEY", "1234567", False),
        ("OPENAI_API_KEY", "", False),
        ("OPENAI_API_KEY", "       x       ", True),
        ("TOKEN", "12345678", True),
        ("my_token_2", "12345678", True),
        ("DB_PASSWORD", "päßwör", True),  # nine bytes, six characters
        ("AWS_SECRET_ACCESS", "12345678", True),
        ("GOOGLE_CREDENTIALS_JSON", "12345678", True),
    ],
)
def test_which_variables_are_secret(name: str, value: str, counts: bool) -> None:
    assert bool(secrets_of({name: value})) == counts
    if counts:
        assert value.encode() in secrets_of({name: value})


def test_a_plain_value_is_one_needle() -> None:
    assert plain_forms({"A_KEY": "sk_0123456789", "B_TOKEN": "sk_0123456789", "PATH": "/usr/bin:/bin"}) == [
        b"sk_0123456789"
    ]


@pytest.mark.parametrize(
    "value",
    [
        'quo"te\\and/slash',
        "zeile eins\nzeile zwei\r\n",
        "schlüssel-🔑-wert",
        "pfad/schlüssel",
        "a<b>c&d=efgh",
        "tab\there-x",
    ],
)
def test_every_form_that_json_writers_give_a_value(value: str) -> None:
    secrets = secrets_of({"MY_KEY": value})
    plain, ascii_only = json.dumps(value, ensure_ascii=False), json.dumps(value)
    forms = [
        value,
        plain,
        ascii_only,
        ascii_only.replace("/", "\\/"),
        plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"),
        json.dumps(plain, ensure_ascii=False),
        json.dumps(plain),
        json.dumps(ascii_only),
        "".join(f"{number}: {line}\n" for number, line in enumerate(value.splitlines())),
    ]

    for form in forms:
        assert MASK in mask_text(form, secrets)
        for line in value.splitlines():
            assert line not in mask_text(form, secrets), form


def test_a_value_of_several_lines_is_masked_as_a_whole_and_by_line() -> None:
    secrets = secrets_of({"DEPLOY_KEY": PEM})

    assert mask_text(f"<{PEM}>", secrets) == "<***>"
    assert mask_text(f"<{PEM.strip()}>", secrets) == "<***>"
    assert "MIIEvQ" not in mask_text("".join(f"+ {line}\n" for line in PEM.splitlines()), secrets)
    assert mask_text("short", secrets) == "short"


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        (["abcdefgh"], "x abcdefgh y abcdefgh", "x *** y ***"),
        (["abcdefgh"], "abcdefghabcdefgh", "******"),
        (["abcdefgh", "abcdefghij"], "abcdefghij abcdefghi", "*** ***i"),
        (["abcdefgh", "efghijkl"], "abcdefghijkl", "***"),
        (["abcdefgh", "cdef"], "abcdefgh", "***"),
        (["aaaaaaaa"], "a" * 20 + "b", "***b"),
        (["abcdefgh"], "abcdefg", "abcdefg"),
        (["abcdefgh", ""], "", ""),
        (["schlüssel"], "mein schlüssel \ud83d", "mein *** ???"),
        ([], "abcdefgh", "abcdefgh"),
    ],
)
def test_whole_texts(secrets: list[str], text: str, expected: str) -> None:
    found = mask_text(text, [secret.encode() for secret in secrets])

    assert found.replace("\ufffd", "?") == expected


def test_nothing_to_mask_costs_no_copy() -> None:
    data = memoryview(bytearray(b"hello"))

    assert Masker([]).feed(data) is data
    assert Masker([b"secret-value"]).feed(data) is data


def test_only_a_possible_beginning_is_held_back() -> None:
    masker = Masker([b"secret-value"])

    assert bytes(masker.feed(memoryview(b"a secre"))) == b"a "
    assert bytes(masker.feed(memoryview(b"tary\n"))) == b"secretary\n"
    assert bytes(masker.feed(memoryview(b"prompt> s"))) == b"prompt> "
    assert bytes(masker.flush()) == b"s"
    assert bytes(masker.flush()) == b""


@pytest.mark.parametrize("form", [json.dumps, lambda value: value, lambda value: json.dumps(json.dumps(value))])
@pytest.mark.parametrize("value", ["0123456789abcdef", 'q"uote/ü\n-and-more', PEM])
def test_a_secret_between_any_two_reads(form: object, value: str) -> None:
    assert callable(form)
    secrets = secrets_of({"MY_SECRET": value})
    data = b"before " + form(value).strip('"').encode() + b" after"
    expected = masked(secrets, data)
    assert b"***" in expected

    for first in range(len(data) + 1):
        assert masked(secrets, data[:first], data[first:]) == expected
    assert masked(secrets, *(bytes([byte]) for byte in data)) == expected


def test_a_secret_at_the_end_of_the_stream() -> None:
    secrets = [b"0123456789"]

    assert masked(secrets, b"x0123456789") == b"x***"
    assert masked(secrets, b"x01234", b"56789") == b"x***"
    assert masked([*secrets, b"01234567890123456789"], b"x0123456789") == b"x***"


# Few letters, so that secrets overlap, repeat and begin one another.
letters = st.integers(ord("a"), ord("c"))
words = st.lists(st.lists(letters, min_size=1, max_size=5).map(bytes), min_size=1, max_size=4)
streams = st.lists(st.lists(letters, max_size=12).map(bytes), max_size=6)


@given(words, streams)
@settings(max_examples=600, deadline=None)
def test_any_split_of_any_stream(secrets: list[bytes], pieces: list[bytes]) -> None:
    assert masked(secrets, *pieces) == naive(secrets, b"".join(pieces))


@given(
    st.lists(st.sampled_from([b"hunter2-hunter2", b"hunter2-", b"x", b"\n", b"hunter", b"2-hunter2"]), max_size=12),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_one_secret_is_replaced_as_bytes_replace_does(parts: list[bytes], data: st.DataObject) -> None:
    secret = b"hunter2-hunter3!"
    text = b"".join([*parts, secret, *parts, secret[: data.draw(st.integers(0, 16))]])
    cut = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
    pieces = [text[start:stop] for start, stop in zip([0, *cut], [*cut, len(text)], strict=True)]

    assert masked([secret], *pieces) == text.replace(secret, b"***")


def test_no_input_makes_it_slow() -> None:
    """A budget ten times what it takes, against what would take minutes."""
    began = time.process_time()
    masker = Masker([b"a" * 4000, b"a" * 4000 + b"b", os.urandom(3000)])
    for _ in range(200):
        masker.feed(memoryview(b"a" * 1000))
        masker.feed(memoryview(b"x" * 100))

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("key sk-ant-api03-AbCdEf0123456789_-xyz.", "key ***."),
        ("sk-proj-AbCdEf0123456789AbCdEf", "***"),
        ("sk-AbCdEf0123456789AbCdEf0123", "***"),
        ("sk_live_AbCdEf0123456789", "***"),
        ("(ghp_AbCdEf0123456789AbCdEf0123456789abcd)", "(***)"),
        ("gho_AbCdEf0123456789AbCdEf0123456789abcd", "***"),
        ("github_pat_11ABCDEFG0123456789_abcdefgh", "***"),
        ("glpat-AbCdEf0123456789xyzw", "***"),
        ("xoxb-123456789012-abcdef", "***"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("AIzaSyA0123456789abcdefghijklmnopqrstuvw", "***"),
        ("hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf", "***"),
        ("token tk_agqdq7mvbofd37zqvcbqf4o9j6e7u is mine", "token *** is mine"),
        ("Authorization: Bearer abc.def-ghi_1234567", "Authorization: Bearer ***"),
        ('"authorization": "Basic dXNlcjpwYXNz"', '"authorization": "Basic ***"'),
        ("curl -H 'bearer 0123456789abcdef=='", "curl -H 'bearer ***'"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmN", "***"),
        ("https://me:hunter2@example.org/x", "https://***@example.org/x"),
        ("git clone https://0123456789abcdef0123@example.org/x", "git clone https://***@example.org/x"),
        ("open https://example.org/login?code=AB12-CD34&x=1 now", "open https://example.org/login?code=***&x=1 now"),
        ("https://example.org/cli-login?authToken=abcdef012345", "https://example.org/cli-login?authToken=***"),
        ('"https://example.org/?a=1\\u0026access_token=abcdef"', '"https://example.org/?a=1\\u0026access_token=***"'),
        ("https://example.org/?key=0123456789abcdefgh", "https://example.org/?key=***"),
        (f"see\n{PEM.replace('short' + chr(10), '')}end", "see\n***\nend"),
    ],
)
def test_shapes_of_tokens(text: str, expected: str) -> None:
    assert mask_known_tokens(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "a task-ant-colony, a sk-learn-pipeline and disk-admin-tools-for-everyone",
        "the bearer of internationalization news",
        "sgd_optimizer_with_momentum_and_decay, tk_widget_configure_callback_name",
        "https://example.org/?code=running&state=1",
        "exit code=137, key=value, token=none, ?code=",
        "ssh://git@example.org:22/x and http://localhost:8080/a@b",
        "mail me@example.org: the eyJ prefix of tokens, xoxo, AKIA and AIza",
        "20260219_175043_02 npm_config_registry hf_hub_download",
        "the basic authorization of a user",
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0\n-----END PUBLIC KEY-----",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert mask_known_tokens(text) == text


@pytest.mark.parametrize(
    "unit",
    [
        "sk-ant-",
        "://a:",
        "eyJaaaaaaaa.",
        "Bearer ",
        "?code=",
        "a_",
        "-----BEGIN PRIVATE KEY-----",
        "authorization: basic ",
    ],
)
def test_no_text_makes_the_patterns_slow(unit: str) -> None:
    began = time.process_time()

    mask_known_tokens(unit * (200_000 // len(unit)))

    assert time.process_time() - began < 5


def test_a_tree_is_masked_in_every_text() -> None:
    tree = {
        "a": ["x tk_agqdq7mvbofd37zqvcbqf4o9j6e7u", 1, None, {"b": True, "c": "sk_live_AbCdEf0123456789"}],
        "d": 1.5,
    }

    assert mask_tree(tree, mask_known_tokens) == {"a": ["x ***", 1, None, {"b": True, "c": "***"}], "d": 1.5}


@pytest.mark.parametrize(
    ("environ", "printed"),
    [
        ({"OPENAI_APIKEY": "plain-value-1"}, "plain-value-1"),
        ({"OPENAIAPIKEY": "plain-value-1"}, "plain-value-1"),
        ({"GHTOKEN": "plain-value-1"}, "plain-value-1"),
        ({"CI_TOKENS": "plain-value-1"}, "plain-value-1"),
        ({"SIGNING_KEYS": "plain-value-1"}, "plain-value-1"),
        ({"GCP_CREDENTIAL": "plain-value-1"}, "plain-value-1"),
        ({"DB_PASSWD": "plain-value-1"}, "plain-value-1"),
        ({"GPG_PASSPHRASE": "plain-value-1"}, "plain-value-1"),
        ({"DB_PASS": "plain-value-1"}, "plain-value-1"),
        ({"DB_PWD": "plain-value-1"}, "plain-value-1"),
        ({"GITHUB_PAT": "plain-value-1"}, "plain-value-1"),
        ({"REGISTRY_AUTH": "plain-value-1"}, "plain-value-1"),
        ({"SENTRY_DSN": "plain-value-1"}, "plain-value-1"),
        ({"DATABASE_URL": "plain-value-1"}, "plain-value-1"),
        ({"APP_DATABASE_URL": "plain-value-1"}, "plain-value-1"),
        ({"HTTPS_PROXY": "http://me:hunter2-hunter2@proxy:80"}, "hunter2-hunter2"),
        ({"HTTPS_PROXY": "http://me:pw@proxy:80"}, None),
        ({"HTTPS_PROXY": "http://agent-one:pw@proxy:80"}, "agent-one:pw"),
        ({"CACHE": "redis://:p%40ssw%2Frd1@host/0"}, "p@ssw/rd1"),
        ({"CACHE": "redis://:p%40ssw%2Frd1@host/0"}, "p%40ssw%2Frd1"),
        ({"DB": "pg://u:p@ss/w:rd+12@host/db"}, "p@ss/w:rd+12"),
        ({"PWD": "/home/someone/project"}, None),
        ({"OLDPWD": "/home/someone/project"}, None),
        ({"SSH_AUTH_SOCK": "/tmp/ssh-abcdefgh/agent.1"}, None),
        ({"GIT_AUTHOR_NAME": "Somebody Else"}, None),
        ({"SSH_ASKPASS": "/usr/bin/askpass"}, None),
        ({"GEMINI_AUTH_TYPE": "oauth-personal"}, None),
        ({"COMPASS": "north-north-west"}, None),
        ({"GITHUB_PAT": "short"}, None),
    ],
)
def test_which_names_and_logins_are_secret(environ: dict[str, str], printed: str | None) -> None:
    value = printed or next(iter(environ.values())).rpartition("/")[2]

    assert mask_of(environ)(f"<{value}>") == ("<***>" if printed else f"<{value}>")


def test_what_is_too_short_to_mask() -> None:
    assert short_secrets({"A_KEY": "1234567", "B_KEY": "12345678", "C_KEY": "", "NAME": "x"}) == ["A_KEY"]


def basic(value: str) -> str:
    return base64.b64encode(value.encode(errors="surrogateescape")).decode()


BESIDE = st.text(st.characters(codec="utf-8"), max_size=4)
WRITERS = {
    "plain": lambda value, _: value,
    "json": lambda value, _: json.dumps(value)[1:-1],
    "json of json": lambda value, _: json.dumps(json.dumps(value))[3:-3],
    "json, utf-8": lambda value, _: json.dumps(value, ensure_ascii=False)[1:-1],
    "base64": lambda value, beside: basic(beside + value + beside[::-1]),
    "base64url": lambda value, beside: basic(beside + value + beside).replace("+", "-").replace("/", "_"),
    "base64 in an address": lambda value, beside: urllib.parse.quote(basic(beside + value), safe=""),
    "base64 in JSON": lambda value, beside: basic(beside + value).replace("/", "\\/"),
    "basic": lambda value, _: f"Basic {basic('user:' + value)}",
    "hex": lambda value, _: value.encode().hex(),
    "HEX": lambda value, _: value.encode().hex().upper(),
    "url": lambda value, _: urllib.parse.quote(value, safe=""),
    "path": lambda value, _: urllib.parse.quote(value),
    "form": lambda value, _: urllib.parse.quote_plus(value),
    "browser": lambda value, _: urllib.parse.quote(value, safe="!'()*"),
    "shell": lambda value, _: shlex.quote(value),
    "shell in JSON": lambda value, _: json.dumps(shlex.quote(value)),
    "html": lambda value, _: html.escape(value),
    "utf-16": lambda value, _: value.encode("utf-16-le").decode(errors="surrogateescape"),
}
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60) | st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=8, max_size=30
)


@given(VALUES, st.sampled_from(sorted(WRITERS)), BESIDE, st.data())
@settings(max_examples=1500, deadline=None)
def test_any_secret_in_any_form_cut_anywhere_in_any_place(
    value: str, writer: str, beside: str, data: st.DataObject
) -> None:
    environ = {"SOME_API_KEY": value}
    secrets = secrets_of(environ)
    printed = WRITERS[writer](value, beside).encode(errors="surrogateescape")
    before = data.draw(st.sampled_from([b"", b"x", b'{"text": "', b"\n", printed[: len(printed) // 2]]))
    stream = before + printed + data.draw(st.sampled_from([b"", b"\n", b'"}\n', printed[:3]]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    pieces = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = masked(secrets, *pieces)

    assert whole == masked(secrets, stream)
    assert MASK.encode() in whole
    for form in secrets_in(value):
        assert form not in whole
    kept = Masker(secrets, keep_length=True)
    assert len(b"".join(bytes(kept.feed(memoryview(piece))) for piece in pieces) + kept.flush()) == len(stream)
    record = {"text": [stream.decode(errors="surrogateescape")]}
    assert all(form not in str(mask_tree(record, mask_of(environ))).encode() for form in secrets_in(value))


def secrets_in(value: str) -> list[bytes]:
    """What would give it away."""
    return [form for form in forms(value).values() if len(form) >= 8]


def test_a_bomb_of_secrets_stays_quick() -> None:
    environ = {f"KEY_{number}": os.urandom(20).hex() for number in range(100)}
    mask = mask_of(environ)
    began = time.process_time()
    mask("nothing to see here\n" * 10_000)

    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "text",
    [
        "commit 0123456789abcdef0123456789abcdef01234567",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        f"data:image/png;base64,{base64.b64encode(bytes(range(256)) * 40).decode()}",
        "see docs/authorization: required by all; token: none",
        "task-ant-colony sk-learn ghost_stories npm_config hf_hub tk_root",
        "2026-02-19T17:50:43.120Z 20260219_175043_02 sha256:9f86d081884c7d659a2feaa0c55ad015",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert mask_of({"SOME_API_KEY": "correct-horse-battery"})(text) == text


def test_pieces_of_a_file_are_masked_line_by_line() -> None:
    token = "tk_agqdq7mvbofd37zqvcbqf4o9j6e7u"
    data = f"a {token}\nb correct-horse-battery\n\xff no end {token}".encode("latin-1")
    for cut in range(len(data)):
        found = b"".join(masked_pieces([data[:cut], data[cut:]], {"MY_KEY": "correct-horse-battery"}))
        assert found == b"a ***\nb ***\n\xff no end ***"
