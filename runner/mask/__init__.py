"""Secrets kept out of files, messages and what is printed: exact values of the environment, and well-known tokens.

May import nothing of ours. The door: `mask_of` and `mask_later` for any text; `secrets_of` and `Masker` for a stream of
bytes; `mask_known_tokens` where no environment is known; `mask_tree` for the texts in a JSON value. transcript.log and
stdout.log are masked by exact values alone, so that a byte's place in them is its place in what the agent printed.
"""

from __future__ import annotations

from runner.mask.masker import MASK, Masker, mask_bytes, mask_text, mask_tree
from runner.mask.secrets import SHORTEST, is_secret, plain_forms, secrets_of, short_secrets
from runner.mask.text import mask_later, mask_of, masked_pieces, masker_of
from runner.mask.tokens import mask_known_tokens

__all__ = [
    "MASK",
    "SHORTEST",
    "Masker",
    "is_secret",
    "mask_bytes",
    "mask_known_tokens",
    "mask_later",
    "mask_of",
    "mask_text",
    "mask_tree",
    "masked_pieces",
    "masker_of",
    "plain_forms",
    "secrets_of",
    "short_secrets",
]
