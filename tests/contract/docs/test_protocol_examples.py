"""The examples in PROTOCOL.md are requests and answers that could happen."""

import json
import re
from pathlib import Path

import pytest

from helpers import markdown, vectors
from helpers.jobs import NOW
from helpers.schemas import Described
from queuectl_protocol import messages, packing
from queuectl_protocol.connection import ClientConnection, ServerConnection
from queuectl_protocol.messages import Reply, Request
from queuectld.core import submission_fields
from queuectld.server.dispatch import METHODS
from queuectld.server.schema import arguments
from queuectld.server.schema.description import describe

PAGE = (Path(__file__).parents[3] / "protocol" / "PROTOCOL.md").read_text()
SECTIONS = markdown.sections(markdown.sections(PAGE, 2)["9. Methods"], 3)
EXAMPLES = [
    (name, mark, line)
    for name, text in SECTIONS.items()
    for mark, line in re.findall(r"(?m)^    ([<>]) (\{.*)$", text)
]
DESCRIBED = Described(describe(METHODS))
METHODS_TOLD = DESCRIBED.methods
REQUESTS = [(name, line) for name, mark, line in EXAMPLES if mark == ">"]
ANSWERS = [(name, line) for name, mark, line in EXAMPLES if mark == "<"]


@pytest.mark.parametrize(("name", "line"), REQUESTS)
def test_a_request_is_one_of_its_section_and_accepted(name: str, line: str) -> None:
    """Method, parameters and the fields of jobs are all valid."""
    request = messages.decode(packing.pack(json.loads(line)))
    assert isinstance(request, Request)
    assert request.method == name
    given = arguments.checked(METHODS[name].params, request.params)
    for job in [given["job"]] if "job" in given else given.get("jobs", []):
        assert submission_fields.parse(job, submitter=None, now=NOW)


@pytest.mark.parametrize(("name", "line"), ANSWERS)
def test_an_answer_is_one_its_method_can_give(name: str, line: str) -> None:
    """A result has the documented keys, an error is one of the documented."""
    cut = ", ..." in line
    answer = json.loads(line.replace(", ...", ""))
    messages.decode(packing.pack(answer))
    if "result" in answer:
        result = vectors.from_json(answer["result"])
        problems = DESCRIBED.problems(METHODS_TOLD[name]["result_schema"], result)
        # A form that is cut short by dots lacks what is required.
        assert [
            each
            for each in problems
            if not cut or not re.search("is a required|is not valid under any", each)
        ] == []
    elif "error" in answer:
        assert answer["error"]["code"] in METHODS[name].errors
    else:
        assert name == "logs.follow"


def test_answers_carry_the_ids_of_the_requests_before_them() -> None:
    """Reading from the top, every answer is to a request that was made."""
    asked = set()
    for _, mark, line in EXAMPLES:
        message = json.loads(line.replace(", ...", ""))
        if mark == ">":
            asked.add(message["id"])
        else:
            assert message.get("id", message.get("sub")) in asked


def test_the_example_in_bytes_is_what_it_says() -> None:
    """``ping`` and its reply, length and all."""
    sent, received = map(bytes.fromhex, re.findall(r"(?m)^    [<>] ([\da-f ]+)$", PAGE))
    assert ServerConnection().receive_data(sent) == [Request(1, "ping", {})]
    assert ClientConnection().receive_data(received) == [Reply(1, {})]
