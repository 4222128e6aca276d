"""What is known about the methods: published numbers, our reports, claims and their evidence."""

from explorer.evidence.blocks import Passage, markdown, plain
from explorer.evidence.claims import claims_passages
from explorer.evidence.collect import Known, known
from explorer.evidence.guide import guide_passages
from explorer.evidence.reports import glance_passages, report_passages
from explorer.evidence.tables import published_passages

__all__ = [
    "Known",
    "Passage",
    "claims_passages",
    "document",
    "glance_passages",
    "guide_passages",
    "known",
    "markdown",
    "plain",
    "published_passages",
    "report_passages",
]


def document(found: Known | None = None) -> str:
    """Return docs/claims.md: the claims, the guide, our tables at a glance and the published ones
    as Markdown.
    """
    found = found or known()
    passages = [*claims_passages(found), *guide_passages(found)]
    passages += [*glance_passages(found), *published_passages()]
    return markdown("Claims, evidence, verdicts", passages)
