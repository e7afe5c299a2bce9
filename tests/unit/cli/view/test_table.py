"""Tables: aligned, escaped, and never wider than the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from queuectl.cli.view import table, text
from queuectl.cli.view.table import Cell, Column, Table

COLUMNS = (
    Column("ID"),
    Column("STATE"),
    Column("N", right=True, spare=2),
    Column("LABEL", flexible=True, spare=1),
    Column("COMMAND", flexible=True),
)
ROWS = [
    ("1", "dead", "7", "nightly", "make -C /srv/build all && make install"),
    ("22", "completed", "10", "", "true"),
]


def test_columns_are_aligned() -> None:
    """Text stands left and numbers right, and nothing trails."""
    assert table.render(COLUMNS, ROWS, width=None) == [
        "ID  STATE       N  LABEL    COMMAND",
        "1   dead        7  nightly  make -C /srv/build all && make install",
        "22  completed  10           true",
    ]


def test_flexible_columns_are_cut_to_the_terminal() -> None:
    """The widest flexible column gives way first, with an ellipsis."""
    assert table.render(COLUMNS, ROWS, width=50) == [
        "ID  STATE       N  LABEL    COMMAND",
        "1   dead        7  nightly  make -C /srv/build al…",
        "22  completed  10           true",
    ]


def test_spare_columns_go_on_a_narrow_terminal() -> None:
    """Columns go in the order of their spareness, before what stays is mutilated."""
    assert table.render(COLUMNS, ROWS, width=36) == [
        "ID  STATE      LABEL    COMMAND",
        "1   dead       nightly  make -C /sr…",
        "22  completed           true",
    ]


def test_an_empty_column_is_left_out() -> None:
    """A column in which no row has anything takes no space."""
    rows = [(*row[:3], "", row[4]) for row in ROWS]
    assert table.render(COLUMNS, rows, width=None)[0] == "ID  STATE       N  COMMAND"


def test_a_long_list_keeps_its_empty_columns() -> None:
    """Later pages may fill what the first page leaves empty."""
    first = Table(COLUMNS, [ROWS[1]], width=None, keep_empty=True)
    assert first.header() == "ID  STATE       N  LABEL  COMMAND"
    assert first.line(ROWS[0]).startswith("1   dead        7  nightly  make")


def test_cells_are_escaped() -> None:
    """No escape sequence in a cell reaches the terminal."""
    rows = [("1", "dead", "1", "\x1b]0;owned\x07", "x")]
    assert "\x1b" not in "".join(table.render(COLUMNS, rows, width=80))


def test_colours_take_no_columns() -> None:
    """A styled cell is padded as if it had no style."""
    rows: list[table.Row] = [("1", Cell("dead", "red"), "7", "", "x"), *ROWS[1:]]
    coloured = table.render(COLUMNS, rows, width=80, colour=True)
    assert coloured[1] == "1   \x1b[31mdead\x1b[0m        7  x"
    assert "\x1b" not in "".join(table.render(COLUMNS, rows, width=80))


@given(
    st.lists(st.tuples(*[st.text(max_size=50)] * 5), min_size=1, max_size=5),
    st.integers(24, 120),
)
def test_no_line_is_wider_than_the_terminal(
    rows: list[tuple[str, ...]], width: int
) -> None:
    """Whatever is in the flexible cells, every line fits."""
    short = [(row[0][:2], row[1][:2], row[2][:2], *row[3:]) for row in rows]
    for line in table.render(COLUMNS, short, width=width):
        assert text.width(line) <= width
