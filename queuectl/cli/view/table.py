"""Tables that fit the terminal. Pure: text in, lines out.

The layout is made from the first rows. Later rows, as on the next page of a long list,
use the same columns, so that a list of a million jobs is never in memory.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from queuectl.cli.view import text

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        right: whether it is aligned to the right, as numbers are.
        flexible: whether it may be cut to fit the terminal.
        spare: columns are left out to fit the terminal, the highest ``spare`` first; 0:
            never.
        least: the width to which a flexible column may be cut.
    """

    title: str
    right: bool = False
    flexible: bool = False
    spare: int = 0
    least: int = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with a style, which is a key of ``text.SGR``."""

    text: str
    style: str | None = None


Row = Sequence[str | Cell]


class Table:
    """A layout: which columns are shown, and how wide."""

    def __init__(
        self,
        columns: Sequence[Column],
        sample: Sequence[Row],
        *,
        width: int | None,
        keep_empty: bool = False,
        colour: bool = False,
    ) -> None:
        """Lay the table out for the rows in ``sample``.

        Args:
            columns: all columns.
            sample: rows, usually all of them.
            width: columns of the terminal; None cuts nothing.
            keep_empty: also show columns that are empty in all rows of the sample.
            colour: whether styles are used.
        """
        self._columns = columns
        self._colour = colour
        natural = [_natural(i, column, sample) for i, column in enumerate(columns)]
        shown = [
            i
            for i in range(len(columns))
            if keep_empty or any(_plain(row[i]) for row in sample)
        ]
        if width is not None:
            shown = _drop_spare(columns, shown, natural, width)
            natural = _shrink(columns, shown, natural, width)
        self._shown = shown
        self._widths = natural
        self._cut = width is not None

    def header(self) -> str:
        """Return the line of titles."""
        return self.line([Cell(column.title, "bold") for column in self._columns])

    def line(self, row: Row) -> str:
        """Return a row as a line, without spaces at its end."""
        cells = [self._cell(i, row[i]) for i in self._shown]
        return GAP.join(cells).rstrip()

    def lines(self, rows: Iterable[Row]) -> Iterator[str]:
        """Yield each row as a line."""
        return (self.line(row) for row in rows)

    def _cell(self, index: int, cell: str | Cell) -> str:
        column, columns = self._columns[index], self._widths[index]
        content = _plain(cell)
        if self._cut:
            content = text.cut(content, columns)
        style = cell.style if self._colour and isinstance(cell, Cell) else None
        spaces = " " * (columns - text.width(content))
        content = text.styled(content, style)
        return spaces + content if column.right else content + spaces


def render(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    width: int | None,
    colour: bool = False,
) -> list[str]:
    """Return a whole table: its header, then a line for each row."""
    table = Table(columns, rows, width=width, colour=colour)
    return [table.header(), *table.lines(rows)]


def _plain(cell: str | Cell) -> str:
    return text.escape(cell if isinstance(cell, str) else cell.text)


def _natural(index: int, column: Column, sample: Sequence[Row]) -> int:
    widths = (text.width(_plain(row[index])) for row in sample)
    return max(text.width(column.title), max(widths, default=0))


def _needed(columns: Sequence[Column], shown: list[int], natural: list[int]) -> int:
    least = (
        min(natural[i], columns[i].least) if columns[i].flexible else natural[i]
        for i in shown
    )
    return sum(least) + len(GAP) * (len(shown) - 1)


def _drop_spare(
    columns: Sequence[Column], shown: list[int], natural: list[int], width: int
) -> list[int]:
    while _needed(columns, shown, natural) > width:
        most = max(shown, key=lambda i: columns[i].spare)
        if not columns[most].spare:
            break
        shown = [i for i in shown if i != most]
    return shown


def _shrink(
    columns: Sequence[Column], shown: list[int], natural: list[int], width: int
) -> list[int]:
    """Shrink the widest flexible column until the table fits.

    If flexible columns cannot shrink further, they shrink below their ``least``, and
    then the other columns too.
    """
    widths = list(natural)
    over = sum(widths[i] for i in shown) + len(GAP) * (len(shown) - 1) - width
    while over > 0:
        wide, floor = _widest(columns, shown, widths)
        if wide is None:
            break
        others = max((widths[i] for i in shown if i != wide), default=1)
        step = min(over, max(1, widths[wide] - max(others, floor)))
        widths[wide] -= step
        over -= step
    return widths


def _widest(
    columns: Sequence[Column], shown: list[int], widths: list[int]
) -> tuple[int | None, int]:
    """Return the column to shrink next, and the width that it keeps."""
    flexible = [i for i in shown if columns[i].flexible]
    for among, keeps in ((flexible, True), (flexible, False), (shown, False)):
        floors = {i: columns[i].least if keeps else 1 for i in among}
        if larger := [i for i in among if widths[i] > floors[i]]:
            widest = max(larger, key=lambda i: widths[i])
            return widest, floors[widest]
    return None, 1
