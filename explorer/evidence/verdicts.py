"""Verdicts that follow from what was measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from explorer.evidence.benches import NO_WINDOW, OWN_WINDOW
from explorer.evidence.collect import FACTORS, NOT_YET, Evidence


def window_verdict(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Say whether AnyUp's weights do better with their window, from ``bench window``."""
    own, without = rows[OWN_WINDOW], rows[NO_WINDOW]
    keys = ("gain_x2", "gain_x4", "labels")
    better = [own[key] > without[key] for key in keys]
    if all(better):
        return "Here the same weights lose on all three counts without it; they were trained in it."
    if not any(better):
        return "Here the same weights gain on all three counts without it."
    return "Here it depends on what is asked; the weights were trained in it."


def memory_verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say how much memory AnyUp's training step takes, from ``bench training``."""
    ratios = [
        row["anyup"]["bytes"] / row["jafar"]["bytes"]
        for row in rows
        if row["anyup"]["bytes"] and row["jafar"]["bytes"]
    ]
    if not ratios:
        return "Memory could not be read on the machine that measured."
    low, high = min(ratios), max(ratios)
    return f"Here AnyUp takes {low:.2f} to {high:.2f} times JAFAR's memory."


def reconstruction_verdict(found: Evidence, shared: Sequence[str]) -> str:
    """Say who reconstructs better where both have weights, from the cards' gains."""
    if not shared:
        return NOT_YET
    leads: dict[tuple[str, str], list[str]] = {}
    for backbone in shared:
        jafar, anyup = found.gains("jafar", backbone), found.gains("anyup", backbone)
        ahead = [j > a for j, a in zip(jafar, anyup, strict=True)]
        if all(ahead) or not any(ahead):
            who, at = ("JAFAR" if all(ahead) else "AnyUp"), "at both factors"
        else:
            who, at = "JAFAR", f"at x{FACTORS[ahead.index(True)]} only"
        leads.setdefault((who, at), []).append(backbone)
    parts = [
        f"{who} reconstructs {' and '.join(names)} better {at}"
        for (who, at), names in leads.items()
    ]
    return f"Here {', '.join(parts)}."
