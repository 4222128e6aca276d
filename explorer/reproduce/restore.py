"""From a figure back to the settings it was made with, and what is no longer as it was."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError, Panel
from explorer.figure import FigureStyle, read_figure
from explorer.files.inputs import check_regular
from explorer.imaging import Photo
from explorer.reproduce.fields import (
    QUERY,
    SIZE,
    check_checkpoints,
    read,
    read_checkpoints,
    read_names,
    read_preset,
    read_views,
    said,
    same_photo,
)
from explorer.reproduce.recipe import Shown, complete, figure_recipe
from explorer.session import Options, Session
from explorer.weights.resolution import is_path

MAX_ARCHIVE = 512 * 2**20

Key = tuple[str, str, str]  # backbone, "upsampler" or "probe" or "", its name


@dataclass(frozen=True, eq=False)
class Restored:
    """What a recipe stands for; ``remarks`` say, a sentence each, what is not as it was.

    ``failed`` are the figure's panels without a picture: (row, column) to the sentence why.
    """

    options: Options
    views: tuple[Shown, ...]
    style: FigureStyle
    recipe: dict[str, Any]
    remarks: tuple[str, ...]
    failed: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def compared(self, panels: Sequence[Panel]) -> list[str]:
        """Return a sentence for every panel that failed then or fails now.

        Raises:
            ExplorerError: a panel fails now that had a picture in the figure.
        """
        sentences = []
        for panel in complete(panels, self.failed):
            was = self.failed.get((panel.row, panel.column))
            where = f"{panel.row}, {panel.column}"
            if panel.error:
                then = "as in the figure" if panel.error == was else f"then: {said(was)}; now"
                sentences.append(f"no picture of {where}, {then}: {panel.error}")
            elif was is not None:
                sentences.append(f"{where} has a picture now and had none then: {said(was)}")
        return sentences


def open_figure(path: Path) -> dict[str, Any]:
    """Return what a PNG, PDF, SVG or zip of panels made here carries; see `read_figure`.

    Raises:
        ExplorerError: the file cannot be read or was not made here.
    """
    if path.suffix.lower() != ".zip":
        return read_figure(path)
    check_regular(path, "a figure made here")
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.infolist() if one.filename.endswith(".png")]
            if not inside or inside[0].file_size > MAX_ARCHIVE:
                raise ExplorerError(f"{path.name} is no zip of panels that was exported here")
            return read_figure(archive.read(inside[0]))
    except OSError as error:
        raise ExplorerError(f"cannot read {path.name}: {error.strerror}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        if isinstance(error, ExplorerError):
            raise
        raise ExplorerError(f"cannot read {path.name}: {error}") from None


def restore(
    figure: Mapping[str, Any],
    photo: Photo,
    session: Session,
    second: Photo | None = None,
    checkpoints: Mapping[str, str] | None = None,
) -> Restored:
    """Return the settings in a figure (`read_figure`) for ``photo``, and what differs.

    Nothing in the figure is trusted. Another photo, other weights or other versions are remarks,
    not errors; the remarks are in the new recipe too. Where the best weights have changed since,
    those of the figure are taken if they are still here. ``checkpoints`` says where files of
    weights are that the recipe knows by name only, or overrules it.

    Raises:
        ExplorerError: a recipe that makes no sense, or a file of weights or second photo that it
            needs and was not given.
    """
    recipe: Mapping[str, Any] = figure["recipe"]
    remarks: list[str] = []
    style, query = FigureStyle.from_dict(figure["style"]), read(QUERY, recipe, "query")
    options = Options(
        same_photo(photo, recipe.get("photo"), "photo", remarks),
        read_names(recipe, "backbones"),
        read_names(recipe, "upsamplers"),
        read(SIZE, recipe, "input_size"),
        read(SIZE, recipe, "output_size"),
        read_checkpoints(recipe, checkpoints or {}, remarks),
        query=tuple(query) if query else None,
        align=bool(read(bool | None, recipe, "align")),  # earlier versions knew no other reading
    )
    views = read_views(recipe, second, remarks)
    shown = [dict(v.view or {}) for v in views]
    check_checkpoints(checkpoints or {}, options.backbones, options.upsamplers, shown)
    then = _by_key(recipe.get("weights"))
    options = _pinned(session, options, then)
    made = figure_recipe(session, options, views, read_preset(recipe, remarks))
    remarks += _other_weights(then, _by_key(made["weights"]))
    remarks += _other_versions(recipe.get("versions"), made["versions"])
    if remarks:
        made["remarks"] = list(remarks)
    return Restored(options, views, style, made, tuple(remarks), _failed(figure))


# --- what is no longer as it was ---


def _pinned(session: Session, options: Options, then: Mapping[Key, Mapping]) -> Options:
    """Return the options with the recipe's own rows where the best available have changed."""
    for method in options.upsamplers:
        was = {
            backbone: entry
            for (backbone, kind, name), entry in then.items()
            if kind == "upsampler" and name == method and backbone in options.backbones
        }
        rows = {str(entry.get("checkpoint")) for entry in was.values()}
        if method in options.checkpoints or any(map(is_path, rows)):
            continue
        one_for_all = len(rows) == 1
        for backbone, entry in was.items():
            key = method if one_for_all else f"{method}:{backbone}"
            chosen = options.checkpoints | {key: str(entry.get("checkpoint"))}
            tried, pairs = replace(options, checkpoints=chosen), was if one_for_all else [backbone]
            now, then_chosen = (
                _has_digests(session, each, method, pairs, was) for each in (options, tried)
            )
            if then_chosen and not now:
                options = tried
    return options


