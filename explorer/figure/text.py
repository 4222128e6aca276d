"""Text for figures: bundled fonts, measured widths, line breaking; no system font, no mathtext."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font
from matplotlib.textpath import text_to_path

from explorer.figure.style import MIN_FONT_PT

# Times-like first, then bundled fonts with more scripts: a line is set in the first font that has
# all its characters. By file, because a family name could resolve to another version of the font.
_FILES = {
    "serif": ("STIXGeneral.ttf", "DejaVuSerif.ttf", "DejaVuSans.ttf"),
    "sans": ("DejaVuSans.ttf", "DejaVuSerif.ttf"),
}
ASCENT = 0.82  # of the font size, from the top of a line to its baseline
LINE = 1.16  # of the font size, from line to line
MISSING = "\u25a1"
SEPARATOR = " \u00b7 "  # between parts of a text; a line break does as well
ELLIPSIS = "\u2026"


def _path(file: str) -> str:
    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", file))


@lru_cache(maxsize=8)
def _characters(file: str) -> frozenset[int]:
    return frozenset(FT2Font(_path(file)).get_charmap())


def clean(text: str) -> str:
    """Return one line without control or invisible formatting characters."""
    text = " ".join(str(text).split())
    return "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cf"))


def missing_characters(text: str, font: str) -> str:
    """Return the characters that no bundled font can write; they print as an empty square."""
    known = frozenset().union(*(_characters(file) for file in _FILES[font]))
    return "".join(sorted({char for char in clean(text) if ord(char) not in known}))


@lru_cache(maxsize=4096)
def _set(text: str, font: str) -> tuple[str, str]:
    """Return the font file and the text it can write."""
    for file in _FILES[font]:
        if all(ord(char) in _characters(file) for char in text):
            return file, text
    best = max(_FILES[font], key=lambda f: sum(ord(char) in _characters(f) for char in text))
    have = _characters(best)
    return best, "".join(char if ord(char) in have else MISSING for char in text)


def typeset(text: str, font: str, size_pt: float) -> tuple[str, FontProperties]:
    """Return the characters to draw and the font that has them."""
    file, text = _set(text, font)
    return text, FontProperties(fname=_path(file), size=size_pt)


@lru_cache(maxsize=8192)
def width_pt(text: str, font: str) -> float:
    """Return the width of a line set at 1 pt, in points, without hinting."""
    if not text:
        return 0.0
    text, properties = typeset(text, font, 100.0)
    return text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0] / 100


def _pieces(text: str) -> list[str]:
    """Split after spaces and after the characters that names are joined with."""
    return [piece for piece in re.split(r"(?<=[\s_\-/+.,:;|])(?=\S)", clean(text)) if piece]


def _broken(piece: str, limit: float, font: str) -> list[str]:
    """Cut one piece wherever it would leave the line."""
    parts, start = [], 0
    while start < len(piece):
        end = start + 1
        while end < len(piece) and width_pt(piece[start : end + 1].rstrip(), font) <= limit:
            end += 1
        parts.append(piece[start:end])
        start = end
    return parts


def wrap(text: str, width: float, size: float, font: str, lines: int | None = None) -> list[str]:
    """Break text into lines no wider than ``width`` points at ``size``; words are cut at need.

    With ``lines`` the rest of a longer text becomes an ellipsis.
    """
    limit = width / size
    found, line = [], ""
    for piece in _pieces(text):
        if width_pt((line + piece).rstrip(), font) <= limit:
            line += piece
            continue
        if line:
            found.append(line.rstrip().removesuffix(SEPARATOR.rstrip()))
        if width_pt(piece.rstrip(), font) <= limit:
            line = piece
        else:
            *cut, line = _broken(piece, limit, font)
            found += [part.rstrip() for part in cut]
    if line.strip():
        found.append(line.rstrip())
    if lines is not None and len(found) > lines:
        last = found[lines - 1]
        while last and width_pt(last + ELLIPSIS, font) > limit:
            last = last[:-1]
        found = [*found[: lines - 1], last.rstrip() + ELLIPSIS]
    return found


def longest_word(text: str, font: str) -> float:
    """Return the width at 1 pt of the widest piece that should not be cut."""
    return max((width_pt(piece.rstrip(), font) for piece in _pieces(text)), default=0.0)


@dataclass(frozen=True)
class Fitted:
    """Texts broken into lines at one size; ``whole`` unless words were cut or text shortened.

    ``upright`` texts read bottom to top.
    """

    size: float
    lines: list[list[str]]
    whole: bool = True
    upright: bool = False


def fit(texts: list[str], widths: list[float], size: float, font: str, lines: int) -> Fitted:
    """Find one size for all texts, at most ``size`` and at least 6 pt, and their lines.

    The largest size at which every text takes at most ``lines`` lines without a cut word wins,
    unless it is much smaller than what one more line allows. If there is none, the text is set at
    6 pt with words cut and the rest of long texts left out.
    """
    pairs = list(zip(texts, widths, strict=True))
    steps = range(math.ceil((size - MIN_FONT_PT) * 2) + 1)
    sizes = [max(size - 0.5 * step, MIN_FONT_PT) for step in steps]
    for trial, most in [(s, lines) for s in sizes[:4]] + [(s, lines + 1) for s in sizes]:
        if any(longest_word(text, font) * trial > width for text, width in pairs):
            continue
        broken = [wrap(text, width, trial, font) for text, width in pairs]
        if all(len(found) <= most for found in broken):
            return Fitted(trial, broken)
    broken = [wrap(text, width, MIN_FONT_PT, font, lines + 1) for text, width in pairs]
    return Fitted(MIN_FONT_PT, broken, whole=False)
