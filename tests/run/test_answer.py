"""The answer that a task's `output` asks for: what counts as one, where it is looked for, what a run without it is."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner.asked import Output
from runner.run.answer import UnfitError, check, parse
from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying

if TYPE_CHECKING:
    import subprocess

    from tests.helpers import Project

DEEP = "[" * 100_000

# the reply → what it is, or what is said
REPLIES: list[tuple[str, Any]] = [
    ('{"a": 1}', {"a": 1}),
    (' \n{"a": 1}\n\n', {"a": 1}),
    ("[]", []),
    ("null", None),
    ('"text"', "text"),
    ('```json\n{"a": 1}\n```', {"a": 1}),
    ('\n```\n{"a":\n 1}\n```  \n', {"a": 1}),
    ("", "the reply is empty, and JSON was asked for"),
    ("```json\n\n```", "the reply is empty, and JSON was asked for"),
    ("Here it is:\n{}", "the reply is not JSON: line 1, column 1: expecting value"),
    ('Here it is:\n```json\n{"a": 1}\n```', "the reply is not JSON: line 1, column 1: expecting value"),
    ('```json\n{"a": 1}\n```\nDone.', "the reply is not JSON: line 1, column 1: expecting value"),
    ("```python\n{}\n```", "the reply is not JSON: line 1, column 1: expecting value"),
    ('{"a": 1} {"b": 2}', "the reply is not JSON: line 1, column 10: extra data"),
    ("```json\n{}\n```\n```json\n{}\n```", "the reply is not JSON: line 3, column 1: extra data"),
    ("{'a': 1}", "the reply is not JSON: line 1, column 2: expecting property name enclosed in double quotes"),
    ("NaN", "the reply is not JSON: `NaN` is no number of JSON"),
    ('{"a": -Infinity}', "the reply is not JSON: `-Infinity` is no number of JSON"),
    (DEEP, "the reply is nested too deeply"),
    ("1" * 5000, "the reply is not JSON: Exceeds the limit"),
    (f'"{"x" * (4 << 20)}"', "the reply is longer than 4 MiB"),
]


@pytest.mark.parametrize(("text", "expected"), REPLIES, ids=range(len(REPLIES)))
def test_what_counts_as_json(text: str, expected: Any) -> None:
    try:
        found = parse(text, "the reply")
    except UnfitError as error:
        assert isinstance(expected, str)
        assert str(error).startswith(expected)
    else:
        assert found == expected


NESTED = {"properties": {"items": {"items": {"required": ["name"], "properties": {"name": {"type": "string"}}}}}}
SLOW = {"pattern": "^(a|a)*$"}
LOOP = {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/x"}}}

# schema, value → what does not fit
VALUES: list[tuple[Any, Any, str | None]] = [
    ({}, None, None),
    ({"type": "object"}, {}, None),
    ({"type": "object"}, [], "at `$`: [] is not of type 'object'"),
    (NESTED, {"items": [{"name": "a"}]}, None),
    (NESTED, {"items": [{"name": "a"}, {}]}, "at `$.items[1]`: 'name' is a required property"),
    (NESTED, {"items": [{"name": 7}]}, "at `$.items[0].name`: 7 is not of type 'string'"),
    ({"enum": [1, 2]}, "x" * 10_000, "at `$`: 'xxx"),
    ({"$schema": "http://json-schema.org/draft-07/schema#", "const": 1}, 2, "at `$`: 1 was expected"),
    (SLOW, "a" * 60 + "b", "it took more time than 5 s to look"),
    (LOOP, 1, "it is nested too deeply"),
    ({"$ref": "https://example.invalid/x.json"}, 1, "the schema cannot be used: "),  # nothing is fetched
]


@pytest.mark.parametrize(("schema", "value", "message"), VALUES, ids=range(len(VALUES)))
def test_what_fits_a_schema(schema: Any, value: Any, message: str | None) -> None:
    asked = Output(json.dumps(schema), "s.json")
    if message is None:
        check(value, asked)
        return
    with pytest.raises(UnfitError) as found:
        check(value, asked)
    assert str(found.value).startswith(f"the answer does not fit `s.json`: {message}")
    assert len(str(found.value)) < 600


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SAYING = {"binary": "/bin/sh", "parser": "said", "stdin": "{{ prompt }}"}


def asking(project: Project, script: str, source: str = "reply", agent: str = "", field: str = "") -> Project:
    """The task `asked` with a schema, and the agent `one`, which runs a script and is of the JSON lines dialect."""
    entry = {**SAYING, "argv": ["-c", script, "sh"], **json.loads(agent or "{}")}
    fields = {"text": {"when": {"type": "result"}, "at": "result"}, **json.loads(field or "{}")}
    parser = {"format": "jsonl", "success": {"when": {"type": "result"}}, "fields": fields}
    agents = {"stock": False, "agents": {"one": entry}, "parsers": {"said": parser}}
    project.write("agents.yaml", json.dumps(agents))
    task = {"prompt": "prompts/free.md", "output": {"schema": "prompts/s.json", "from": source}}
    project.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"asked": task}}))
    project.write("prompts/s.json", json.dumps(SCHEMA, indent=2))
    return project


def say(text: str, **more: Any) -> str:
    return f"cat > /dev/null; printf '%s\\n' '{json.dumps({'type': 'result', 'result': text, **more})}'"


def test_the_answer_is_in_the_folder_in_the_record_and_shown(project: Project) -> None:
    done = asking(project, say('{"n": 4}'))("run", "one", "asked")
    assert done.returncode == 0, done.stdout + done.stderr
    record, folder = project.record(), project.folders()[-1]
    assert record["output"] == {"n": 4}
    assert json.loads((folder / "output.json").read_text()) == {"n": 4}
    assert (folder / "output.json").stat().st_mode & 0o777 == 0o600
    assert json.loads(project("show", "last", "--output").stdout) == {"n": 4}
    assert json.loads(project("show", "last", "--json").stdout)["output"] == {"n": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("No idea.", "the reply is not JSON: line 1, column 1: expecting value"),
        ('{"n": "4"}', "the answer does not fit `s.json`: at `$.n`: '4' is not of type 'integer'"),
        ("{}", "the answer does not fit `s.json`: at `$`: 'n' is a required property"),
    ],
)
def test_without_it_the_run_failed(project: Project, text: str, message: str) -> None:
    with Ntfy() as ntfy:
        notifying(asking(project, say(text)), ntfy.url)
        # The notify section stands beside JSON: in YAML both are mappings.
        tasks = json.loads((project.root / "tasks.yaml").read_text().partition("notify:")[0])
        tasks["notify"] = {"ntfy": {"url": ntfy.url, "topic": "runs"}}
        project.write("tasks.yaml", json.dumps(tasks))
        done = project("run", "one", "asked")
        said = [revisions[-1] for revisions in ntfy.delivered("runs").values()]
    assert (done.returncode, said[-1]["title"]) == (1, "one asked: failed (invalid_output)")
    assert message in said[-1]["message"]
    record = project.record()
    assert (record["reason"], record["error"]["message"]) == ("invalid_output", message)
    assert record["error"]["evidence"] == "stdout.log:1"
    assert "output" not in record
    shown = project("show", "last", "--output")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert f"run `{record['run_id']}` has no answer" in shown.stderr


FROM_FILE = "file:out/answer.json"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("mkdir -p out; echo '{\"n\": 1}' > out/answer.json", {"n": 1}),
        ("true", "`out/answer.json` is not there"),
        ("mkdir -p out; echo '{\"n\": ' > out/answer.json", "`out/answer.json` is not JSON: line 2, column 1"),
        ("mkdir -p out; mkfifo out/answer.json", "`out/answer.json` is a FIFO, expected a file"),
        ("mkdir -p out/answer.json", "`out/answer.json` is a folder, expected a file"),
        ("mkdir -p out; ln -s ../../home/x out/answer.json", "`out/answer.json` leads out of the checkout"),
        ("ln -s ../home out", "`out/answer.json` leads out of the checkout"),
        ("mkdir -p out; printf '\\377' > out/answer.json", "`out/answer.json` is not UTF-8"),
        ("mkdir -p out; truncate -s 5M out/answer.json", "`out/answer.json` is too large"),
    ],
)
def test_from_a_file_of_the_checkout(project: Project, script: str, expected: Any) -> None:
    (project.home / "answer.json").write_text('{"n": 1}')
    (project.home / "x").write_text('{"n": 1}')
    asking(project, f"{script}; {say('done')}", FROM_FILE)("run", "one", "asked")
    record = project.record()
    if isinstance(expected, dict):
        assert (record["reason"], record["output"]) == (None, expected)
    else:
        assert record["reason"] == "invalid_output"
        assert record["error"]["message"].startswith(expected)


def test_a_file_of_before_does_not_count(project: Project) -> None:
    project.write("out/answer.json", '{"n": 1}')
    time.sleep(0.2)  # until its time is surely before the run's
    asking(project, say("done"), FROM_FILE)("run", "one", "asked")
    message = "`out/answer.json` was there before, and this run did not write it"
    assert project.record()["error"]["message"] == message
    asking(project, f"touch out/answer.json; {say('done')}", FROM_FILE)("run", "one", "asked")
    assert project.record()["output"] == {"n": 1}


ARGS = json.dumps({"schema_args": ["--schema", "{{ output_schema }}", "{{ output_schema_file }}"]})
FIELD = json.dumps({"output": {"when": {"type": "result"}, "at": "structured"}})


def test_the_cli_is_given_the_schema(project: Project) -> None:
    script = 'cat > /dev/null; test "$1" = --schema && cmp -s "$3" prompts/s.json && printf \'%s\\n\' '
    script += '"{\\"type\\": \\"result\\", \\"result\\": \\"$(echo "$2" | sed s/\\"/\\\\\\\\\\"/g)\\"}"'
    done = asking(project, script, agent=ARGS)("run", "one", "asked")
    # What it answers is the schema itself, which does not fit.
    assert project.record()["error"]["message"].endswith("at `$`: 'n' is a required property"), done.stderr
    assert json.loads(project.record()["text"]) == SCHEMA


@pytest.mark.parametrize(
    ("agent", "more", "reason", "output"),
    [
        (ARGS, {"structured": {"n": 2}}, None, {"n": 2}),
        (ARGS, {"structured": {"n": "2"}}, "invalid_output", None),
        (ARGS, {"structured": None}, "invalid_output", None),
        (ARGS, {}, "invalid_output", None),  # though the text would do
        ("", {}, None, {"n": 1}),
    ],
)
def test_a_structured_answer_alone_counts_where_it_was_demanded(
    project: Project, agent: str, more: dict[str, Any], reason: str | None, output: Any
) -> None:
    asking(project, say('{"n": 1}', **more), agent=agent, field=FIELD)("run", "one", "asked")
    record = project.record()
    assert (record["reason"], record.get("output")) == (reason, output)
    if not more:
        absent = "the agent was given the schema, and its structured answer is absent"
        assert (record["error"] or {"message": absent})["message"] == absent


def test_a_long_answer_is_in_the_folder_alone(project: Project) -> None:
    long = json.dumps({"n": 1, "more": "x" * 20_000})
    asking(project, say(long))("run", "one", "asked")
    record = project.record()
    assert (record["reason"], record["output"]) == (None, None)
    assert "the answer is too long for the record (20,020 characters): `output.json` has it" in record["notes"]
    assert json.loads(project("show", "last", "--output").stdout) == json.loads(long)


def test_secrets_are_masked_in_it(project: Project) -> None:
    script = """cat > /dev/null; printf '{"type": "result", "result": "{\\\\"n\\\\": 1, \\\\"k\\\\": \\\\"%s\\\\"}"}\\n' "$MY_TOKEN" """
    asking(project, script, agent=json.dumps({"env": {"pass": ["MY_TOKEN"]}}))
    done = project("run", "one", "asked", env={"MY_TOKEN": "tops3cretvalue"})
    assert project.record()["output"]["n"] == 1, done.stdout
    folder = project.folders()[-1]
    for name in ("output.json", "metadata.json", "stdout.log"):
        assert "tops3cretvalue" not in (folder / name).read_text()


def test_a_run_that_failed_or_had_nothing_to_do_is_not_asked(project: Project) -> None:
    asking(project, f"{say('no')}; exit 3")("run", "one", "asked")
    assert project.record()["reason"] == "agent_error"
    tasks = json.loads((project.root / "tasks.yaml").read_text())
    tasks["tasks"]["asked"]["nothing_to_do"] = "^no"
    asking(project, say("no"))
    project.write("tasks.yaml", json.dumps(tasks))
    project("run", "one", "asked")
    assert project.record()["reason"] == "nothing_to_do"


def refused(project: Project) -> subprocess.CompletedProcess[str]:
    """The same is said by `validate` and by a run, which starts nothing."""
    done, ran = project("validate"), project("run", "one", "asked")
    assert (done.returncode, ran.returncode) == (3, 3), done.stdout + ran.stderr
    assert not project.folders()
    return done


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "the schema `prompts/s.json` cannot be read: no such file"),
        ("{", "prompts/s.json:1:2: is not JSON: Expecting property name enclosed in double quotes"),
        ("[]", "is not a JSON Schema: expected a mapping, got an empty list"),
        ('{"type": "objct"}', "is not a JSON Schema: at `$.type`: 'objct' is not valid under any of the given schemas"),
        ('{"properties": {"n": {"pattern": "("}}}', "is not a JSON Schema: at `$.properties.n.pattern`"),
        ('{"$ref": "other.json"}', "`other.json` refers to what is outside of the file"),
        (json.dumps({"title": "x" * 70_000}), "is too large"),
    ],
)
def test_a_schema_that_is_none(project: Project, text: str | None, expected: str) -> None:
    asking(project, say("{}"))
    if text is None:
        (project.root / "prompts/s.json").unlink()
    else:
        project.write("prompts/s.json", text)
    assert expected in refused(project).stdout


def test_a_path_that_leads_out(project: Project) -> None:
    asking(project, say("{}"), "file:../x.json")
    assert "leads out of the checkout" in refused(project).stdout
    (project.home / "s.json").write_text("{}")
    asking(project, say("{}"))
    (project.root / "prompts/s.json").unlink()
    (project.root / "prompts/s.json").symlink_to(project.home / "s.json")
    assert "lies outside the folder of its tasks.yaml" in refused(project).stdout