def _has_digests(
    session: Session,
    options: Options,
    method: str,
    backbones: Iterable[str],
    entries: Mapping[str, Mapping[str, str]],
) -> bool:
    """Whether the method has the recipe's weights on these backbones under these options."""
    try:
        return all(
            session.upsampler(method, name, options).digest == entries[name]["sha256"]
            for name in backbones
        )
    except ExplorerError:
        return False


def _by_key(entries: Any) -> dict[Key, Mapping[str, str]]:
    """Return a recipe's weights by what they are for; entries that make no sense are left out."""
    found: dict[Key, Mapping[str, str]] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and all(isinstance(v, str) for v in entry.values()):
            kind = next((kind for kind in ("upsampler", "probe") if kind in entry), "")
            if "backbone" in entry and "sha256" in entry:
                found[entry["backbone"], kind, entry.get(kind, "")] = entry
    return found


def _other_weights(then: Mapping[Key, Mapping], now: Mapping[Key, Mapping]) -> list[str]:
    remarks = []
    for key, was in then.items():
        seen = now.get(key)
        if seen is None:
            continue
        backbone, kind, name = map(said, key)
        moves = [said(one.get("alignment") or "not aligned") for one in (seen, was)]
        if moves[0] != moves[1]:
            remarks.append(
                f"features of the backbone {backbone} are {moves[0]} here, {moves[1]} then; the "
                "figure will differ"
            )
        if seen["sha256"] != was["sha256"]:
            what = f"the {kind} {name} for {backbone}" if kind else f"the backbone {backbone}"
            remarks.append(
                f"{what} has other weights than in the recipe: here {_named(seen)}, "
                f"then {_named(was)}; the figure will differ"
            )
    return remarks


def _named(entry: Mapping[str, str]) -> str:
    words = [entry.get("checkpoint", ""), entry["sha256"][:12]]
    return said(" ".join(word for word in dict.fromkeys(words) if word))


def _other_versions(then: Any, now: Mapping[str, str]) -> list[str]:
    if not isinstance(then, Mapping):
        return []
    differ = [name for name in now if name in then and then[name] != now[name]]
    if not differ:
        return []
    was = ", ".join(f"{name} {said(then[name])}" for name in differ)
    here = ", ".join(f"{name} {now[name]}" for name in differ)
    return [f"the figure was made with {was}, here are {here}; pixels may differ slightly"]


def _failed(figure: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the panels that carry an error; entries that make no sense are left out."""
    found = {}
    for entry in figure.get("panels", ()):
        match entry:
            case {"row": str(row), "column": str(column), "error": str(sentence)}:
                found[row, column] = sentence
    return found
