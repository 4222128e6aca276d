"""Text that is both a page on screen and a Markdown file: headings, words, tables, folds.

In words and cells, `code` between backticks and [text](https://...) links are understood, a line
break starts a new line; everything else is plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Heading:
    """A heading of level 2 to 4."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; ``warning`` makes it stand out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Code:
    """A command to copy."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; ``numbers`` aligns all but the first column to the right, ``widths`` are shares of
    the page's width, ``quiet`` are the rows that stand back (controls).
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: bool = False
    widths: tuple[int, ...] = ()
    quiet: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Details:
    """Passages behind a title that opens them."""

    title: str
    passages: tuple[Passage, ...]


Passage = Heading | Paragraph | Code | Table | Details


def markdown(title: str, passages: list[Passage]) -> str:
    """Return the passages as a Markdown document."""
    lines = [f"# {title}", ""]
    for passage in passages:
        lines += [*_lines(passage), ""]
    return "\n".join(lines)


def plain(passages: list[Passage]) -> list[dict[str, Any]]:
    """Return the passages as JSON-able values for the browser."""
    return [_plain(passage) for passage in passages]


def _lines(passage: Passage) -> list[str]:
    if isinstance(passage, Heading):
        return ["#" * passage.level + " " + passage.text]
    if isinstance(passage, Paragraph):
        text = passage.text.replace("\n", "\n\n")
        return [f"> {line}" if passage.warning else line for line in text.split("\n")]
    if isinstance(passage, Code):
        return ["```bash", passage.text, "```"]
    if isinstance(passage, Details):
        inner = [line for part in passage.passages for line in (*_lines(part), "")]
        return [f"<details><summary>{passage.title}</summary>", "", *inner, "</details>"]
    rule = "|---" + ("|--:" if passage.numbers else "|---") * (len(passage.head) - 1) + "|"
    return [_row(passage.head), rule, *(_row(row) for row in passage.rows)]


def _row(cells: tuple[str, ...]) -> str:
    shown = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells)
    return "| " + " | ".join(shown) + " |"


def _plain(passage: Passage) -> dict[str, Any]:
    if isinstance(passage, Heading):
        return {"kind": "heading", "text": passage.text, "level": passage.level}
    if isinstance(passage, Paragraph):
        return {"kind": "words", "text": passage.text, "warning": passage.warning}
    if isinstance(passage, Code):
        return {"kind": "code", "text": passage.text}
    if isinstance(passage, Details):
        return {"kind": "fold", "title": passage.title, "passages": plain(list(passage.passages))}
    return {
        "kind": "grid",
        "head": list(passage.head),
        "rows": [list(row) for row in passage.rows],
        "numbers": passage.numbers,
        "widths": list(passage.widths),
        "quiet": sorted(passage.quiet),
    }
