"""CITATION.cff says of a method's paper what the program's BibTeX says."""

import re
from pathlib import Path

import pytest
import yaml

from explorer.citations import cite
from explorer.upsamplers import UPSAMPLERS

CITATION = yaml.safe_load((Path(__file__).parent.parent / "CITATION.cff").read_text("utf-8"))
FIELD = re.compile(r"^ *(\w+) *= \{\{?(.*?)\}?\},$", re.MULTILINE)


def entries():
    """The BibTeX fields of every upsampler's paper, by title."""
    found = [dict(FIELD.findall(text)) for text in cite(*UPSAMPLERS).split("\n\n") if text]
    return {fields["title"]: fields for fields in found}


@pytest.mark.parametrize("paper", CITATION["references"], ids=lambda paper: paper["title"][:6])
def test_a_paper_is_cited_as_in_figures(paper):
    fields = entries()[paper["title"]]
    names = [f"{name['family-names']}, {name['given-names']}" for name in paper["authors"]]
    assert " and ".join(names) == fields["author"]
    venue = fields.get("journal") or fields.get("booktitle") or "arXiv preprint"
    assert venue in (paper.get("journal"), paper.get("collection-title"))
    assert str(paper["year"]) == fields["year"] and paper.get("url") == fields.get("url")
    pages = [str(paper[key]) for key in ("volume", "issue", "start") if key in paper]
    assert pages == [fields[key] for key in ("volume", "number", "pages") if key in fields]


def test_the_methods_of_the_papers_are_there():
    titles = {paper["title"] for paper in CITATION["references"]}
    assert {title.partition(":")[0] for title in titles} >= {"FeatUp", "JAFAR", "AnyUp"}
