"""Templates: bare names, the part of jinja2 that is allowed, and bounds on what they cost."""

from __future__ import annotations

import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.template import TemplateError, check, is_plain, render
from runner.template.jinja import render_jinja

VALUES = {
    "task": "build",
    "model": None,
    "vars": {"path": "src", "list": ["a", "b"]},
    "number": 7,
    "flag": True,
    "data": "{{ task }}",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("nothing to do", "nothing to do"),
        ("{{ task }}", "build"),
        ("{{task}}-{{  task  }}", "build-build"),
        ("[{{ model }}]", "[]"),
        ("{{ number }} {{ flag }}", "7 True"),
        ("one\n", "one\n"),
        ("one\r\n{{ task }}\r", "one\nbuild\n"),
        ("} }} { %} #}", "} }} { %} #}"),
        ("{{ vars.path }}", "src"),
        ("{{ model or 'none' }}", "none"),
        ("{% if vars.path %}below {{ vars.path }}{% endif %}.", "below src."),
        ("{% for item in vars.list %}{{ loop.index }}{{ item }}{% endfor %}", "1a2b"),
        ("{{ vars.list|join(', ') }}", "a, b"),
        ("{{ task ~ '-' ~ number }}", "build-7"),
        ("{{ task.upper() }}", "BUILD"),
        ("{{ task|replace('b', 'g') }}", "guild"),
        ("{{ vars.get('none') }}|{{ none }}", "|"),
        ("{# a comment #}x", "x"),
        ("{{ '{{' }} {% raw %}{{ raw }}{% endraw %}", "{{ {{ raw }}"),
        ("{{ number + 1 }} {{ number % 2 }} {{ 2 * number }}", "8 1 14"),
        ("{{ task * 2 }} {{ '%02d' % number }}", "buildbuild 07"),
        ("{{ data }}", "{{ task }}"),
        ("{{ data or '' }}", "{{ task }}"),
    ],
)
def test_render(text: str, expected: str) -> None:
    assert render(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{{ tsk }}", (1, 4), "unknown variable `tsk`"),
        ("a\n  {{ task }} {{ tsk }}", (2, 17), "unknown variable `tsk`"),
        ("a {{ task|uper }}", (1, 11), "unknown filter `uper`"),
        ("{{ task is nonsense }}", (1, 12), "unknown test `nonsense`"),
        ("one\n{{ task }} {{ tsk or task }}", (2, 15), "unknown variable `tsk`"),
        ("{{ task", (1, 1), "template syntax: unexpected end of template, expected '}}'"),
        ("x\n{{ task }} {{ task + }}", (2, 12), "template syntax: unexpected '}}'"),
        ("{% if task %}", (1, 1), "template syntax: unexpected end of template"),
        ("{% set x = task %}", (1, 4), "`set` is not available in templates"),
        ("{% include 'x' %}", (1, 4), "`include` is not available in templates"),
        ("{{ task|center(100) }}", (1, 9), "unknown filter `center`"),
        ("{{ " + "(" * 5000, (1, 1), "the template is nested too deeply"),
        ("{{ " + "1 + " * 20000 + "1 }}", (1, 1), "more than 32,768 characters of expressions"),
    ],
)
def test_check_says_where(text: str, place: tuple[int, int], message: str) -> None:
    first = check(text, ["task"])[0]

    assert (first.message, (first.line, first.column)) == (message, place)


def test_check_finds_all_and_hints() -> None:
    found = check("{{ tsk }} {{ colour }} {{ task }}", ["task", "model"])

    assert [error.hint for error in found] == ["did you mean 'task'?", "known here: model, task"]


