"""PROTOCOL.md says what the daemon does: held against the daemon's own tables."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers import markdown
from helpers.jobs import NOW, a_job
from queuectl_protocol.errors import RETRYABLE, ErrorCode
from queuectl_protocol.units import parse_size
from queuectl_protocol.vocabulary import Reason, Role
from queuectld.config import DaemonConfig
from queuectld.config.options import OPTIONS
from queuectld.core import settings, submission_fields
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Attempt
from queuectld.server import encoding
from queuectld.server.dispatch import METHODS
from queuectld.server.schema import forms, json_schema, wire_limits
from queuectld.server.schema.description import describe
from queuectld.workers.daemon_side.handle import WorkerHandle
from tools import generate_protocol

PAGE = (Path(__file__).parents[3] / "protocol" / "PROTOCOL.md").read_text()
CHAPTERS = {
    title.partition(". ")[2]: text for title, text in markdown.sections(PAGE, 2).items()
}
SECTIONS = markdown.sections(CHAPTERS["Methods"], 3)
FORMS = markdown.sections(CHAPTERS["Forms"], 3)

TOLD = describe(METHODS)
METHODS_TOLD = {method["name"]: method for method in TOLD["methods"]}


def test_every_method_has_its_section_in_the_order_of_the_table() -> None:
    """No method is undocumented, none is documented that is not there."""
    assert list(SECTIONS) == list(METHODS)


@pytest.mark.parametrize("name", [*METHODS])
def test_parameters_are_those_of_the_table(name: str) -> None:
    """Names, types, defaults and what is required, in order."""
    documented = markdown.rows(SECTIONS[name], "parameter")
    assert [row[:4] for row in documented] == [
        [
            param["name"],
            param["type"],
            "yes" if param["required"] else "no",
            "" if param["default"] is None else json.dumps(param["default"]),
        ]
        for param in METHODS_TOLD[name]["params"]
    ]
    assert all(row[4] for row in documented)
    assert bool(documented) != ("\nNo parameters.\n" in SECTIONS[name])


@pytest.mark.parametrize("name", [*METHODS])
def test_the_result_is_that_of_the_table(name: str) -> None:
    """The shape of the reply, to the letter."""
    shape = markdown.code(SECTIONS[name], after="Result:")
    assert shape == METHODS_TOLD[name]["result"]


@pytest.mark.parametrize("name", [*METHODS])
def test_errors_are_those_of_the_table(name: str) -> None:
    """The errors of its own that a method can meet."""
    (line,) = re.findall(r"(?m)^Errors: (.*)\.$", SECTIONS[name])
    assert re.findall("`(.*?)`", line) == METHODS_TOLD[name]["errors"]


@pytest.mark.parametrize("name", [*METHODS])
def test_the_role_is_that_of_the_table(name: str) -> None:
    """The least role that may call a method, and that for other people's jobs."""
    (line,) = re.findall(r"(?m)^(Role: .*)$", SECTIONS[name])
    told = METHODS_TOLD[name]
    if told["others"] is None:
        assert re.match(rf"Role: `{told['role']}`[.;]", line)
        assert f"`{told['role']}`; for other people's" not in line
    else:
        others = f"for other people's jobs `{told['others']}`."
        assert line == f"Role: `{told['role']}`; {others}"


def test_every_role_is_explained_from_the_least_to_the_most() -> None:
    """Each role, in the order of what it includes."""
    documented = markdown.rows(CHAPTERS["Who may connect"], "role")
    assert [row[0] for row in documented] == list(Role)


def test_the_errors_that_any_request_can_meet_are_named() -> None:
    """The chapter on errors has those that ``describe`` tells."""
    assert markdown.marked(PAGE, "any request") == TOLD["common_errors"]


def test_every_error_code_is_explained() -> None:
    """Each code, and whether to try again."""
    documented = markdown.rows(CHAPTERS["Errors"], "code")
    assert [row[:2] for row in documented] == [
        [code.value, "yes" if code in RETRYABLE else "no"] for code in ErrorCode
    ]


def test_every_reason_is_explained() -> None:
    """Each reason for an attempt's end."""
    documented = markdown.rows(CHAPTERS["Values"], "reason")
    assert [row[0] for row in documented] == list(Reason)


