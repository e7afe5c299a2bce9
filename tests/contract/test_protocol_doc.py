"""PROTOCOL.md says what the daemon does: held against the daemon's own tables."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from helpers import markdown
from helpers.jobs import NOW, a_job
from queuectl_protocol.errors import RETRYABLE, ErrorCode
from queuectl_protocol.vocabulary import Reason, Role
from queuectld.config.options import OPTIONS
from queuectld.core import submission
from queuectld.core.errors import InvalidJobError
from queuectld.core.job import Attempt
from queuectld.core.settings import SETTINGS
from queuectld.server import wire
from queuectld.server.dispatch import METHODS
from queuectld.server.methods.meta import description
from queuectld.workers.handle import Worker

PAGE = (Path(__file__).parents[2] / "protocol" / "PROTOCOL.md").read_text()
CHAPTERS = {
    title.partition(". ")[2]: text for title, text in markdown.sections(PAGE, 2).items()
}
SECTIONS = markdown.sections(CHAPTERS["Methods"], 3)
FORMS = markdown.sections(CHAPTERS["Forms"], 3)

TOLD = description(METHODS)
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
    """The least role that may call a method."""
    (role,) = re.findall(r"(?m)^Role: `(\w+)`[.;]", SECTIONS[name])
    assert role == METHODS_TOLD[name]["role"]


def test_every_role_is_explained_from_the_least_to_the_most() -> None:
    """Each role, in the order of what it includes."""
    documented = markdown.rows(CHAPTERS["Who may connect"], "role")
    assert [row[0] for row in documented] == list(Role)


def test_the_errors_that_any_request_can_meet_are_named() -> None:
    """The sentence in the chapter on errors has what ``describe`` tells."""
    (sentence,) = re.findall(r"(?s)\nAny request can meet (.*?)\.", CHAPTERS["Errors"])
    assert re.findall("`(.*?)`", sentence) == TOLD["common_errors"]


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


def test_the_fields_of_a_job_are_those_a_submitter_may_give() -> None:
    """Names and types, in order."""
    documented = markdown.rows(FORMS["A job to be enqueued"], "field")
    assert [row[:2] for row in documented] == [
        [field["name"], field["type"]] for field in TOLD["job_fields"]
    ]


def test_the_fields_that_are_not_compared_are_named() -> None:
    """All others are, where an id is taken and the job that has it is asked for."""
    (sentence,) = re.findall(r"(?s)all fields but (.*?): those", FORMS["Ids"])
    assert re.findall("`(.*?)`", sentence) == [
        field["name"] for field in TOLD["job_fields"] if not field["compared"]
    ]


A_WORKER = Worker(1, pid=2, pidfd=-1, link=None, owner=None, started_at=NOW)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("JOB", wire.job(a_job())),
        ("BRIEF", wire.brief(a_job())),
        ("RESULT", {"id": "7", "job": None, "error": None}),
        ("ATTEMPT", wire.attempt(Attempt(1, 1, None, None, None))),
        ("WORKER", wire.worker(A_WORKER)),
    ],
    ids=["job", "brief", "result", "attempt", "worker"],
)
def test_a_form_has_the_keys_that_travel(form: str, told: dict[str, Any]) -> None:
    """Every key that the daemon sends is documented, in its order, and no other."""
    documented = markdown.rows(FORMS[form], "key")
    assert [key for key, _, _ in documented] == list(told)
    for key, kind, _ in documented:
        assert told[key] is not None or kind.endswith("| null")


@pytest.mark.parametrize("key", sorted(wire.job(a_job()).keys() - submission.FIELDS))
def test_a_key_of_a_job_that_is_no_field_is_refused_with_the_reason(key: str) -> None:
    """Who enqueues a job as it was read is told which keys to leave out."""
    with pytest.raises(InvalidJobError, match=f"{key} is set by the daemon"):
        submission.parse({"command": "true", key: None}, submitter=None, now=NOW)


def test_the_limits_are_those_of_the_options() -> None:
    """The defaults of the limits that can be configured."""
    documented = {
        name: re.sub(r",| jobs| (?=MiB)", "", default)
        for name, default, _ in markdown.rows(CHAPTERS["Limits"], "limit")
    }
    options = {key for key in OPTIONS if key.startswith("max_")}
    assert options <= documented.keys()
    assert all(documented[key] == OPTIONS[key].default_text for key in options)
    assert documented["max_queued"] == str(SETTINGS["max_queued"].default)
