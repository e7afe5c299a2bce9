"""What goes to stdout and what to stderr, and what the terminal can take.

Data goes to stdout, notes for people to stderr. No text of others goes out by any way
but these functions, which escape it; a job's own output is bytes and goes through
``copy``.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from queuectl.cli import text

if TYPE_CHECKING:
    from queuectl.cli.table import Column, Row

NO_WORKERS = "no workers are running; start some: queuectl worker start --count 2"
"""What is worth saying wherever jobs are and nothing will run them."""

DRAINING = "the daemon is stopping: it begins no jobs until it runs again"

USUAL_WIDTH = 80
"""Columns."""


def prepare() -> None:
    """Make both streams write what their encoding lacks as escapes, never fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def abandon() -> None:
    """Drop what stdout still holds, so that the interpreter's end does not stumble."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal(stream: TextIO) -> bool:
    """Tell whether a person looks at this stream."""
    return stream.isatty()


def colour(stream: TextIO) -> bool:
    """Tell whether colours are wanted there: https://no-color.org."""
    return (
        is_terminal(stream)
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def width(stream: TextIO) -> int | None:
    """Return the columns of the terminal; None where nothing need fit."""
    if not is_terminal(stream):
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdigit():
        return int(given)
    # A terminal that nobody has told its size, as in some containers, says 0.
    return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH


def line(content: str = "") -> None:
    """Write a line of data, which the caller has escaped, to stdout."""
    sys.stdout.write(content + "\n")


def lines(contents: Iterable[str]) -> None:
    """Write lines of data to stdout."""
    sys.stdout.write("".join([f"{content}\n" for content in contents]))


def flush() -> None:
    """Send on what was written to stdout so far."""
    sys.stdout.flush()


def select(*options: str) -> None:
    """Have every command that is advised mean the queue that these options select."""
    from shlex import quote  # noqa: PLC0415 - few commands have one

    _options[:] = map(quote, options)


def hint(content: str) -> str:
    """Return advice with the options that select the queue of this command.

    A command in a message follows a colon, or begins it; it may be the daemon's, which
    does not know how it was reached.
    """
    if not _options or "queuectl " not in content:
        return content
    from re import sub  # noqa: PLC0415 - few notes are hints

    options = " ".join(_options)
    return sub(
        r"((?:^|[:,] )queuectl )(?=[a-z])", lambda m: f"{m[1]}{options} ", content
    )


_options: list[str] = []


def note(content: str) -> None:
    """Write a note for people to stderr, after the data written so far.

    Lines after the first are indented, so that none can pass for a note of its own.
    """
    sys.stdout.flush()
    content = hint(content)
    sys.stderr.write("\n  ".join(map(text.escape, content.split("\n"))) + "\n")
    sys.stderr.flush()


def fault(place: str, error: Exception) -> None:
    """Write what went wrong to stderr; what the protocol spells otherwise, our way."""
    message = str(error).replace("if_exists=return", "--if-exists return")
    note(f"{place}: {message}")


def clipped(content: str) -> None:
    """Write somebody else's text to stdout as one line that fits the terminal."""
    content = text.escape(content)
    columns = width(sys.stdout)
    line(content if columns is None else text.cut(content, columns))


def state(word: str) -> str:
    """Return a state in its colour, for stdout."""
    return text.styled(word, STATE_STYLES[word] if colour(sys.stdout) else None)


def heading(content: str) -> str:
    """Return a heading as stdout can show it."""
    return text.styled(content, "bold" if colour(sys.stdout) else None)


def rows(columns: "Sequence[Column]", content: "Sequence[Row]") -> None:
    """Write a table to stdout, as wide as the terminal."""
    from queuectl.cli import table  # noqa: PLC0415 - many commands write none

    out = sys.stdout
    lines(table.render(columns, content, width=width(out), colour=colour(out)))


def pairs(content: Sequence[tuple[str, str]], *, indent: str = "") -> None:
    """Write titles and values to stdout, aligned; without the empty ones."""
    content = [(text.escape(title), value) for title, value in content if value]
    columns = max((text.width(title) for title, _ in content), default=0)
    for title, value in content:
        line(f"{indent}{title:{columns}}  {text.escape(value)}")


def document(value: Any) -> None:
    r"""Write one JSON document to stdout.

    It is ASCII: what could act on a terminal is escaped, and bytes that are not UTF-8
    are lone surrogates (``\udc80`` to ``\udcff``), as they are in Python.
    """
    line(_json(value, indent=2))


def json_line(value: Any) -> None:
    """Write a JSON value as one line, and send it on at once."""
    line(_json(value))
    sys.stdout.flush()


def array(values: Iterable[Any]) -> None:
    """Write a JSON array to stdout, an element a line, as the elements come."""
    sys.stdout.writelines(_array(values))


def _array(values: Iterable[Any]) -> Iterator[str]:
    before = "[\n"
    for value in values:
        yield before + _json(value)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _json(value: Any, indent: int | None = None) -> str:
    import json  # noqa: PLC0415 - most commands write none

    return json.dumps(value, indent=indent, default=_as_text)


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    raise TypeError(f"{type(value).__name__} is not JSON")


def copy(stream: TextIO, data: bytes) -> None:
    """Write a job's output as it is to one of our streams, at once."""
    stream.flush()
    stream.buffer.write(data)
    stream.buffer.flush()


STATE_STYLES = {
    "pending": "yellow",
    "processing": "cyan",
    "completed": "green",
    "failed": "red",
    "dead": "red",
    "cancelled": "dim",
}
"""The colour of each state."""
