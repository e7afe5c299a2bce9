"""Writes data to stdout and notes for people to stderr.

Other people's text is written only by these functions, which escape it. The output of a
job is bytes, which ``copy`` writes unchanged.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from queuectl.cli.view import text

if TYPE_CHECKING:
    from queuectl.cli.view.table import Column, Row

NO_WORKERS = "no workers are running; start some: queuectl worker start --count 2"
"""The note for jobs that nothing will run."""

DRAINING = "the daemon is stopping: it begins no jobs until it runs again"

USUAL_WIDTH = 80
"""Columns."""


class StdoutError(Exception):
    """Data cannot be written to stdout: a full disk, a closed pipe.

    Attributes:
        error: of the kernel.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.error = error


class _Kept:
    """Data about a change, until it is known to be written.

    Attributes:
        on: whether data is kept.
        parts: the data.
        error: why some of it could not be written.
    """

    def __init__(self) -> None:
        self.on = False
        self.parts: list[str] = []
        self.error: OSError | None = None

    def begin(self) -> None:
        self.on, self.error = False, None
        self.parts.clear()


_kept = _Kept()


def prepare() -> None:
    """Make both streams write characters that their encoding lacks as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _kept.begin()


def keep() -> None:
    """Keep data from now on until it is written, as it reports a change.

    If it cannot be written, the change goes on, and ``flush`` raises the error.
    """
    _kept.on = True


def unwritten() -> str:
    """Return the kept data that may not have been written."""
    return "".join(_kept.parts)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether this stream is a terminal."""
    return stream.isatty()


def colour(stream: TextIO) -> bool:
    """Tell whether this stream gets colours: https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and not is_dumb()


def is_dumb() -> bool:
    """Tell whether the terminal knows no control sequences."""
    return os.environ.get("TERM", "dumb") == "dumb"


def width(stream: TextIO) -> int | None:
    """Return the columns of the terminal; None if it is not a terminal."""
    if not is_terminal(stream):
        return None
    given = os.environ.get("COLUMNS", "")
    if given.isdigit():
        return int(given)
    # A terminal whose size was never set, as in some containers, reports 0.
    return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH


def line(content: str = "") -> None:
    """Write a line of data to stdout; the caller has escaped it."""
    _write(content + "\n")


def lines(contents: Iterable[str]) -> None:
    """Write lines of data to stdout."""
    _write("".join([f"{content}\n" for content in contents]))


def _write(content: str) -> None:
    if _kept.on:
        _kept.parts.append(content)
    try:
        sys.stdout.write(content)
    except OSError as error:
        if not _kept.on:
            raise StdoutError(error) from None
        _kept.error = error


def flush() -> None:
    """Flush stdout.

    Raises:
        StdoutError: some data could not be written, now or before.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _kept.error = error
    if _kept.error is not None:
        raise StdoutError(_kept.error)
    _kept.parts.clear()


def select(*options: str) -> None:
    """Set the options that ``hint`` adds to the commands in a message."""
    from shlex import quote  # noqa: PLC0415 - few commands have one

    _options[:] = map(quote, options)


def hint(content: str) -> str:
    """Return a message whose commands select the same queue as this command does.

    A command in a message begins it, or follows a colon or a comma. The message may be
    the daemon's, which does not know how this command selected it.
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

    Lines after the first are indented, so that none looks like a note of its own. No
    error is raised: the command goes on, and ``flush`` raises what stdout refused.
    """
    # A signal handler may call this during a flush, which then goes on.
    with suppress(StdoutError, RuntimeError):
        flush()
    content = hint(content)
    with suppress(OSError):
        sys.stderr.write("\n  ".join(map(text.escape, content.split("\n"))) + "\n")
        sys.stderr.flush()


def trouble(counts: dict[str, Any]) -> None:
    """Note that the daemon cannot write its database, if ``status`` says so."""
    if why := counts.get("trouble"):  # older daemons lack it
        note(f"the queue stands still: {why}")


def fault(place: str, error: Exception) -> None:
    """Write an error to stderr, with the protocol's spelling changed to an option's."""
    message = str(error).replace("if_exists=return", "--if-exists return")
    note(f"{place}: {text.brief(message)}")


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
    from queuectl.cli.view import table  # noqa: PLC0415 - many commands write none

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

    It is ASCII, so control characters are escaped. Bytes that are not UTF-8 are lone
    surrogates (``\udc80`` to ``\udcff``), as they are in Python.
    """
    line(_json(value, indent=2))


def json_line(value: Any) -> None:
    """Write a JSON value as one line, and flush."""
    line(_json(value))
    flush()


def array(values: Iterable[Any]) -> None:
    """Write a JSON array to stdout, an element a line, as the elements come."""
    for part in _array(values):
        _write(part)


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


def copy(name: str, data: bytes) -> None:
    """Write a job's output, unchanged and at once, to ``stdout`` or ``stderr``.

    Raises:
        StdoutError: it cannot be written, to either of them.
    """
    stream = sys.stdout if name == "stdout" else sys.stderr
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except OSError as error:
        raise StdoutError(error) from None


STATE_STYLES = {
    "pending": "yellow",
    "processing": "cyan",
    "completed": "green",
    "failed": "red",
    "dead": "red",
    "cancelled": "dim",
}
"""The colour of each state."""
