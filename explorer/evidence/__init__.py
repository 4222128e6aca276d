"""What is known about the methods: published numbers, our reports, claims and their evidence."""

from explorer.evidence.blocks import Block, markdown, plain
from explorer.evidence.claims import claims_blocks
from explorer.evidence.collect import Evidence, known
from explorer.evidence.guide import guide_blocks
from explorer.evidence.reports import glance_blocks, report_blocks
from explorer.evidence.tables import published_blocks

__all__ = [
    "Evidence",
    "Block",
    "claims_blocks",
    "document",
    "glance_blocks",
    "guide_blocks",
    "known",
    "markdown",
    "plain",
    "published_blocks",
    "report_blocks",
]


def document(found: Evidence | None = None) -> str:
    """Return docs/claims.md: the claims, the guide, our tables at a glance and the published ones
    as Markdown.
    """
    found = found or known()
    blocks = [*claims_blocks(found), *guide_blocks(found)]
    blocks += [*glance_blocks(found), *published_blocks()]
    return markdown("Claims, evidence, verdicts", blocks)
