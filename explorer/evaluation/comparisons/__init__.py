"""Every comparison without a probe: importing this package fills the registry."""

from explorer.evaluation.comparisons.base import COMPARISONS, Comparison

COMPARISONS.discover(__name__, __path__)

__all__ = ["COMPARISONS", "Comparison"]
