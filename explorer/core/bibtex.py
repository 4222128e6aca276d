"""BibTeX entries as text: what a method's class declares as its citation."""

from __future__ import annotations

import re
from collections.abc import Mapping

from explorer.core import ExplorerError

_KEY = re.compile(r"@\w+\s*\{\s*([^,\s]+)\s*,")


def arxiv(
    key: str, title: str, author: str, year: int, eprint: str, booktitle: str | None = None
) -> str:
    """Return the entry of a paper on arXiv, in the proceedings ``booktitle`` if there are any.

    Args:
        key: what LaTeX cites it by.
        title: as printed; braces around it keep its capitals.
        author: "Family, Given and Family, Given".
        year: of the publication.
        eprint: the arXiv id, "2510.12764".
        booktitle: the proceedings' name.
    """
    kind = "inproceedings" if booktitle else "misc"
    fields = {"title": f"{{{title}}}", "author": author, "booktitle": booktitle, "year": str(year)}
    fields |= {
        "eprint": eprint,
        "archivePrefix": "arXiv",
        "url": f"https://arxiv.org/abs/{eprint}",
    }
    return entry(kind, key, fields)


def entry(kind: str, key: str, fields: Mapping[str, str | None]) -> str:
    """Return the entry of a ``kind`` such as "article"; fields without a value are left out."""
    lines = [f"  {name:<13} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def key_of(text: str) -> str:
    """Return the key of one BibTeX entry; raises ExplorerError if ``text`` is none."""
    found = _KEY.match(text.lstrip())
    if found is None:
        raise ExplorerError(f"this is no BibTeX entry: {text[:60]!r}")
    return found.group(1)
