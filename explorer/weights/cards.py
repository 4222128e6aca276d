"""Cards: the JSON file beside every ``*.safetensors`` that says what it is and how it came to be.

The card of ``checkpoints/<stem>.safetensors`` is ``<stem>.json``; ``<stem>.md`` says the same to
people. Fields:

    schema      1
    name        unique; defaults to the stem
    method      a registry name ("anyup", "jafar", "featup", ...) or a probe kind ("segmentation",
                "depth", ...)
    backbone    a registry name, or "any"; trained_on: the list of backbones seen in training
    stage       None for the backbone's default, else its stage's name;  channels: the width, None
                for any
    options     the constructor's arguments
    statistics  "imagenet", "backbone" or "own" (then mean and std): how the guidance image is
                normalised
    file, sha256, size      of the weights; filled in by `write_card`, and the digest must match
    licence, paper, notes   of the weights, not of the code
    origin      "trained here" or "converted"
    recipe      what was trained and how (losses, schedule, crops ...);  data: which photos, how
                many
    steps, seconds, seed    of the training;  versions: of Python, torch and the rest
    scores      what it measured, by name
    source      only if converted: name, file, sha256 and address of the file it was made from

Anything else is kept as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from explorer.core import WeightsError
from explorer.core.validation import read_json
from explorer.files.atomic import write_atomically
from explorer.files.inputs import read_text
from explorer.weights.paths import digest, write_json
from explorer.weights.rows import CONVERTED, TRAINED, Checkpoint

SCHEMA = 1
REQUIRED = ("method", "backbone", "licence", "origin")
REQUIRED_IF_TRAINED = ("recipe", "data", "steps", "seconds", "versions", "seed", "scores")
# What a card and a row call by the same name, except ``options``.
DESCRIBED = (
    *("name", "method", "backbone", "aliases", "trained_on", "stage", "channels", "statistics"),
    *("mean", "std", "licence", "paper", "notes"),
)
log = logging.getLogger(__name__)


def read_card(path: Path | str, check: bool = True) -> dict[str, Any]:
    """Return the card of a ``.safetensors`` file (or of its ``.json``) as a dictionary.

    With ``check``, the weights must be there and carry the card's digest.

    Raises:
        WeightsError: no card, not JSON, a field is missing, or the digest differs.
    """
    weights = Path(path).with_suffix(".safetensors")
    card_path = weights.with_suffix(".json")
    try:
        card = read_json(read_text(card_path), "its content")
    except FileNotFoundError:
        raise WeightsError(
            f"{weights.name} has no card: {card_path.name} is expected beside it"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"the card {card_path.name} cannot be read: {error}") from None
    _check_fields(card, card_path.name)
    if check:
        if not weights.is_file():
            raise WeightsError(f"the card {card_path.name} is here, but {weights.name} is not")
        seen = digest(weights)
        if seen != card["sha256"]:
            raise WeightsError(
                f"{weights.name} has sha256 {seen}, its card says {card['sha256']}: the file was "
                "changed or damaged; restore it, or write its card again"
            )
    return card


def write_card(weights: Path | str, card: Mapping[str, Any]) -> Path:
    """Write the card and its readable twin beside the finished ``weights``; return the JSON's path.

    ``name``, ``file``, ``sha256`` and ``size`` are filled in from the file. Both files appear
    atomically.

    Raises:
        WeightsError: the weights are missing, or a required field is.
    """
    weights = Path(weights)
    if weights.suffix != ".safetensors" or not weights.is_file():
        raise WeightsError(f"a card is written for an existing .safetensors file, not {weights}")
    filled = {
        "name": weights.stem,
        "stage": None,
        "channels": None,
        "options": {},
        "statistics": "imagenet",
        **card,
        "schema": SCHEMA,
        "file": weights.name,
        "sha256": digest(weights),
        "size": weights.stat().st_size,
    }
    card_path = weights.with_suffix(".json")
    _check_fields(filled, card_path.name)
    row_of(filled, weights)
    write_json(card_path, filled)
    write_atomically(weights.with_suffix(".md"), card_text(filled).encode())
    return card_path


def card_text(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown for people."""
    lines = [
        f"# {card['name']}",
        "",
        f"{card['method']} for {card['backbone']} ({card['origin']})",
        "",
    ]
    if card.get("notes"):
        lines += [str(card["notes"]), ""]
    lines += ["| | |", "|---|---|"]
    shown = {"name", "notes", "recipe", "scores", "schema"}
    for key, value in card.items():
        if key not in shown and value not in (None, {}, [], ""):
            lines.append(f"| {key} | {_cell(value)} |")
    for title in ("recipe", "scores"):
        value = card.get(title)
        if value:
            lines += ["", f"## {title.capitalize()}", ""]
            if isinstance(value, Mapping):
                lines += [f"- {key}: {_cell(item)}" for key, item in value.items()]
            else:
                lines.append(str(value))
    return "\n".join(lines) + "\n"


def discover(folder: Path) -> list[Checkpoint]:
    """Return a row for every carded ``*.safetensors`` of ``folder``; digests are unchecked."""
    rows = []
    for weights in _weights_in(folder):
        try:
            rows.append(row_of(read_card(weights, check=False), weights))
        except WeightsError as error:
            log.warning("skipped: %s", error)
    return rows


def problems(folder: Path) -> list[str]:
    """Return one sentence for every file of ``folder`` whose card is missing, broken or wrong."""
    found = []
    for weights in _weights_in(folder):
        try:
            row_of(read_card(weights), weights)
        except WeightsError as error:
            found.append(str(error))
    return found


def _weights_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.safetensors") if p.is_file()) if folder.is_dir() else []


def _check_fields(card: Any, name: str) -> None:
    if not isinstance(card, dict):
        raise WeightsError(f"the card {name} must hold one JSON object")
    if card.get("schema") != SCHEMA:
        raise WeightsError(
            f"the card {name} has schema {card.get('schema')!r}; {SCHEMA} is the one known here"
        )
    needed = (*REQUIRED, *(REQUIRED_IF_TRAINED if card.get("origin") == TRAINED else ()))
    missing = [key for key in (*needed, "sha256") if key not in card]
    if card.get("origin") == CONVERTED and "sha256" not in (card.get("source") or {}):
        missing.append("source.sha256")
    if missing:
        raise WeightsError(f"the card {name} lacks: {', '.join(missing)}")


def row_of(card: Mapping[str, Any], weights: Path) -> Checkpoint:
    """Return the row that a card describes; raise WeightsError if it cannot be one."""
    told = {name: card[name] for name in DESCRIBED if card.get(name) not in (None, "")}
    try:
        for name in ("mean", "std"):
            if name in told:
                red, green, blue = (float(value) for value in told[name])
                told[name] = (red, green, blue)
        for name in ("trained_on", "aliases"):
            told[name] = tuple(told.get(name) or ())
        return Checkpoint(
            **{"name": weights.stem, **told},
            file=weights.name,
            sha256=card["sha256"],
            size=card.get("size"),
            origin=card["origin"],
            options=card.get("options") or {},
            card=str(weights.with_suffix(".json")),
            path=weights,
        )
    except WeightsError:
        raise
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"the card of {weights.name} does not describe a checkpoint: {error}"
        ) from None


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{k}: {_cell(v)}" for k, v in value.items())
    elif isinstance(value, list | tuple):
        value = ", ".join(_cell(v) for v in value)
    return str(value).replace("|", "\\|").replace("\n", " ")