def test_the_events_are_those_of_the_table() -> None:
    """Each type with its keys, beside those of every event."""
    documented = {
        kind: {"type", *keys.split(", ")}
        for kind, keys, _ in markdown.rows(CHAPTERS["Streams"], "type")
    }
    told = {
        event["schema"]["properties"]["type"]["const"]: {*event["schema"]["properties"]}
        for method in TOLD["methods"]
        for event in method["events"]
    }
    assert documented == told


def test_the_types_are_those_of_the_notation() -> None:
    """Each name of a type, with what it is as JSON Schema."""
    documented = {
        name: json.loads(schema)
        for name, _, schema in markdown.rows(CHAPTERS["Values"], "type")
    }
    assert documented == {
        name: schema for name, (schema, _) in json_schema.TYPES.items()
    }


def test_the_tables_of_forms_are_current() -> None:
    """They are what ``python tools/generate_protocol.py`` writes now."""
    assert generate_protocol.page(PAGE) == PAGE


def test_every_form_has_its_table() -> None:
    """With a row for each key, and not only where the generator found a table."""
    for name, keys in forms.FORMS.items():
        heading = generate_protocol.HEADINGS.get(name, name)
        (section,) = re.findall(rf"(?ms)^### {heading}\n(.*?)^##", PAGE)
        documented = markdown.rows(section, "key")
        assert [row[0] for row in documented] == [key.name for key in keys]


def test_the_fields_that_are_not_compared_are_named() -> None:
    """All others are, where an id is taken and the job that has it is asked for."""
    assert markdown.marked(PAGE, "not compared") == [
        field["name"] for field in TOLD["job_fields"] if not field["compared"]
    ]


A_WORKER = WorkerHandle(1, pid=2, pidfd=-1, channel=None, owner=None, started_at=NOW)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("JOB", encoding.job(a_job())),
        ("BRIEF", encoding.brief(a_job())),
        ("RESULT", {"id": "7", "job": None, "error": None}),
        ("ATTEMPT", encoding.attempt(Attempt(1, 1, None, None, None))),
        ("WORKER", encoding.worker(A_WORKER)),
    ],
    ids=["job", "brief", "result", "attempt", "worker"],
)
def test_a_form_has_the_keys_that_travel(form: str, told: dict[str, Any]) -> None:
    """Every key that the daemon sends is documented, in its order, and no other."""
    documented = markdown.rows(FORMS[form], "key")
    always = [(key, kind) for key, kind, _ in documented if not key.endswith("?")]
    assert [key for key, _ in always] == list(told)
    for key, kind in always:
        assert told[key] is not None or kind.endswith("| null")


@pytest.mark.parametrize(
    "key", sorted(encoding.job(a_job()).keys() - submission_fields.GIVEN)
)
def test_a_key_of_a_job_that_is_no_field_is_refused_with_the_reason(key: str) -> None:
    """Who enqueues a job as it was read is told which keys to leave out."""
    with pytest.raises(InvalidJobError, match=f"{key} is set by the daemon"):
        submission_fields.parse({"command": "true", key: None}, submitter=None, now=NOW)


def test_the_limits_are_those_that_are_told(tmp_path: Path) -> None:
    """Every one that describe tells, with its default, in order."""
    config = DaemonConfig(
        state_dir=tmp_path, runtime_dir=tmp_path, socket=tmp_path / "s"
    )
    documented = {
        name: parse_size(default.replace(",", ""))
        for name, default, _ in markdown.rows(CHAPTERS["Limits"], "limit")
    }
    assert documented == wire_limits.in_force(config, settings.in_force({}))
    assert list(documented) == list(wire_limits.LIMITS)


def test_the_configured_limits_are_the_options() -> None:
    """The page says which ones an administrator can change."""
    options = {key for key in OPTIONS if key.startswith("max_")}
    assert set(markdown.marked(PAGE, "options")) == options


def test_bulky_replies_are_named() -> None:
    """Those that are made one at a time for each connection."""
    bulky = {name for name, method in METHODS.items() if method.bulky}
    assert set(markdown.marked(PAGE, "large")) == bulky


def test_writes_to_every_job_are_named() -> None:
    """Those that come between all writes of their connection."""
    to_all = {name for name, method in METHODS.items() if method.changes == ()}
    assert set(markdown.marked(PAGE, "every job")) == to_all
