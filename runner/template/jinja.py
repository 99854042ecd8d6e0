"""The part of jinja2 that templates may use, fenced in: no loops without end, no results without bound.

A template comes from a YAML file or a prompt, which is hostile until shown otherwise. So nodes, filters and methods are
lists of what is allowed, and what loops or makes text is charged to a budget. Nothing is evaluated at compile time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import generate
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.exceptions import TemplateError as JinjaError
from jinja2.sandbox import SandboxedEnvironment, safe_range
from jinja2.visitor import NodeTransformer

from runner.errors import did_you_mean
from runner.template.budget import Budget
from runner.template.error import (
    MAX_ERRORS,
    MAX_RESULT,
    TemplateError,
    position,
    too_large,
    unknown_variable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from jinja2 import Template

# Characters inside `{{ }}` and `{% %}`: reading one of them costs some microseconds.
MAX_LOGIC = 32 * 1024
_TRIED_TAGS = 50
_TAG = re.compile(r"\{\{|\{%|\{#")
_WHOLE_TAG = re.compile(r"\{\{(?:[^}]|\}(?!\})){,65536}|\{%(?:[^%]|%(?!\})){,65536}")
_FILTER_WORDS = (
    "abs capitalize count d default dictsort e escape first float int items join last length list lower max min "
    "replace reverse round sort string sum title tojson trim unique upper urlencode"
)
_FILTERS = frozenset(_FILTER_WORDS.split())
_METHOD_WORDS = (
    "endswith get items keys lower lstrip removeprefix removesuffix rstrip split splitlines startswith strip upper "
    "values"
)
_METHODS = frozenset(_METHOD_WORDS.split())
_NODES: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Name, nodes.Const, nodes.List),
    *(nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.CondExpr),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand, nodes.Filter, nodes.Test, nodes.Concat),
    *(nodes.Call, nodes.Add, nodes.Sub, nodes.Neg, nodes.Pos, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)


# What jinja2 calls a node → the word that a template has for it.
_WORDS_OF_NODES = {
    "Assign": "set",
    "AssignBlock": "set",
    "CallBlock": "call",
    "FilterBlock": "filter",
    "FromImport": "from",
}


class _Fence(NodeTransformer):
    """Puts loops and concatenations under the budget."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - jinja2 dispatches on this name
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "_counted", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - jinja2 dispatches on this name
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, "_joined", [], [], None, None, lineno=node.lineno)


class _Environment(SandboxedEnvironment):
    intercepted_binops = frozenset(["+", "*", "%"])

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=_finalize, optimized=False, cache_size=0
        )
        self.budget = Budget()
        self.globals = {"range": safe_range}
        self.filters = {name: self.budget.charged(self.filters[name]) for name in _FILTERS}
        self.filters |= {"join": self.budget.joined, "replace": self.budget.replaced}
        self.filters |= {"_counted": self.budget.counted, "_joined": self.budget.joined}

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if operator == "+" and isinstance(value, str | list | tuple):
                self.budget.spend(len(value))
            elif not isinstance(value, int | float):
                raise SecurityError(f"`{operator}` takes numbers here")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Any, called: Any, /, *words: Any, **named: Any) -> Any:
        owner = getattr(called, "__self__", None)
        text_method = isinstance(owner, str | Mapping) and getattr(called, "__name__", "") in _METHODS
        if called is not safe_range and not text_method:
            raise SecurityError("only simple text and mapping methods and `range` can be called in a template")
        return self.budget.charged(super().call)(context, called, *words, **named)


@pass_context  # with the context as an argument jinja2 cannot evaluate anything before the template runs
def _finalize(_context: object, value: Any) -> Any:
    return "" if value is None else value


def render_jinja(text: str, variables: Mapping[str, object]) -> str:
    """As `template.render`, for templates of any form."""
    try:
        return _collect(_compiled(text).generate(dict(variables)))
    except TemplateError:
        raise
    except TemplateSyntaxError as error:
        raise _explained(error, text) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise _too_deep() from None
    except Exception as error:  # an expression may raise anything: a division by zero, a wrong type
        raise TemplateError(f"cannot be rendered: {error}", *_place_of(error, text)) from None


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