def test_check_is_silent_on_what_is_right() -> None:
    text = "{% for a, b in task %}{{ a }}{{ b }}{{ loop.last }}{% endfor %}{{ range(3)|list }}"

    assert check(text, ["task"]) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ tsk }}", "unknown variable `tsk`"),
        ("{{ vars.none }}", "has no attribute 'none'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ task.__class__ }}", "unsafe"),
        ("{{ task.format }}{{ task.format('x') }}", "can be called in a template"),
        ("{{ ''.join.__globals__ }}", "has no attribute"),
        ("{{ '%1000000000d' % 1 }}", "takes more than 64 MiB of memory to render"),
        ("{{ 'a' * 1000000000 }}", "takes more than 64 MiB of memory to render"),
        ("{{ 'a' * 10**9 }}", "`pow` is not available"),
        ("{{ '{:>1000000000}'.format(1) }}", "can be called in a template"),
        ("{{ vars.list.append(1) }}", "can be called in a template"),
        ("{% set x = 1 %}", "`set` is not available"),
    ],
)
def test_render_refuses(text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=r".") as caught:
        render(text, VALUES)

    assert message in caught.value.message


BIG = {"big": "x" * 1_000_000}


@pytest.mark.parametrize(
    "text",
    [
        "{{ 1|round(-1000000000) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{{ range(1000000000)|list }}",
        "{{ range(1000000000)|sum }}",
        "{{ range(1000000000)|max }}",
        "{{ -1.5 in range(1000000000) }}",
        "{{ 10**10**10 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 1|round(-1000000000)|string|length }}",
        "{% for a in range(100000) %}{% if range(100000)|min > 0 %}{% endif %}{% endfor %}",
        "{% for a in range(1000000000) %}{% endfor %}",
        "{% for a in range(1000000000) %}a{% endfor %}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in big %}{% for b in big %}{% endfor %}{% endfor %}",
        "{{ range(100000000)|list }}",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ big|replace('x', big) }}",
        "{{ big }}" * 40,
        "{{ big ~ " + " ~ ".join(["big"] * 40) + " }}",
        "{{ [" + ", ".join(["big"] * 40) + "]|join }}",
        "{{ " + " + ".join(["big"] * 40) + " }}",
        "{{ [" + ", ".join(["big|upper"] * 40) + "] }}",
        "{{ [" + ", ".join(["big.upper()"] * 40) + "] }}",
        "{% if big %}" + "{{ big }}" * 40 + "{% endif %}",
    ],
)
def test_nothing_explodes(text: str) -> None:
    """Within 2 s and 64 MiB, where they can be counted: in the process that renders."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()

    with pytest.raises(TemplateError):
        render(text, BIG)

    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert time.process_time() - begun + after.ru_utime - before.ru_utime < 2
    assert after.ru_maxrss - resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 64 * 1024


def test_a_limit_says_at_which_line() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{ task }}\n\n  {{ 1|round(-1000000000) }}\n", VALUES)

    assert (caught.value.message, caught.value.line, caught.value.column) == ("takes more than 1.5 s to render", 3, 3)


@pytest.mark.parametrize("value", ["{{ task }}", "{% for a in b %}", "{# x", "{{", "}}{{ 1 / 0 }}", "{% raw %}"])
@pytest.mark.parametrize("text", ["{{ task }}", "{{ task or 'none' }}", "{{ vars.task|default(task) }}"])
def test_data_is_never_a_template(text: str, value: str) -> None:
    assert render(text, {"task": value, "vars": {}}) == value


PIECES = st.sampled_from(
    ["{{ task }}", "{{task}}", "{{ model }}", "{{\nnumber }}", "{", "}", "{{ vars.path }}", "\r\n", "\r", " ", "x", "é"]
)


@given(st.lists(PIECES | st.text(alphabet="{}%# \n\rax_|'", max_size=4)).map("".join))
def test_plain_templates_are_rendered_as_jinja2_does(text: str) -> None:
    """Whatever the fast way takes on gives what the other gives."""
    if is_plain(text):
        try:
            expected = render_jinja(text, VALUES)
        except TemplateError:
            with pytest.raises(TemplateError):
                render(text, VALUES)
        else:
            assert render(text, VALUES) == expected


@given(st.text(alphabet="{}%#|()[]'\"+-*~. \nifortask=1", max_size=40))
def test_what_check_passes_has_no_syntax_error(text: str) -> None:
    if not check(text, VALUES):
        try:
            render(text, VALUES)
        except TemplateError as error:
            assert not error.message.startswith(("template syntax", "unknown"))
