r"""Man pages: text, and the little of Markdown that the docs use, in man(7) macros.

Everything here returns or yields lines of roff. Text is escaped here and nowhere else:

- A hyphen that a person types is ``\-``, the ASCII character; one between two letters
  of a word is a hyphen, which a typesetter may make its own.
- A line of text never begins with ``.`` or ``'``, which would make it a request.
- What is no ASCII is named by its code point, so that no encoding has to be guessed.
"""

import re
from collections.abc import Iterable, Iterator

WIDTH = 78
"""Columns of a line of source. mandoc(1) complains of more than 80."""

_TYPED = {
    "\\": r"\(rs",
    "-": r"\-",
    "'": r"\(aq",
    '"': r"\(dq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
}
"""Characters that roff would take for its own, or make prettier: groff_char(7)."""

_BETWEEN_LETTERS = re.compile(r"(?<=[A-Za-z])[-'](?=[A-Za-z])")

_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\[(?P<link>[^\]]+)\]\([^)]+\)"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|(?<![\w*])\*(?P<stress>\w(?:[^*]*\w)?)\*(?![\w*])"
    r"|(?<![\w-])(?P<option>--?[A-Za-z][\w-]*)"
)

_REFERENCE = re.compile(r"([\w.-]+)(\(\d\))")

_SYNTAX = re.compile(r"(?P<value>\b[A-Z][A-Z_]*\b)|(?P<word>--?[\w-]*|\w[\w-]*)")


def literal(text: str) -> str:
    """Return text that a person may type or copy: every character as it is."""
    return "".join(_TYPED.get(character) or _coded(character) for character in text)


def _coded(character: str) -> str:
    return character if character.isascii() else rf"\[u{ord(character):04X}]"


def bold(text: str) -> str:
    """Return literal text in bold: what is typed as it stands."""
    return rf"\fB{literal(text)}\fR"


def italic(text: str) -> str:
    """Return literal text in italics: what something else is put in place of."""
    return rf"\fI{literal(text)}\fR"


def reference(page: str) -> str:
    """Return the name of a page, such as ``sd_notify(3)``, as pages name pages."""
    found = _REFERENCE.fullmatch(page)
    assert found, page
    return bold(found[1]) + found[2]


def prose(text: str) -> str:
    """Return text for people, with its code, links, stress and options marked."""
    done = 0
    parts: list[str] = []
    for found in _INLINE.finditer(text):
        parts += [_plain(text[done : found.start()]), _marked(found)]
        done = found.end()
    return "".join([*parts, _plain(text[done:])])


def _marked(found: re.Match[str]) -> str:
    match found.lastgroup, found[found.lastgroup or 0]:
        case "code", text if _REFERENCE.fullmatch(text):
            return reference(text)
        case "link", text:
            return prose(text)
        case "stress", text:
            return italic(text)
        case "strong", text:  # it would end with the first code in it
            return rf"\fB{_plain(text.replace('`', ''))}\fR"
        case _, text:
            return bold(text)


def _plain(text: str) -> str:
    return "".join(map(_word, re.split(r"(\s+)", text)))


def _word(word: str) -> str:
    if re.search(r"[/_=@]", word):  # a path, a key: to be typed
        return literal(word)
    pieces = _BETWEEN_LETTERS.split(word)
    kept = [*_BETWEEN_LETTERS.findall(word), ""]
    return "".join(
        literal(piece) + mark for piece, mark in zip(pieces, kept, strict=True)
    )


def syntax(text: str) -> str:
    """Return usage, such as ``-f, --file FILE``: names in bold, VALUES in italics."""
    done = 0
    parts: list[str] = []
    for found in _SYNTAX.finditer(text):
        shown = italic(found[0]) if found["value"] else bold(found[0])
        parts += [literal(text[done : found.start()]), shown]
        done = found.end()
    return "".join([*parts, literal(text[done:])])


def page(lines: Iterable[str]) -> str:
    """Return the file: a paragraph begins by itself after a heading."""
    kept: list[str] = []
    for line in lines:
        if line != ".PP" or not kept[-1].startswith((".SH", ".SS")):
            kept.append(line)
    return "\n".join(kept) + "\n"


def head(name: str, number: int, source: str, manual: str) -> Iterator[str]:
    """Yield what a page begins with. It has no date: pages of a version are equal."""
    title = f"{_quoted(name.upper())} {number}"
    yield f'.TH {title} "" {_quoted(source)} {_quoted(manual)}'
    yield ".nh"  # commands and paths are not to be hyphenated
    yield ".ad l"


def _quoted(text: str) -> str:
    return f'"{literal(text)}"'


def section(title: str) -> str:
    """Return the line that begins a section."""
    return f".SH {_quoted(title.upper())}"


def subsection(title: str) -> str:
    """Return the line that begins a subsection."""
    return f".SS {_quoted(title)}"


def paragraph(text: str) -> Iterator[str]:
    """Yield a paragraph of plain text."""
    yield ".PP"
    yield from filled(prose(text))


def definition(tag: str, text: str) -> Iterator[str]:
    """Yield a paragraph that hangs below its tag, which is roff already."""
    yield ".TP"
    yield _safe(tag)
    yield from filled(prose(text))


def example(text: str) -> Iterator[str]:
    """Yield lines that stay as they are."""
    yield from (".PP", ".RS 4", ".EX")
    yield from (_safe(literal(line.rstrip())) for line in text.splitlines())
    yield from (".EE", ".RE")
    yield ".nh"  # groff's EE allows hyphenation again


def filled(roff: str) -> Iterator[str]:
    """Yield text that is roff already, in lines of a bearable length."""
    line = ""
    for word in roff.split():
        if line and len(line) + 1 + len(word) > WIDTH:
            yield _safe(line)
            line = word
        else:
            line = f"{line} {word}".lstrip()
    if line:
        yield _safe(line)


def _safe(line: str) -> str:
    return rf"\&{line}" if line.startswith((".", "'")) else line


def chapters(text: str) -> dict[str, str]:
    """Return what follows each ``##`` heading of Markdown, by heading, in order."""
    _before, *parts = re.split(r"(?m)^## (.+)\n", text)
    return {
        title: body.strip("\n")
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    }


def markdown(text: str) -> Iterator[str]:
    """Yield paragraphs, examples, lists and tables; a table's rows as definitions."""
    for block in re.split(r"\n{2,}", text.strip("\n")):
        if block.startswith("    "):
            yield from example(re.sub(r"(?m)^ {4}", "", block))
        elif block.startswith("- "):
            yield from _items(block.removeprefix("- ").split("\n- "))
        elif block.startswith("|"):
            for tag, meaning in rows(block):
                yield from definition(prose(tag), meaning)
        else:
            yield from paragraph(block)


def _items(items: Iterable[str]) -> Iterator[str]:
    for item in items:
        yield r".IP \(bu 2"
        yield from filled(prose(item))


def rows(text: str) -> Iterator[tuple[str, str]]:
    r"""Yield the first two cells of each row of a Markdown table, its head left out.

    A bar in a cell is written ``\|``.
    """
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        first, second, *_more = _cells(line)
        yield first, second


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [cell.strip().replace(r"\|", "|") for cell in cells]
