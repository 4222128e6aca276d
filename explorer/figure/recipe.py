"""The recipe inside a figure: JSON in PNG text, PDF keywords or SVG metadata, written and read."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from explorer.core import ExplorerError, Panel
from explorer.figure.style import FigureStyle

TITLE = "Feature Upsampling Explorer figure"
FORMAT = "feature-upsampling-explorer/figure"
VERSION = 1
PNG_KEY = "Recipe"
MAX_RECIPE = 8 * 2**20  # bytes
MAX_FILE = 512 * 2**20


def to_json(value: Any) -> str:
    """Write JSON in one canonical way: ASCII, sorted keys, no NaN; raises ExplorerError."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ExplorerError(f"the recipe must hold plain JSON values only: {error}") from None


def envelope(panels: Sequence[Panel], style: FigureStyle, recipe: Mapping[str, Any]) -> str:
    """Return what travels in a figure: the recipe, the style, and each panel's own recipe."""
    text = to_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "recipe": dict(recipe),
            "style": style.to_dict(),
            "panels": [
                {
                    "row": panel.row,
                    "column": panel.column,
                    "origin": panel.origin,
                    "recipe": dict(panel.recipe),
                }
                for panel in panels
            ],
        }
    )
    if len(text) > MAX_RECIPE:
        raise ExplorerError(
            f"the recipe has {len(text) / 2**20:.1f} MiB; a figure carries at most "
            f"{MAX_RECIPE // 2**20}"
        )
    return text


def _from_png(data: bytes) -> list[str]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            text = image.info.get(PNG_KEY)
    except Exception:  # Pillow raises many kinds for damaged files; any means there is no recipe
        return []
    return [text] if isinstance(text, str) else []


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def _pdf_literal(data: bytes, start: int) -> bytes:
    """Read a PDF string whose opening parenthesis is at ``start``."""
    out, depth, i = bytearray(), 0, start
    while i < len(data) and len(out) <= MAX_RECIPE:
        char = data[i : i + 1]
        if char == b"\\":
            octal = re.match(rb"[0-7]{1,3}", data[i + 1 : i + 4])
            if octal:
                out.append(int(octal[0], 8) & 255)
                i += 1 + len(octal[0])
                continue
            after = data[i + 1 : i + 2]
            out += b"" if after in (b"\n", b"\r") else _ESCAPES.get(after, after)
            i += 2
            continue
        if char == b"(":
            depth += 1
            if depth == 1:
                i += 1
                continue
        elif char == b")":
            depth -= 1
            if depth == 0:
                break
        out += char
        i += 1
    return bytes(out)


def _from_pdf(data: bytes) -> list[str]:
    """Return the document's keywords; other tools may rewrite them as hexadecimal or UTF-16."""
    found = []
    for match in re.finditer(rb"/Keywords\s*([(<])", data):
        if match[1] == b"(":
            raw = _pdf_literal(data, match.end() - 1)
        else:
            digits = re.match(rb"[0-9a-fA-F\s]*", data[match.end() :])[0]
            digits = b"".join(digits.split())
            raw = bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
        utf16 = raw.startswith(b"\xfe\xff")
        found.append(raw.decode("utf-16" if utf16 else "latin-1", errors="replace"))
    return found


def _from_svg(data: bytes) -> list[str]:
    # no XML parser, so no entities to expand in a file that anybody may have written
    pattern = rb"<dc:description(?:\s[^>]*)?>(.*?)</dc:description>"
    found = re.findall(pattern, data, flags=re.DOTALL)
    return [html.unescape(text.decode("utf-8", errors="replace")) for text in found]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _parse(text: str) -> dict[str, Any] | None:
    if len(text) > MAX_RECIPE:
        return None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    parts = {"recipe": dict, "style": dict, "panels": list}
    if (
        not isinstance(value, dict)
        or value.get("format") != FORMAT
        or not all(isinstance(value.get(key), kind) for key, kind in parts.items())
    ):
        return None
    return value


def read_figure(source: bytes | str | Path) -> dict[str, Any]:
    """Return everything a figure carries: {format, version, recipe, style, panels}, as plain JSON.

    ``source`` is the file's bytes or its path. Nothing in it is trusted: it is only parsed as
    JSON, and ``FigureStyle.from_dict`` checks the style. Raises ExplorerError if the file cannot be
    read or is no figure made here.
    """
    name = "the file"
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    else:
        path = Path(source)
        name = path.name
        try:
            if path.stat().st_size > MAX_FILE:
                raise ExplorerError(f"{name} is too large to be a figure made here")
            data = path.read_bytes()
        except OSError as error:
            raise ExplorerError(f"cannot read {name}: {error.strerror}") from None
    if data.startswith(b"\x89PNG"):
        texts = _from_png(data)
    elif data[:1024].lstrip().startswith(b"%PDF"):
        texts = _from_pdf(data)
    else:
        texts = _from_svg(data)
    for text in reversed(texts):
        value = _parse(text)
        if value is not None:
            if value.get("version") != VERSION:
                raise ExplorerError(
                    f"{name} holds a recipe of version {str(value.get('version'))[:20]}, this "
                    f"program reads version {VERSION}; update it"
                )
            return value
    raise ExplorerError(
        f"{name} holds no recipe; choose a PNG, PDF or SVG that was exported here and not "
        "converted since"
    )


def read_recipe(source: bytes | str | Path) -> dict[str, Any]:
    """Return the recipe a figure was rendered with; see ``read_figure`` for what is checked."""
    return read_figure(source)["recipe"]
