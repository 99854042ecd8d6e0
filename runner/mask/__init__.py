"""Secrets kept out of files, messages and what is printed: exact values of the environment, and well-known tokens.

May import nothing of ours. The door: `mask_of` for any text; `secrets_of` and `Masker` for a stream of bytes;
`mask_known_tokens` where no environment is known; `mask_tree` for the texts in a JSON value. transcript.log and
stdout.log are masked by exact values alone, so that a byte's place in them is its place in what the agent printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.mask.masker import MASK, Masker, mask_text, mask_tree
from runner.mask.printed import MaskedStream
from runner.mask.secrets import SHORTEST, plain_forms, secrets_of, short_secrets
from runner.mask.tokens import mask_known_tokens

__all__ = [
    "MASK",
    "SHORTEST",
    "MaskedStream",
    "Masker",
    "mask_known_tokens",
    "mask_of",
    "mask_text",
    "mask_tree",
    "masker_of",
    "plain_forms",
    "secrets_of",
    "short_secrets",
]


def mask_of(environ: Mapping[str, str]) -> Callable[[str], str]:
    """The one way of a text into a record, a message or onto a terminal: exact values first, then well-known tokens."""
    return masker_of(tuple(secrets_of(environ)))


def masker_of(secrets: tuple[bytes, ...]) -> Callable[[str], str]:
    """The same for secrets that are known already."""
    return lambda text: mask_known_tokens(mask_text(text, secrets))
