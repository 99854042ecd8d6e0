"""Templates of any form, rendered by jinja2's sandbox.

The sandbox keeps templates from Python's internals. What it leaves open is bounded here, for a hostile file must not
hang the runner or fill its memory: few statements, filters and methods, and a budget for what loops or makes text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache, wraps
from itertools import chain, islice
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from runner.errors import did_you_mean
from runner.template.error import MAX_ERRORS, MAX_RESULT, TemplateError, too_large, unknown_variable
from runner.text import position

MAX_ROUNDS = 100_000
# Characters inside `{{ }}` and `{% %}`: reading one of them costs some microseconds.
MAX_LOGIC = 32 * 1024
_TRIED_TAGS = 50
_TAG = re.compile(r"\{\{|\{%|\{#")
_WHOLE_TAG = re.compile(r"\{\{(?:[^}]|\}(?!\})){,65536}|\{%(?:[^%]|%(?!\})){,65536}")
_FILTERS = frozenset(
    "abs capitalize count d default dictsort e escape first float int items join last length list lower max min "
    "replace reverse round sort string sum title tojson trim unique upper urlencode".split()
)
_METHODS = frozenset(
    "endswith get items keys lower lstrip removeprefix removesuffix rstrip split splitlines startswith strip upper "
    "values".split()
)
_STATEMENTS = (nodes.Output, nodes.If, nodes.For)
# What jinja2 calls a statement → the word that a template has for it, where they differ.
_WORDS = {
    "Assign": "set",
    "AssignBlock": "set",
    "CallBlock": "call",
    "FilterBlock": "filter",
    "FromImport": "from",
    "Scope": "autoescape",
}


class _Sandbox(ImmutableSandboxedEnvironment):
    """One rendering, and what it may still do."""

    intercepted_binops = frozenset(["+", "*", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=_finalize, optimized=False, cache_size=0
        )
        self.rounds = MAX_ROUNDS
        self.characters = MAX_RESULT
        self.globals = {"range": safe_range}
        self.filters = {name: self.charged(self.filters[name]) for name in _FILTERS}
        self.filters |= {"join": self.joined, "replace": self.replaced, "counted": self.counted}

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
        """Wrap `work` so that its result is spent; `wraps` keeps the marks by which jinja2 passes its arguments."""

        @wraps(work)
        def charging(*args: Any, **named: Any) -> Any:
            result = work(*args, **named)
            self.spend(len(result) if isinstance(result, str | list | tuple | dict) else 0)
            return result

        return charging

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if operator == "+" and isinstance(value, str | list | tuple):
                self.spend(len(value))
            elif not isinstance(value, int | float):
                raise SecurityError(f"`{operator}` takes numbers here")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
        owner = getattr(called, "__self__", None)
        text_method = isinstance(owner, str | Mapping) and getattr(called, "__name__", "") in _METHODS
        if called is not safe_range and not text_method:
            raise SecurityError("only simple text and mapping methods and `range` can be called in a template")
        return self.charged(super().call)(context, called, *args, **named)


@pass_context  # with the context as an argument jinja2 cannot evaluate anything before the template runs
def _finalize(_context: object, value: Any) -> Any:
    return "" if value is None else value


@lru_cache(maxsize=1)
def _checker() -> _Sandbox:
    """Return a sandbox for checking alone: nothing is rendered with it, so its budget does not matter."""
    return _Sandbox()


def render_jinja(text: str, variables: Mapping[str, object]) -> str:
    """Render as `template.render`, for templates of any form."""
    sandbox = _Sandbox()
    try:
        tree = _parsed(text, sandbox)
        for error in _refused(tree, text):
            raise error
        return _collected(sandbox.from_string(_metered(tree)).generate(dict(variables)))
    except TemplateError:
        raise
    except TemplateSyntaxError as error:
        raise _syntax_error(error, text) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise _too_deep() from None
    except Exception as error:  # an expression may raise anything: a division by zero, a wrong type
        raise TemplateError(f"cannot be rendered: {error}", *_place_of(error, text)) from None


def check_jinja(text: str, names: Collection[str]) -> list[TemplateError]:
    """Check as `template.check`, for templates of any form."""
    try:
        tree = _parsed(text, _checker())
        errors = list(islice(chain(_refused(tree, text), _unknown(tree, text, frozenset(names))), MAX_ERRORS))
    except TemplateError as error:
        return [error]
    except TemplateSyntaxError as error:
        return [_syntax_error(error, text)]
    except RecursionError:
        return [_too_deep()]
    return sorted(errors, key=lambda error: (error.line, error.column))


def _parsed(text: str, sandbox: _Sandbox) -> nodes.Template:
    size = 0
    for tag in _WHOLE_TAG.finditer(text):
        size += len(tag[0])
        if size > MAX_LOGIC:
            raise TemplateError(f"more than {MAX_LOGIC:,} characters of expressions", *position(text, tag.start()))
    return sandbox.parse(text)


def _metered(tree: nodes.Template) -> nodes.Template:
    """Put loops and concatenations, which jinja2 does not intercept, under the budget."""
    for loop in tree.find_all(nodes.For):
        loop.iter = _filtered(loop.iter, "counted")
    for concat in tree.find_all(nodes.Concat):
        concat.nodes = [_filtered(nodes.List(concat.nodes, lineno=concat.lineno), "join")]
    return tree


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _collected(chunks: Iterable[str]) -> str:
    pieces, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_RESULT:
            raise too_large()
        pieces.append(chunk)
    return "".join(pieces)


def _refused(tree: nodes.Template, text: str) -> Iterator[TemplateError]:
    for node in tree.find_all((nodes.Stmt, nodes.Pow, nodes.Filter, nodes.Test)):
        if isinstance(node, nodes.Filter):
            yield from _unknown_word("filter", node.name, _FILTERS, text, node.lineno)
        elif isinstance(node, nodes.Test):
            yield from _unknown_word("test", node.name, _checker().tests, text, node.lineno)
        elif not isinstance(node, _STATEMENTS):
            word = _WORDS.get(type(node).__name__, type(node).__name__.lower())
            yield TemplateError(f"`{word}` is not available in templates", *_place(text, node.lineno, word))


def _unknown_word(kind: str, name: str, known: Collection[str], text: str, line: int) -> Iterator[TemplateError]:
    if name not in known:
        yield TemplateError(f"unknown {kind} `{name}`", *_place(text, line, name), did_you_mean(name, known))


def _unknown(node: nodes.Node, text: str, names: frozenset[str]) -> Iterator[TemplateError]:
    """Yield the variables that are read and neither known nor those of a loop around them, at every place.

    jinja2's own `find_undeclared_variables` gives no places, and none at all when a filter is unknown, too.
    """
    if isinstance(node, nodes.Name):
        if node.name not in names and node.name != "range":
            yield unknown_variable(node.name, names, *_place(text, node.lineno, node.name))
    elif isinstance(node, nodes.For):
        targets = [node.target, *node.target.find_all(nodes.Name)]
        inner = names | {"loop"} | {target.name for target in targets if isinstance(target, nodes.Name)}
        for part in (node.iter, *node.else_):
            yield from _unknown(part, text, names)
        for part in (*node.body, *([node.test] if node.test else [])):
            yield from _unknown(part, text, inner)
    else:
        for child in node.iter_child_nodes():
            yield from _unknown(child, text, names)


def _syntax_error(error: TemplateSyntaxError, text: str) -> TemplateError:
    message = (error.message or "cannot be read").split(" Jinja was looking for", 1)[0].rstrip(".")
    message = message.replace("end of print statement", "}}").replace("end of statement block", "%}")
    return TemplateError(f"template syntax: {message[0].lower()}{message[1:]}", *_syntax_place(text, error.lineno))


def _too_deep() -> TemplateError:
    return TemplateError("the template is nested too deeply")


def _place_of(error: Exception, text: str) -> tuple[int, int]:
    """Line and column of the expression that raised: jinja2 puts the template's own lines into the traceback."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    lines = text.splitlines()
    found = lines[line - 1].find("{") if line <= len(lines) else 0
    return line, max(0, found) + 1


