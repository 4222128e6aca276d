"""Scribbles as files: strokes to load again, label maps to take away."""

from __future__ import annotations

import re
from pathlib import Path

from explorer.core import ExplorerError
from explorer.files.inputs import read_file
from explorer.imaging import Photo
from explorer.probes import Stroke
from explorer.probes.scribble import labels_npy, palette_png
from explorer.probes.strokes import dump_strokes, open_strokes
from explorer.session import Options, Session
from explorer.views.predictions import label_map
from explorer.views.rows import PairContext

MAX_FILE = 4 * 2**20


def strokes_file(strokes: list[Stroke], photo: Photo) -> tuple[bytes, str]:
    """Return strokes as JSON and the file's name.

    Raises:
        ExplorerError: nothing is painted.
    """
    if not strokes:
        raise ExplorerError("there are no strokes to save yet; paint some first")
    text = dump_strokes(strokes, {"name": photo.name, "sha256": photo.digest})
    return text.encode(), f"{_plain(photo.name)}_strokes.json"


def open_strokes_file(path: str | None, photo: Photo) -> tuple[list[Stroke], str]:
    """Return the strokes of a file, and a sentence about it.

    Raises:
        ExplorerError: it holds no strokes.
    """
    if not path:
        raise ExplorerError("choose a file of strokes (.json)")
    try:
        text = read_file(Path(path), MAX_FILE, "a file of strokes").decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ExplorerError("the strokes are not JSON: the file is not text") from None
    strokes, about = open_strokes(text)
    if not strokes:
        raise ExplorerError("the file holds no strokes")
    text = f"{len(strokes)} strokes loaded"
    if about.get("sha256", photo.digest) != photo.digest:
        text += f", painted on another photo ({about.get('name') or 'unnamed'})"
    return strokes, text


def labels_file(
    session: Session, options: Options, backbone: str, method: str, kind: str
) -> tuple[bytes, str, str]:
    """Return the label map of a method as "png" or "npy", the file's name and what its numbers
    mean.

    Raises:
        ExplorerError: there is nothing to label with yet, or no such method on screen.
    """
    if backbone not in options.backbones or method not in options.upsamplers:
        raise ExplorerError("choose one of the methods on screen")
    place = PairContext(session, options, backbone, backbone, method)
    labels, probe = label_map(place)
    classes = probe.classes
    if kind == "npy":
        data = labels_npy(labels)
    else:
        recipe = place.recipe("probe", probe={"name": probe.name, "sha256": probe.digest})
        data = palette_png(labels, classes, recipe | {"strokes": options.view.get("strokes")})
    name = f"{_plain(options.photo.name)}_labels_{_plain(backbone)}_{_plain(method)}.{kind}"
    height, width = labels.shape
    numbers = ", ".join(f"{number} = {one}" for number, one in enumerate(classes.names))
    return data, name, f"{width}×{height} labels: {numbers}"


def _plain(name: str) -> str:
    """Return a name as part of a file's name."""
    stem = Path(name).stem if "." in name else name
    return re.sub(r"[^\w-]+", "-", stem, flags=re.ASCII).strip("-")[:40] or "photo"
