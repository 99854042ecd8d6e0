"""What one rendering may cost: rounds of its loops, characters that its expressions make."""

from __future__ import annotations

from functools import wraps
from typing import Any

from runner.template.error import MAX_RESULT, TemplateError, too_large

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_ROUNDS = 100_000


class Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        self.rounds = MAX_ROUNDS
        self.characters = MAX_RESULT

    def spend(self, size: int) -> None:
        self.characters -= size
        if self.characters < 0:
            raise too_large()

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        for value in values:
            self.rounds -= 1
            if self.rounds < 0:
                raise TemplateError(f"its loops go round more than {MAX_ROUNDS} times")
            yield value

    def joined(self, values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
        pieces = []
        for value in self.counted(values):
            piece = str(value if attribute is None else value[attribute])
            self.spend(len(piece) + len(d))
            pieces.append(piece)
        return d.join(pieces)

    def replaced(self, text: Any, old: str, new: str) -> str:
        whole = str(text)
        self.spend(len(whole) + whole.count(old) * len(new))
        return whole.replace(old, new)

    def charged(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work` with its result charged; the pass-argument marks of jinja2 are kept."""

        def charging(*words: Any, **named: Any) -> Any:
            result = work(*words, **named)
            self.spend(len(result) if isinstance(result, str | list | tuple | dict) else 0)
            return result

        return wraps(work)(charging)
