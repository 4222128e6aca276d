"""The recipe inside a figure: JSON in PNG text, PDF keywords or SVG metadata, written and read."""

from __future__ import annotations

import html
import json
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError, Panel
from explorer.core.messages import quoted
from explorer.core.validation import NotJsonError, read_json
from explorer.figure.style import FigureStyle
from explorer.files.inputs import read_file

TITLE = "Feature Upsampling Explorer figure"
FORMAT = "feature-upsampling-explorer/figure"
VERSION = 1
PNG_KEY = "Recipe"
MAX_RECIPE = 8 * 2**20  # bytes
MAX_FILE = 512 * 2**20
MAX_CANDIDATES = 64  # places of a file where a recipe is looked for


def to_json(value: Any) -> str:
    """Write JSON in one canonical way: ASCII, sorted keys, no NaN; raises ExplorerError."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ExplorerError(f"the recipe must hold plain JSON values only: {error}") from None


def envelope(panels: Sequence[Panel], style: FigureStyle, recipe: Mapping[str, Any]) -> str:
    """Return what travels in a figure: the recipe, the style, and each panel's own recipe or the
    error it shows instead of a picture.
    """
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
                    **({"error": panel.error} if panel.error else {}),
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


def _inflate(data: bytes) -> bytes:
    """Decompress at most what a recipe may have."""
    try:
        return zlib.decompressobj().decompress(data, MAX_RECIPE + 1)
    except zlib.error:
        return b""


def _from_png(data: bytes) -> list[str]:
    """Return the recipe's text chunk; other tools may rewrite it compressed or international."""
    found, at, key = [], 8, PNG_KEY.encode() + b"\0"
    while at + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length] if kind in (b"tEXt", b"zTXt", b"iTXt") else b""
        at += 12 + length
        if not body.startswith(key):
            continue
        text = body[len(key) :]
        if kind == b"zTXt":
            text = _inflate(text[1:])
        elif kind == b"iTXt":  # flag, method, language, translated keyword, text
            packed, (_, _, text) = text[:1] == b"\1", ([*text[2:].split(b"\0", 2), b"", b""])[:3]
            text = _inflate(text) if packed else text
        found.append(text.decode("utf-8", errors="replace"))
    return found


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b""}
_TOKEN = re.compile(rb"[^\\()]+|\\[0-7]{1,3}|\\.|[()]", re.DOTALL)


def _pdf_literal(data: bytes, start: int) -> tuple[bytes, int]:
    """Read a PDF string whose opening parenthesis is at ``start``; return it and its end."""
    out, depth, end = bytearray(), 0, start
    for token in _TOKEN.finditer(data, start):
        piece, end = token[0], token.end()
        if piece[:1] == b"\\":
            octal = piece[1:2] in b"01234567"  # an escaped 8 or 9 is that digit
            out += bytes([int(piece[1:], 8) & 255]) if octal else _ESCAPES.get(piece[1:], piece[1:])
            continue
        depth += (piece == b"(") - (piece == b")")
        if depth == 0:
            break
        if end > start + 1:
            out += piece
        if len(out) > MAX_RECIPE:
            break
    return bytes(out), end


def _from_pdf(data: bytes) -> list[str]:
    """Return the document's keywords; other tools may rewrite them as hexadecimal or UTF-16."""
    found, opening = [], re.compile(rb"/Keywords\s*([(<])")
    match = opening.search(data)
    while match and len(found) < MAX_CANDIDATES:
        if match[1] == b"(":
            raw, end = _pdf_literal(data, match.end() - 1)
        else:
            digits = re.compile(rb"[0-9a-fA-F\s]*").match(data, match.end())
            compact, end = b"".join(digits[0].split()), digits.end()
            raw = bytes.fromhex((compact + b"0" * (len(compact) % 2)).decode())
        utf16 = raw.startswith(b"\xfe\xff")
        found.append(raw.decode("utf-16" if utf16 else "latin-1", errors="replace"))
        match = opening.search(data, end)
    return found


def _from_svg(data: bytes) -> list[str]:
    # no XML parser, so no entities to expand in a file that anybody may have written
    found, opening = [], re.compile(rb"<dc:description(?:\s[^<>]*)?>")
    match = opening.search(data)
    while match and len(found) < MAX_CANDIDATES:
        end = data.find(b"</dc:description>", match.end())
        if end < 0:
            break
        found.append(html.unescape(data[match.end() : end].decode("utf-8", errors="replace")))
        match = opening.search(data, end)
    return found


def _parse(text: str) -> dict[str, Any] | None:
    try:
        value = read_json(text, "the recipe")
    except NotJsonError:
        return None
    except ExplorerError:
        if FORMAT in text:  # one of ours, with something in it that we do not write
            raise
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
        data = read_file(path, MAX_FILE, "a figure made here")
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
                    f"{name} holds a recipe of version {quoted(value.get('version'))}, this "
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