def _place(text: str, line: int, word: str) -> tuple[int, int]:
    """Where `word` stands inside a tag on `line`; jinja2 itself keeps no columns."""
    start = _line_start(text, line)
    tag = max(text.rfind("{{", 0, start), text.rfind("{%", 0, start))
    tag_open = tag >= 0 and text.find("}", tag) > start
    first = None if tag_open else _TAG.search(text, start)
    found = re.compile(rf"\b{re.escape(word)}\b").search(text, first.start() if first else start)
    return position(text, found.start()) if found else (line, 1)


def _syntax_place(text: str, line: int) -> tuple[int, int]:
    """The first tag on `line` that is wrong by itself, else the first tag there, else the tag open at that line."""
    start = _line_start(text, line)
    end = text.find("\n", start) if text.find("\n", start) >= 0 else len(text)
    tags = [found.start() for found in islice(_TAG.finditer(text, start, end), _TRIED_TAGS)]
    for tag in tags:
        closing = text.find("%}" if text[tag + 1] == "%" else "}}", tag, end)
        if closing < 0 or (text[tag + 1] == "{" and _fails(text[tag : closing + 2])):
            return position(text, tag)
    if tags:
        return position(text, tags[0])
    return position(text, max(text.rfind("{{", 0, start), text.rfind("{%", 0, start), 0))


def _fails(text: str) -> bool:
    try:
        _checker().parse(text)
    except (TemplateSyntaxError, RecursionError):
        return True
    return False


def _line_start(text: str, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start
