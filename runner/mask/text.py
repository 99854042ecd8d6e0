"""Texts on their way into a record, a message or onto a terminal: exact values first, then well-known tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from runner.mask.masker import Masker, mask_text
from runner.mask.secrets import secrets_of
from runner.mask.tokens import mask_known_tokens

_MAX_LINE = 1 << 20  # bytes of a line that wait for its end


def mask_of(environ: Mapping[str, str]) -> Callable[[str], str]:
    """The mask for a text, by the secrets of an environment."""
    return masker_of(tuple(secrets_of(environ)))


def masker_of(secrets: tuple[bytes, ...]) -> Callable[[str], str]:
    """The same for secrets that are known already."""
    return lambda text: mask_known_tokens(mask_text(text, secrets))


def mask_later(environ: Mapping[str, str]) -> Callable[[str], str]:
    """The same, made when the first text comes."""
    made: list[Callable[[str], str]] = []

    def mask(text: str) -> str:
        if not made:
            made.append(mask_of(environ))
        return made[0](text)

    return mask


def masked_pieces(pieces: Iterable[bytes], environ: Mapping[str, str]) -> Iterator[bytes]:
    """A file or a program's output on its way out, line by line; a byte that is no text stays."""
    masker = Masker(secrets_of(environ))
    held = b""
    for piece in pieces:
        data = held + masker.feed(memoryview(piece))
        end = len(data) if len(data) > _MAX_LINE else data.rfind(b"\n") + 1
        held = data[end:]
        if end:
            yield _known(data[:end])
    yield _known(held + masker.flush())


def _known(data: bytes) -> bytes:
    text = data.decode(errors="surrogateescape")
    masked = mask_known_tokens(text)
    return data if masked is text else masked.encode(errors="surrogateescape")
