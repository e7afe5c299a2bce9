"""Each example of the guides does what it says, as it stands there, in a box."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from helpers.examples import Example, answers, examples
from helpers.systemdbox import Box, hindrance
from helpers.systemdbox_installed import (
    CHECKOUT,
    MEMBER,
    STRANGER,
    a_computer_with_programs,
)
from helpers.systemdbox_typing import Session, a_session

GUIDES = CHECKOUT / "docs" / "howto"
PAGES = sorted(page.name for page in GUIDES.glob("*.md"))

SERVING = f"""
ln -s {{version}} /opt/queuectl/current
ln -s /opt/queuectl/current/bin/queuectl /opt/queuectl/current/bin/queuectld \\
    /usr/local/bin/
queuectl systemd install
systemd-sysusers
printf '[roles]\\noperate = ["@queuectl"]\\n' >>/etc/queuectl/queuectld.toml
usermod --append --groups queuectl {MEMBER}
systemctl daemon-reload
systemctl start queuectld.socket queuectld.service
queuectl --system worker start --count 2
"""
"""What the other guides take for done: what the one to systemd says."""


@contextmanager
def a_reader(page: str) -> Iterator["Reader"]:
    """Boot a box for somebody who reads a page."""
    with a_computer_with_programs("1.0", "1.1") as box:
        for user in (MEMBER, STRANGER):
            box.ok("useradd", "--create-home", user)
        if page != "systemd.md":
            box.ok("bash", "-ec", SERVING.format(version="1.0"))
        with ExitStack() as stack:
            yield Reader(box, stack)


class Reader:
    """Who types what a page says, as root or as a user."""

    def __init__(self, box: Box, stack: ExitStack) -> None:
        self._box = box
        self._stack = stack
        self._sessions: dict[str, Session] = {}

    def follow(self, example: Example) -> None:
        """Do what an example says, and look at what it answers."""
        if example.again:
            self._sessions.pop("user", None)
        if example.path:
            self._put(example)
            return
        *others, last = example.commands()
        for command in (*others, last):
            status, said = self._session(command.who).type(command.line)
            fails = example.fails and command is last
            told = f"line {example.line}: {command.line}: status {status}:\n{said}"
            assert bool(status) is fails, f"{told}\n{self._box._recently()}"
            assert answers(command, said), told

    def _session(self, who: str) -> Session:
        if who not in self._sessions:
            user = "root" if who == "root" else MEMBER
            entered = a_session(self._box, user)
            self._sessions[who] = self._stack.enter_context(entered)
        return self._sessions[who]

    def _put(self, example: Example) -> None:
        file = self._box.file(example.path)
        before = file.read_text() if example.appends else ""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(before + example.body)


@pytest.mark.parametrize("page", PAGES)
def test_every_example_of_a_guide_does_what_it_says(page: str) -> None:
    """From top to bottom, by the users that its prompts tell; the rest says why not."""
    if reason := hindrance():
        pytest.skip(reason)
    with a_reader(page) as reader:
        for example in examples((GUIDES / page).read_text()):
            if not example.not_run:
                reader.follow(example)


@pytest.mark.parametrize(
    "page",
    ["Text:\n\n    $ indented\n", "```sh\ntrue\n```\n", "```\ntrue\n```\n"],
)
def test_an_example_that_nobody_would_run_is_seen(page: str) -> None:
    """Unless it says why it is not run."""
    with pytest.raises(AssertionError, match=r"fence|neither"):
        examples(page)


def test_most_examples_are_run() -> None:
    """What is not is the exception."""
    pages = [examples(Path(GUIDES, page).read_text()) for page in PAGES]
    every = [example for page in pages for example in page]
    assert sum(not example.not_run for example in every) > len(every) * 2 / 3
