"""Figures for LaTeX: escaped text, and a zip of separate panels with a snippet that sets them."""

from __future__ import annotations

import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explorer.citations import bibtex, citation_keys
from explorer.core import Panel
from explorer.figure.grid import Grid, arrange
from explorer.figure.layout import metric_text
from explorer.figure.recipe import PNG_KEY, envelope
from explorer.figure.style import SINGLE, FigureStyle
from explorer.figure.text import clean

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{''}",
    "\u2212": r"\ensuremath{-}",
    "\u00d7": r"\ensuremath{\times}",
    "\u00b1": r"\ensuremath{\pm}",
    "\u00b7": r"\ensuremath{\cdot}",
    "\u2264": r"\ensuremath{\leq}",
    "\u2265": r"\ensuremath{\geq}",
    "\u2248": r"\ensuremath{\approx}",
    "\u2192": r"\ensuremath{\rightarrow}",
    "\u2190": r"\ensuremath{\leftarrow}",
    "\u2191": r"\ensuremath{\uparrow}",
    "\u2193": r"\ensuremath{\downarrow}",
    "\u00b0": r"\ensuremath{^\circ}",
    "\u00b5": r"\ensuremath{\mu}",
    "\u2013": "--",
    "\u2014": "---",
    "\u2026": r"\dots{}",
    "\u00a0": "~",
}


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it is: one line, no command, no math, no ligature."""

    def escape(match: re.Match[str]) -> str:
        found = match[0]
        return "{-}" * len(found) if found.startswith("--") else _ESCAPES.get(found, found)

    # runs of hyphens are kept apart: "--" would become a dash
    return re.sub(r"-{2,}|.", escape, clean(text))


def shown_keys(panels: Sequence[Panel]) -> list[str]:
    """Return the BibTeX keys of what pictures show; the photo names methods that are not in it."""
    return citation_keys(
        replace(panel, recipe={}) if panel.role == "photo" else panel for panel in panels
    )


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")


def _file_name(index: int, panel: Panel) -> str:
    """Return a name that no system minds and no two panels share."""
    words = [word for word in (_slug(panel.row), _slug(panel.column)) if word]
    return "-".join([f"{index:02d}", *words]) + ".png"


def _panel_png(panel: Panel, text: str) -> bytes:
    info, out = PngInfo(), io.BytesIO()
    info.add_text(PNG_KEY, text)
    Image.fromarray(np.ascontiguousarray(panel.image)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def _caption(panel: Panel, row: str, column: str, style: FigureStyle, several: bool) -> str:
    parts = [f"{row}, {column}" if several and row else column]
    if style.captions and panel.caption:
        parts.append(panel.caption)
    if style.metrics and panel.metrics:
        parts.append(", ".join(metric_text(*pair) for pair in panel.metrics))
    if panel.origin and (style.origins or panel.weights == "untrained"):
        parts.append(f"({panel.origin})")
    return latex_escape("; ".join(parts))


def _snippet(grid: Grid, files: Mapping[tuple[int, int], str], style: FigureStyle) -> str:
    single = style.width_in <= SINGLE
    name = "figure" if single else "figure*"
    count, total = len(grid.columns), sum(grid.weights)
    widths = [f"{0.995 * weight / total - 0.005:.3f}" for weight in grid.weights]
    lines = [
        r"% needs \usepackage{graphicx} and \usepackage{subcaption}",
        r"% the separate pictures carry no query marker, window or zoom box",
        rf"\begin{{{name}}}[t]",
        r"  \centering",
    ]
    for r, row in enumerate(grid.rows):
        for c in range(count):
            end = r"\hfill" if c < count - 1 else ""
            panel = grid.cells.get((r, c))
            if panel is None or panel.error is not None:
                reason = clean(f"{row} / {grid.columns[c]}: {panel.error}" if panel else "no panel")
                empty = rf"\begin{{minipage}}[t]{{{widths[c]}\linewidth}}\mbox{{}}\end{{minipage}}"
                lines += [f"  % {reason}", f"  {empty}{end}"]
                continue
            caption = _caption(
                panel, style.label(row), style.label(grid.columns[c]), style, len(grid.rows) > 1
            )
            lines += [
                rf"  \begin{{subfigure}}[t]{{{widths[c]}\linewidth}}",
                r"    \centering",
                rf"    \includegraphics[width=\linewidth]{{{files[r, c]}}}",
                rf"    \caption{{{caption}}}",
                rf"  \end{{subfigure}}{end}",
            ]
        if r < len(grid.rows) - 1:
            lines.append(r"  \\[1ex]")
    keys = shown_keys(grid.shown())
    cited = rf"~\cite{{{','.join(keys)}}}" if keys else ""
    lines += [
        rf"  \caption{{Upsampled features{cited}.}}",
        r"  \label{fig:upsampled-features}",
        rf"\end{{{name}}}",
        "",
    ]
    return "\n".join(lines)


def panels_zip(
    panels: Sequence[Panel],
    style: FigureStyle | None = None,
    recipe: Mapping[str, Any] | None = None,
) -> bytes:
    """Return a zip of every panel as a lossless PNG at its native resolution, and how to set them.

    Holds ``panels/NN-row-column.png`` (each with the recipe inside), ``figure.tex`` with one
    subfigure per panel, ``recipe.json`` and ``citations.bib``. Panels with an error have no
    picture; every recipe names them. Identical bytes for identical input. Raises ExplorerError
    like ``render``.
    """
    style, recipe = style or FigureStyle(), recipe or {}
    grid = arrange(panels, style)
    failed = [panel for panel in panels if panel.error is not None]
    entries: list[tuple[str, bytes]] = []
    files: dict[tuple[int, int], str] = {}
    for index, (key, panel) in enumerate(sorted(grid.cells.items()), start=1):
        if panel.error is None:
            files[key] = f"panels/{_file_name(index, panel)}"
            text = envelope([panel, *failed], style, recipe)
            entries.append((files[key], _panel_png(panel, text)))
    everything = json.loads(envelope([*grid.shown(), *failed], style, recipe))
    texts = {
        "figure.tex": _snippet(grid, files, style),
        "recipe.json": json.dumps(everything, indent=2, sort_keys=True) + "\n",
        "citations.bib": bibtex(shown_keys(grid.shown())),
    }
    entries += [(name, text.encode()) for name, text in texts.items()]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in entries:
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # the same bytes on every system
            member.external_attr = 0o644 << 16
            picture = name.endswith(".png")
            member.compress_type = zipfile.ZIP_STORED if picture else zipfile.ZIP_DEFLATED
            archive.writestr(member, data)
    return out.getvalue()
