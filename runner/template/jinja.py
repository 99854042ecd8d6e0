"""Templates of any form, rendered by jinja2's sandbox in a process of its own.

The sandbox keeps templates from Python's internals, few statements, filters and methods from surprises. What an
expression costs nobody can tell before: so the process that renders has a limit of time and of memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain, islice
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.errors import did_you_mean
from runner.process.apart import ApartError, apart
from runner.template.error import MAX_ERRORS, MAX_RESULT, TemplateError, too_large, unknown_variable
from runner.text import position

MAX_SECONDS = 1.5
MAX_MEMORY = 64 << 20
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
    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, finalize=_finalize, optimized=False, cache_size=0
        )
        self.globals = {"range": range}
        self.filters = {name: self.filters[name] for name in _FILTERS}

    def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
        owner = getattr(called, "__self__", None)
        text_method = isinstance(owner, str | Mapping) and getattr(called, "__name__", "") in _METHODS
        if called is not range and not text_method:
            raise SecurityError("only simple text and mapping methods and `range` can be called in a template")
        return super().call(context, called, *args, **named)


@pass_context  # with the context as an argument jinja2 cannot evaluate anything before the template runs
def _finalize(_context: object, value: Any) -> Any:
    return "" if value is None else value


@lru_cache(maxsize=1)
def _sandbox() -> _Sandbox:
    return _Sandbox()


def render_jinja(text: str, variables: Mapping[str, object]) -> str:
    """Render as `template.render`, for templates of any form."""
    try:
        for error in _refused(_parsed(text), text):
            raise error
        template = _sandbox().from_string(text)
    except TemplateSyntaxError as error:
        raise _syntax_error(error, text) from None
    except (RecursionError, MemoryError, SyntaxError):
        raise _too_deep() from None
    try:
        told = json.loads(apart(partial(_rendered, template, text, variables), MAX_SECONDS, MAX_MEMORY))
    except ApartError as limit:
        used = f"{MAX_SECONDS:g} s" if limit.kind == "time" else f"{MAX_MEMORY >> 20} MiB of memory"
        frame = re.search(r'File "<template>", line (\d+)', limit.trace)
        line = template.get_corresponding_lineno(int(frame[1])) if frame else _first_line(text)
        raise TemplateError(f"takes more than {used} to render", *_opening(text, line)) from None
    if isinstance(told, str):
        return told
    raise TemplateError(*told)


def _rendered(template: Template, text: str, variables: Mapping[str, object]) -> bytes:
    """In a process of its own: the result, or what a TemplateError says, as JSON."""
    pieces, size = [], 0
    try:
        for piece in template.generate(dict(variables)):
            size += len(piece)
            if size > MAX_RESULT:
                raise too_large()
            pieces.append(piece)
        return json.dumps("".join(pieces)).encode()
    except TemplateError as error:
        told = error.message, *_opening(text, _first_line(text))
    except RecursionError:
        told = _too_deep().message, 1, 1
    except MemoryError:
        raise
    except Exception as error:  # an expression may raise anything: a division by zero, a wrong type
        told = f"cannot be rendered: {str(error)[:1000]}", *_place_of(error, text)
    return json.dumps(told).encode()


def check_jinja(text: str, names: Collection[str]) -> list[TemplateError]:
    """Check as `template.check`, for templates of any form."""
    try:
        tree = _parsed(text)
        errors = list(islice(chain(_refused(tree, text), _unknown(tree, text, frozenset(names))), MAX_ERRORS))
    except TemplateError as error:
        return [error]
    except TemplateSyntaxError as error:
        return [_syntax_error(error, text)]
    except RecursionError:
        return [_too_deep()]
    return sorted(errors, key=lambda error: (error.line, error.column))


def _parsed(text: str) -> nodes.Template:
    size = 0
    for tag in _WHOLE_TAG.finditer(text):
        size += len(tag[0])
        if size > MAX_LOGIC:
            raise TemplateError(f"more than {MAX_LOGIC:,} characters of expressions", *position(text, tag.start()))
    return _sandbox().parse(text)


def _refused(tree: nodes.Template, text: str) -> Iterator[TemplateError]:
    for node in tree.find_all((nodes.Stmt, nodes.Pow, nodes.Filter, nodes.Test)):
        if isinstance(node, nodes.Filter):
            yield from _unknown_word("filter", node.name, _FILTERS, text, node.lineno)
        elif isinstance(node, nodes.Test):
            yield from _unknown_word("test", node.name, _sandbox().tests, text, node.lineno)
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
    return _opening(text, line)


def _opening(text: str, line: int) -> tuple[int, int]:
    """The first tag on a line."""
    lines = text.splitlines()
    found = lines[line - 1].find("{") if line <= len(lines) else 0
    return line, max(0, found) + 1


def _first_line(text: str) -> int:
    """The line of the first tag."""
    found = _TAG.search(text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


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
        _sandbox().parse(text)
    except (TemplateSyntaxError, RecursionError):
        return True
    return False


def _line_start(text: str, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start
