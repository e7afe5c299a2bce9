"""Reads the few things of Markdown that our checked pages are made of."""

import re
from collections.abc import Iterator


def sections(page: str, level: int) -> dict[str, str]:
    """Return heading -> text up to the next heading of the same or a higher level."""
    heading = rf"(?ms)^#{{{level}}} (.+?)\n(.*?)(?=^#{{1,{level}}} |\Z)"
    return {match[1]: match[2] for match in re.finditer(heading, page)}


def rows(text: str, first: str) -> list[list[str]]:
    r"""Return the cells of the table whose first column is headed ``first``.

    Cells lose their backquotes, and ``\|`` is a bar.
    """
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            return [_cells(row) for row in _while_table(lines)]
    return []


def code(text: str, after: str) -> str:
    """Return the indented block that follows the line ``after``, on one line."""
    _, _, rest = text.partition(f"\n{after}\n\n")
    block = re.match(r"(    .*\n)+", rest)
    return " ".join(block[0].split()) if block else ""


def marked(page: str, name: str) -> list[str]:
    """Return the words in backquotes between ``<!-- name -->`` and ``<!-- end -->``."""
    (words,) = re.findall(rf"(?s)<!-- {name} -->(.*?)<!-- end -->", page)
    return re.findall("`(.*?)`", words)


def fenced(text: str, language: str = "console") -> list[str]:
    """Return the contents of the fenced blocks in one language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def anchors(page: str) -> set[str]:
    """Return what a link can lead to: a word for each heading, as GitHub makes it."""
    headings: list[str] = re.findall(r"(?m)^#+ (.*)$", page)
    return {re.sub(r"[^\w\- ]", "", h).replace(" ", "-").lower() for h in headings}


def _while_table(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("|"):
            return
        yield line


def _cells(row: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", row)[1:-1]
    return [cell.replace("\\|", "|").replace("`", "").strip() for cell in cells]