def _compiled(text: str) -> Template:
    _check_size(text)
    environment = _Environment()
    tree = environment.parse(text)
    for problem in _refused(tree, text):
        raise problem
    source = generate(_Fence().visit(tree), environment, None, None)
    code = compile(source or "", "<template>", "exec")
    return environment.template_class.from_code(environment, code, environment.make_globals(None))


def _check_size(text: str) -> None:
    size = 0
    for tag in _WHOLE_TAG.finditer(text):
        size += len(tag[0])
        if size > MAX_LOGIC:
            raise TemplateError(f"more than {MAX_LOGIC:,} characters of expressions", *position(text, tag.start()))


def _too_deep() -> TemplateError:
    return TemplateError("the template is nested too deeply")


def _collect(chunks: Iterable[str]) -> str:
    pieces, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_RESULT:
            raise too_large()
        pieces.append(chunk)
    return "".join(pieces)


@lru_cache(maxsize=1)
def _grammar() -> _Environment:
    """For parsing alone: nothing is rendered with it, so its budget is never touched."""
    return _Environment()


def check_jinja(text: str, names: Collection[str]) -> list[TemplateError]:
    """As `template.check`, for templates of any form."""
    try:
        _check_size(text)
        tree = _grammar().parse(text)
        found = chain(_refused(tree, text), _unknown(tree, text, frozenset(names)))
        errors = list(islice(found, MAX_ERRORS))
    except TemplateError as error:
        return [error]
    except JinjaError as error:
        return [_explained(error, text)]
    except RecursionError:
        return [_too_deep()]
    return sorted(errors, key=lambda error: (error.line, error.column))


def _refused(tree: nodes.Template, text: str) -> Iterator[TemplateError]:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _NODES) and not isinstance(node, nodes.EvalContextModifier | nodes.Helper):
            word = _WORDS_OF_NODES.get(type(node).__name__, type(node).__name__.lower())
            yield TemplateError(f"`{word}` is not available in templates", *_place(text, node.lineno, word))
        elif isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            yield _unknown_word("filter", node.name, _FILTERS, text, node.lineno)
        elif isinstance(node, nodes.Test) and node.name not in _grammar().tests:
            yield _unknown_word("test", node.name, _grammar().tests, text, node.lineno)


def _unknown_word(kind: str, name: str, known: Iterable[str], text: str, line: int) -> TemplateError:
    return TemplateError(f"unknown {kind} `{name}`", *_place(text, line, name), did_you_mean(name, known))


def _unknown(tree: nodes.Node, text: str, names: frozenset[str]) -> Iterator[TemplateError]:
    """Variables that are used and neither known nor the variable of a loop around them."""
    if isinstance(tree, nodes.Name):
        if tree.name not in names and tree.name != "range":
            yield unknown_variable(tree.name, names, *_place(text, tree.lineno, tree.name))
    elif isinstance(tree, nodes.For):
        inner = names | {name.name for name in tree.target.find_all(nodes.Name)} | _names_of(tree.target) | {"loop"}
        yield from _unknown(tree.iter, text, names)
        for node in (*tree.body, *([tree.test] if tree.test is not None else [])):
            yield from _unknown(node, text, inner)
        for node in tree.else_:
            yield from _unknown(node, text, names)
    else:
        for node in tree.iter_child_nodes():
            yield from _unknown(node, text, names)


def _names_of(node: nodes.Node) -> frozenset[str]:
    return frozenset({node.name}) if isinstance(node, nodes.Name) else frozenset()


def _explained(error: JinjaError, text: str) -> TemplateError:
    message = _in_words(error.message or "cannot be rendered")
    if not isinstance(error, TemplateSyntaxError):
        return TemplateError(message[0].lower() + message[1:])
    return TemplateError(f"template syntax: {message[0].lower()}{message[1:]}", *_syntax_place(text, error.lineno))


def _in_words(message: str) -> str:
    message = message.split(" Jinja was looking for", 1)[0].rstrip(".")
    return message.replace("end of print statement", "}}").replace("end of statement block", "%}")


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
        _grammar().parse(text)
    except (TemplateSyntaxError, RecursionError):
        return True
    return False


def _line_start(text: str, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start
