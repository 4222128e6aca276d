"""The fields of a recipe, read one by one: it may come from anybody, or from an earlier version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen, MinLen

from explorer.core import ExplorerError, unknown_name
from explorer.core.messages import join_names, nearest, one_line, quoted
from explorer.core.validation import Described, Name, Whole, checked, distinct, fits
from explorer.figure import PRESETS, FigureStyle
from explorer.imaging import Photo
from explorer.loading import NO_WEIGHTS
from explorer.options import MAX_SIZE
from explorer.reproduce.recipe import Shown
from explorer.upsamplers import UPSAMPLERS
from explorer.views import VIEWS
from explorer.weights.resolution import is_path

MAX_NAMES = 32
LONGEST = 120  # characters of a recipe's text in a message
_PIXEL = Annotated[Whole, Ge(0), Le(MAX_SIZE - 1)]
SIZE = Annotated[Whole, Ge(1), Le(MAX_SIZE)]
_POINT = Described("two whole numbers, row and column,")
QUERY = Annotated[list[_PIXEL], MinLen(2), MaxLen(2), _POINT] | None
_PRESET = Annotated[dict[str, Any], MaxLen(2)]


def broken(what: str) -> ExplorerError:
    """Return the error for a recipe without a usable ``what``."""
    return ExplorerError(f"the recipe has no usable {what}; was it edited by hand?")


def said(value: Any) -> str:
    """Return a value of a recipe as it may be printed."""
    return one_line(str(value)[:LONGEST]) if isinstance(value, str) else quoted(value)


def read(kind: Any, recipe: Mapping[str, Any], key: str) -> Any:
    """Return a field of the recipe as the type ``kind``; raises ExplorerError."""
    return checked(kind, recipe.get(key), f"the recipe's {key.replace('_', ' ')}", strict=True)


def read_names(recipe: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the recipe's list of "backbones" or "upsamplers"; raises ExplorerError."""
    names = recipe.get(key)
    if not isinstance(names, list):
        raise broken(f"list of {key}")
    return distinct(names, f"the recipe's list of {key}", MAX_NAMES)


def read_checkpoints(
    recipe: Mapping[str, Any], given: Mapping[str, str], remarks: list[str]
) -> dict[str, str]:
    """Return checkpoints by method; a path is only ever opened if ``given`` names it.

    Raises:
        ExplorerError: no checkpoints, or one that came from a file which was not given.
    """
    chosen = recipe.get("checkpoints", {})
    if not isinstance(chosen, Mapping):
        raise broken("list of checkpoints")
    found: dict[str, str] = {}
    for method, row in chosen.items():
        file = row.get("file") if isinstance(row, Mapping) else row
        if not fits(Name, file):
            raise broken(f"checkpoint of {said(method)}")
        if str(method).partition(":")[0] not in UPSAMPLERS:  # earlier versions wrote what came
            remarks.append(f"the recipe's checkpoint of {said(method)}, no upsampler, is left out")
        elif not UPSAMPLERS.get(method.partition(":")[0]).trained and file not in NO_WEIGHTS:
            remarks.append(
                f"the recipe's checkpoint of {said(method)}, which has no weights, is left out"
            )
        elif isinstance(row, str) and not is_path(row):
            found[method] = row
        elif method not in given:
            digest = f" (sha256 {said(row.get('sha256'))[:12]})" if row is not file else ""
            raise ExplorerError(
                f"the weights of {said(method)} came from a file, {said(Path(file).name)}{digest}; "
                f"say where it is with --checkpoint {said(method)}=PATH"
            )
    return found | dict(given)


