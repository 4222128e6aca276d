"""The examples in README.md and docs/: blocks of code and the command lines in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
EXPLORER = ["-m", "explorer"]
LONGEST_CELL = 300  # characters of a table's cell; more belongs below the table


def blocks(document: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", document.read_text("utf-8"), re.DOTALL)


def lines(document: Path) -> list[list[str]]:
    """Return the commands of all bash blocks as words; && and a line's end divide them."""
    found = []
    for block in blocks(document, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words: list[str] = []
            for word in [*shlex.split(line, comments=True), "&&"]:
                if word == "&&" and words:
                    found.append(words)
                    words = []
                elif word != "&&":
                    words.append(word)
    return found


def commands(document: Path) -> list[list[str]]:
    """Return the arguments of every ``python ... -m explorer`` in bash blocks."""
    found = []
    for words in lines(document):
        for at in range(len(words) - 1):
            if words[0].startswith("python") and words[at : at + 2] == EXPLORER:
                found.append(words[at + 2 :])
    return found


def starts(document: Path) -> list[list[str]]:
    """Return the arguments of every ``python app.py`` and of every container of it."""
    found = []
    for words in lines(document):
        for last in ("app.py", "feature-upsampling-explorer"):
            if words[0] in ("python", "docker") and words[1] != "build" and last in words:
                found.append(words[words.index(last) + 1 :])
    for block in blocks(document, "ini"):
        found += [shlex.split(part) for part in re.findall(r"app\.py(.*)", block)]
    return found


def mentioned(document: Path) -> list[list[str]]:
    """Return the words after every ``python -m explorer`` in running text, which may be short."""
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"`python -m explorer ([^`]+)`", text)
    return [shlex.split(words) for words in found]


def cells(document: Path) -> list[str]:
    """Return every cell of every table."""
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [cell.strip() for row in rows for cell in re.split(r"(?<!\\)\|", row.strip("| "))]
