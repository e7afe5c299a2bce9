r"""The examples of a page: what is typed, what it answers, what goes to files.

In a page's Markdown an example is a fenced block:

- ``console``: lines that begin with ``$`` are typed by a user, those with ``#`` by
  root; what follows is what they answer, where that is shown. A line ``…`` stands for
  any lines, and ``…`` in a line for any text. A ``\`` at the end joins the next line.
- any other language: the text of a file, named in a comment.

A comment before a block, on a line of its own, says more about it:

- ``<!-- not run: WHY -->``: it cannot be run where the others are; it says why.
- ``<!-- fails -->``: the last command is refused, as the page tells.
- ``<!-- write PATH -->``, ``<!-- append PATH -->``: where a file's text goes.
- ``<!-- logs in again -->``: the user's next command is in a new session.
"""

import re
from dataclasses import dataclass, field

_BLOCK = re.compile(
    r"(?ms)^(?P<marks>(?:<!--[^\n]*-->\n)*)```(?P<language>\w*)\n(?P<body>.*?)^```$"
)
_MARK = re.compile(r"<!-- (.*?) -->")
_UNFENCED = re.compile(r"(?m)^\n    \S.*$")
"""The older way to write a block, which cannot say what it is."""

PROMPTS = {"$": "user", "#": "root"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command line.

    Attributes:
        who: ``user`` or ``root``.
        answer: the lines that the page shows, if any.
    """

    who: str
    line: str
    answer: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """One block.

    Attributes:
        line: where it begins in the page.
        not_run: why not; empty if it is.
        fails: the last command does.
        again: the user logs in before it.
        path: of the file that it is the text of.
        appends: to what is there.
    """

    line: int
    language: str
    body: str
    not_run: str = ""
    fails: bool = False
    again: bool = False
    path: str = ""
    appends: bool = False

    def commands(self) -> list[Command]:
        """Return what is typed."""
        found: list[Command] = []
        for line in self.body.replace("\\\n", "").splitlines():
            if line[:2] in {f"{prompt} " for prompt in PROMPTS}:
                found.append(Command(PROMPTS[line[0]], line[2:]))
            else:
                assert found, f"line {self.line}: begins with no prompt: {line}"
                found[-1].answer.append(line)
        return found


def examples(page: str) -> list[Example]:
    """Return all blocks of a page.

    Raises:
        AssertionError: one is of no kind that is known.
    """
    stray = _UNFENCED.search(_BLOCK.sub("", page))
    assert stray is None, f"an example without a fence: {stray and stray[0].strip()}"
    return [_example(page, match) for match in _BLOCK.finditer(page)]


def answers(command: Command, said: str) -> bool:
    """Tell whether what a command said is what the page shows."""
    if not command.answer:
        return True
    parts = [
        r"(?:[^\n]*\n)*" if line == "…" else _pattern(line) + r"[ ]*\n"
        for line in command.answer
    ]
    return re.fullmatch("".join(parts), said) is not None


def _pattern(line: str) -> str:
    return "[^\n]*".join(re.escape(part) for part in line.split("…"))


def _example(page: str, match: re.Match[str]) -> Example:
    number = page.count("\n", 0, match.start("language")) + 1
    known: dict[str, str] = {}
    for mark in _MARK.findall(match["marks"]):
        if mark in {"fails", "logs in again"}:
            known[mark] = mark
            continue
        name, value = re.fullmatch(r"(not run:|write|append) (.+)", mark).groups()  # type: ignore[union-attr]  # a mark that is none is an error
        known[name] = value
    written = known.get("write") or known.get("append") or ""
    sound = match["language"] == "console" or "not run:" in known or written
    assert sound, f"line {number}: neither a console nor the text of a file"
    return Example(
        line=number,
        language=match["language"],
        body=match["body"],
        not_run=known.get("not run:", ""),
        fails="fails" in known,
        again="logs in again" in known,
        path=written,
        appends="append" in known,
    )