def check_checkpoints(
    given: Mapping[str, str],
    backbones: Sequence[str],
    upsamplers: Sequence[str],
    views: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Raise ExplorerError for a checkpoint of a method or for a backbone that is not shown.

    Args:
        given: checkpoints by method or "method:backbone", as a user chose them.
        backbones: the backbones shown.
        upsamplers: the methods shown.
        views: the views' own options: a "reference" is computed, too.
    """
    used = [*upsamplers, *(v["reference"] for v in views if isinstance(v.get("reference"), str))]
    for key in given:
        method, pair, backbone = key.partition(":")
        if pair and backbone not in backbones:
            raise ExplorerError(
                f"a checkpoint is chosen for {quoted(backbone)}, which is not shown; choose one "
                f"of: {join_names(backbones)}"
            )
        if method not in UPSAMPLERS and method not in used:
            raise unknown_name("upsampler", method, UPSAMPLERS)
        if method not in used:
            near = nearest(method, used)
            meant = f"did you mean {near}? " if near else ""
            raise ExplorerError(
                f"a checkpoint is chosen for {method}, which is not shown; {meant}choose one of: "
                f"{join_names(dict.fromkeys(used))}"
            )


def read_preset(recipe: Mapping[str, Any], remarks: list[str]) -> Mapping[str, Any] | None:
    """Return which preset the style came from, for the new recipe; None if it names none."""
    preset = recipe.get("preset")
    if preset is None:
        return None
    changes = preset.get("changes") if fits(_PRESET, preset) else None
    if isinstance(changes, Mapping) and preset.get("name") in PRESETS:
        try:
            FigureStyle.from_dict(changes)
            return preset
        except ExplorerError:
            pass
    remarks.append("the recipe's preset is none of this program and is left out")
    return None


def read_views(
    recipe: Mapping[str, Any], second: Photo | None, remarks: list[str]
) -> tuple[Shown, ...]:
    """Return the recipe's views with their options.

    Raises:
        ExplorerError: no views, an option with a value that it cannot take, or a second photo that
            was not given.
    """
    listing = recipe.get("views")
    if not isinstance(listing, list) or not 1 <= len(listing) <= MAX_NAMES:
        raise broken("list of views")
    # as the first version wrote a view: its name, and one set of options for all of them
    old = {"options": recipe.get("view", {})}
    entries = [old | {"name": one} if isinstance(one, str) else one for one in listing]
    if not all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in entries):
        raise broken("list of views")
    names = [entry["name"] for entry in entries]
    for name in names:
        VIEWS.get(name)
    names = [VIEWS.resolve(name) for name in names]
    entries = [{**entry, "name": name} for entry, name in zip(entries, names, strict=True)]
    return tuple(_view(entry, names, second, remarks) for entry in entries)


def _view(
    entry: Mapping[str, Any], names: Sequence[str], second: Photo | None, remarks: list[str]
) -> Shown:
    name, options, other = entry["name"], entry.get("options", {}), entry.get("second")
    if not isinstance(options, Mapping):
        raise broken(f"options of the {name} view")
    VIEWS.get(name).check_given(options)
    kept = _known_options(options, name, names, remarks)
    if other is None:
        return Shown(name, kept)
    if not VIEWS.get(name).takes_second_photo:
        raise broken(f"{name} view")
    if second is None:
        title = said(other.get("name", "")) if isinstance(other, Mapping) else ""
        raise ExplorerError(
            f"the {name} view looks at a second photo, {title}; give it with --second"
        )
    return Shown(name, kept, same_photo(second, other, "second photo", remarks))


def _known_options(
    options: Mapping[str, Any], name: str, names: Sequence[str], remarks: list[str]
) -> dict[str, Any]:
    """Return a view's options without those that nothing reads.

    Earlier versions kept every ``--view-option``, misspelt ones, too, and gave all of them to all
    views of a figure: these recipes still make the same pixels.
    """
    kept, others = {}, [VIEWS.get(one) for one in names]
    for key, value in options.items():
        readers = [view for view in others if any(key in one.names for one in view.options())]
        if readers and all(_reads(view, key, value) for view in readers):
            kept[key] = value
            continue
        remark = f"the recipe's option {quoted(key)} is none of the {name} view and is left out"
        if remark not in remarks and len(remarks) < MAX_NAMES:
            remarks.append(remark)
    return kept


def _reads(view: Any, key: str, value: Any) -> bool:
    try:
        view.check_given({key: value})
    except ExplorerError:
        return False
    return True


def same_photo(photo: Photo, was: Any, what: str, remarks: list[str]) -> Photo:
    """Return the photo under the recipe's name if it is the same one, else say that it is not."""
    if not isinstance(was, Mapping) or not isinstance(was.get("sha256"), str):
        raise broken(what)
    name = said(was.get("name", ""))
    if was["sha256"] == photo.digest:
        return Photo(photo.pixels, name or photo.name)
    remarks.append(
        f"the {what} {photo.name} is not the one of the recipe ({name}): the sha256 of its pixels "
        f"is {photo.digest[:12]}, not {said(was['sha256'])[:12]}; the figure will differ"
    )
    return photo
