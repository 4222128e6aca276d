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
    """Blocks behind a title that opens them."""

    title: str
    blocks: tuple[Block, ...]


Block = Heading | Paragraph | Code | Table | Details


def markdown(title: str, blocks: list[Block]) -> str:
    """Return the blocks as a Markdown document."""
    lines = [f"# {title}", ""]
    for block in blocks:
        lines += [*_lines(block), ""]
    return "\n".join(lines)


def plain(blocks: list[Block]) -> list[dict[str, Any]]:
    """Return the blocks as JSON-able values for the browser."""
    return [_plain(block) for block in blocks]


def _lines(block: Block) -> list[str]:
    if isinstance(block, Heading):
        return ["#" * block.level + " " + block.text]
    if isinstance(block, Paragraph):
        text = block.text.replace("\n", "\n\n")
        return [f"> {line}" if block.warning else line for line in text.split("\n")]
    if isinstance(block, Code):
        return ["```bash", block.text, "```"]
    if isinstance(block, Details):
        inner = [line for part in block.blocks for line in (*_lines(part), "")]
        return [f"<details><summary>{block.title}</summary>", "", *inner, "</details>"]
    rule = "|---" + ("|--:" if block.numbers else "|---") * (len(block.head) - 1) + "|"
    return [_row(block.head), rule, *(_row(row) for row in block.rows)]


def _row(cells: tuple[str, ...]) -> str:
    shown = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells)
    return "| " + " | ".join(shown) + " |"


def _plain(block: Block) -> dict[str, Any]:
    if isinstance(block, Heading):
        return {"kind": "heading", "text": block.text, "level": block.level}
    if isinstance(block, Paragraph):
        return {"kind": "words", "text": block.text, "warning": block.warning}
    if isinstance(block, Code):
        return {"kind": "code", "text": block.text}
    if isinstance(block, Details):
        return {"kind": "fold", "title": block.title, "blocks": plain(list(block.blocks))}
    return {
        "kind": "grid",
        "head": list(block.head),
        "rows": [list(row) for row in block.rows],
        "numbers": block.numbers,
        "widths": list(block.widths),
        "quiet": sorted(block.quiet),
    }
