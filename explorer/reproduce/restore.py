"""From a figure back to the settings it was made with, and what is no longer as it was."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from explorer.core import ExplorerError, Panel
from explorer.figure import FigureStyle, read_figure
from explorer.hub.resolution import is_path
from explorer.image import Photo
from explorer.reproduce.recipe import TWO_PHOTOS, Shown, complete, figure_recipe
from explorer.session import Options, Session
from explorer.views import VIEWS

MAX_NAMES = 32
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
        said = []
        for panel in complete(panels, self.failed):
            was = self.failed.get((panel.row, panel.column))
            where = f"{panel.row}, {panel.column}"
            if panel.error:
                then = "as in the figure" if panel.error == was else f"then: {_said(was)}; now"
                said.append(f"no picture of {where}, {then}: {panel.error}")
            elif was is not None:
                said.append(f"{where} has a picture now and had none then: {_said(was)}")
        return said


def open_figure(path: Path) -> dict[str, Any]:
    """Return what a PNG, PDF, SVG or zip of panels made here carries; see `read_figure`.

    Raises:
        ExplorerError: the file cannot be read or was not made here.
    """
    if path.suffix.lower() != ".zip":
        return read_figure(path)
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [one for one in archive.infolist() if one.filename.endswith(".png")]
            if not inside or inside[0].file_size > MAX_ARCHIVE:
                raise ExplorerError(f"{path.name} is no zip of panels that was exported here")
            return read_figure(archive.read(inside[0]))
    except OSError as error:
        raise ExplorerError(f"cannot read {path.name}: {error.strerror}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
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
    style = FigureStyle.from_dict(figure["style"])
    options = Options(
        _same(photo, recipe.get("photo"), "photo", remarks),
        _names(recipe, "backbones"),
        _names(recipe, "upsamplers"),
        _whole(recipe.get("input_size"), "input size"),
        _whole(recipe.get("output_size"), "output size"),
        _checkpoints(recipe, checkpoints or {}),
        query=_query(recipe),
    )
    views = _views(recipe, second, remarks)
    then = _by_key(recipe.get("weights"))
    options = _pinned(session, options, then)
    preset = recipe.get("preset")
    made = figure_recipe(session, options, views, preset if isinstance(preset, Mapping) else None)
    remarks += _other_weights(then, _by_key(made["weights"]))
    remarks += _other_versions(recipe.get("versions"), made["versions"])
    if remarks:
        made["remarks"] = list(remarks)
    return Restored(options, views, style, made, tuple(remarks), _failed(figure))


# --- what is no longer as it was ---


def _same(photo: Photo, was: Any, what: str, remarks: list[str]) -> Photo:
    """Return the photo under the recipe's name if it is the same one, else say that it is not."""
    if not isinstance(was, Mapping) or not isinstance(was.get("sha256"), str):
        raise _broken(what)
    name = _said(was.get("name", ""))
    if was["sha256"] == photo.digest:
        return Photo(photo.pixels, name or photo.name)
    remarks.append(
        f"the {what} {photo.name} is not the one of the recipe ({name}): the sha256 of its pixels "
        f"is {photo.digest[:12]}, not {_said(was['sha256'])[:12]}; the figure will differ"
    )
    return photo


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
        if seen is not None and seen["sha256"] != was["sha256"]:
            backbone, kind, name = map(_said, key)
            what = f"the {kind} {name} for {backbone}" if kind else f"the backbone {backbone}"
            remarks.append(
                f"{what} has other weights than in the recipe: here {_named(seen)}, "
                f"then {_named(was)}; the figure will differ"
            )
    return remarks


def _named(entry: Mapping[str, str]) -> str:
    words = [entry.get("checkpoint", ""), entry["sha256"][:12]]
    return _said(" ".join(word for word in dict.fromkeys(words) if word))


def _other_versions(then: Any, now: Mapping[str, str]) -> list[str]:
    if not isinstance(then, Mapping):
        return []
    differ = [name for name in now if name in then and then[name] != now[name]]
    if not differ:
        return []
    was = ", ".join(f"{name} {_said(then[name])}" for name in differ)
    here = ", ".join(f"{name} {now[name]}" for name in differ)
    return [f"the figure was made with {was}, here are {here}; pixels may differ slightly"]


# --- reading settings that may come from anybody ---


def _failed(figure: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Return the panels that carry an error; entries that make no sense are left out."""
    found = {}
    for entry in figure.get("panels", ()):
        match entry:
            case {"row": str(row), "column": str(column), "error": str(sentence)}:
                found[row, column] = sentence
    return found


def _broken(what: str) -> ExplorerError:
    return ExplorerError(f"the recipe has no usable {what}; was it edited by hand?")


def _said(value: Any) -> str:
    """Return text of a recipe as it may be printed."""
    return "".join(letter for letter in str(value)[:120] if letter.isprintable())


def _names(recipe: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = recipe.get(key)
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= MAX_NAMES
        or not all(isinstance(name, str) and name for name in names)
    ):
        raise _broken(f"list of {key}")
    return tuple(names)


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _broken(what)
    return value


def _query(recipe: Mapping[str, Any]) -> tuple[int, int] | None:
    query = recipe.get("query")
    if query is None:
        return None
    if not isinstance(query, list) or len(query) != 2:
        raise _broken("query")
    return _whole(query[0], "query"), _whole(query[1], "query")


def _checkpoints(recipe: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return checkpoints by method; a path is only ever opened if ``given`` names it."""
    wanted = recipe.get("checkpoints", {})
    if not isinstance(wanted, Mapping):
        raise _broken("list of checkpoints")
    found: dict[str, str] = {}
    for method, row in wanted.items():
        file = row.get("file") if isinstance(row, Mapping) else row
        if not isinstance(file, str):
            raise _broken(f"checkpoint of {_said(method)}")
        if isinstance(row, str) and not is_path(row):
            found[method] = row
        elif method not in given:
            seal = f" (sha256 {_said(row.get('sha256'))[:12]})" if row is not file else ""
            raise ExplorerError(
                f"the weights of {_said(method)} came from a file, {_said(Path(file).name)}{seal}; "
                f"say where it is with --checkpoint {_said(method)}=PATH"
            )
    return found | dict(given)


def _views(
    recipe: Mapping[str, Any], second: Photo | None, remarks: list[str]
) -> tuple[Shown, ...]:
    wanted = recipe.get("views")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= MAX_NAMES:
        raise _broken("list of views")
    found = []
    for entry in wanted:
        if isinstance(entry, str):  # as the first version wrote it
            entry = {"name": entry, "options": recipe.get("view", {})}
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise _broken("list of views")
        VIEWS.get(entry["name"])
        options, other = entry.get("options", {}), entry.get("second")
        if not isinstance(options, Mapping):
            raise _broken(f"options of the {entry['name']} view")
        if other is None:
            found.append(Shown(entry["name"], dict(options)))
            continue
        if entry["name"] != TWO_PHOTOS:
            raise _broken(f"{_said(entry['name'])} view")
        if second is None:
            name = _said(other.get("name", "")) if isinstance(other, Mapping) else ""
            raise ExplorerError(
                f"the {entry['name']} view looks at a second photo, {name}; give it with --second"
            )
        found.append(
            Shown(entry["name"], dict(options), _same(second, other, "second photo", remarks))
        )
    return tuple(found)
