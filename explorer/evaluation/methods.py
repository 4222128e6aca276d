"""The rows of a table: upsamplers with their weights, and the controls among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from explorer.backbones import Backbone
from explorer.core import ExplorerError
from explorer.evaluation.controls import BlurredBilinear
from explorer.loading import TRAINING_FREE, UNTRAINED, load_upsampler
from explorer.upsamplers import UPSAMPLERS, Upsampler

BASELINE = "bilinear"
CONTROLS = ("jbu", "blurred", "untrained")
PLAIN = ":plain"  # ends the name of a method that is given features that are not aligned


@dataclass(frozen=True, eq=False)
class Method:
    """One row: ``key`` as the user wrote it, ``title`` as tables print it."""

    key: str
    title: str
    upsampler: Upsampler
    control: bool = False
    plain: bool = False  # whether its features are the network's own reading in any case

    @property
    def origin(self) -> str:
        """Whose weights it has."""
        return self.upsampler.origin

    @property
    def shares(self) -> bool:
        """Whether its outputs live in the backbone's space, where others' probes can read them."""
        return self.upsampler.space == "backbone"

    @property
    def identity(self) -> str:
        """Everything about the method that changes its output, for cache keys."""
        made = self.upsampler
        plain = PLAIN if self.plain else ""
        return f"{made.name}:{made.checkpoint}:{made.digest}:{made.settings_digest}{plain}"


def load_methods(
    names: Iterable[str],
    backbone: Backbone,
    backbone_name: str,
    controls: Iterable[str] = CONTROLS,
    device: torch.device | None = None,
    allow_network: bool = True,
) -> list[Method]:
    """Return the methods of a table in the order asked for, then the controls that are missing.

    Args:
        names: upsamplers, each "NAME" or "NAME@CHECKPOINT" (a row, a path or "untrained"), with
            ":plain" behind it one whose features are not aligned.
        backbone: whose features come.
        backbone_name: "NAME" or "NAME:STAGE", as the user wrote it.
        controls: of CONTROLS; "untrained" is the first network among ``names`` (else AnyUp) with
            random weights. Bilinear, the baseline, always comes along.
        device: where to run.
        allow_network: whether missing weights may be downloaded.

    Raises:
        ExplorerError: an unknown name, or one that is listed twice.
    """
    names = [name.strip() for name in names if name.strip()]
    controls = tuple(controls)
    for control in controls:
        if control not in CONTROLS:
            raise ExplorerError(f"there is no control {control!r}; choose {', '.join(CONTROLS)}")
    if len(set(names)) != len(names):
        raise ExplorerError("an upsampler is listed twice; give it once or with two checkpoints")
    bases = [name.removesuffix(PLAIN).partition("@")[0] for name in names]
    networks = [base for base in bases if UPSAMPLERS.get(base).trained]
    extra = [BASELINE]
    for control in controls:
        if control == "untrained":
            extra.append(f"{networks[0] if networks else 'anyup'}@{UNTRAINED}")
        else:
            extra.append(control)
    found: list[Method] = []
    for name in (*names, *extra):
        control = name not in names
        made = _load(name, backbone, backbone_name, device, allow_network, control)
        if made.identity not in {method.identity for method in found}:
            found.append(made)
    return found


def _load(
    name: str,
    backbone: Backbone,
    backbone_name: str,
    device: torch.device | None,
    allow_network: bool,
    control: bool,
) -> Method:
    if name == BlurredBilinear.name:
        return Method(name, BlurredBilinear.title, BlurredBilinear().eval(), True)
    plain = name.endswith(PLAIN)
    base, _, checkpoint = name.removesuffix(PLAIN).partition("@")
    made = load_upsampler(
        base,
        backbone.name,
        checkpoint or None,
        device,
        stage=backbone.stage if ":" in backbone_name else None,
        channels=backbone.dim,
        allow_network=allow_network,
        warn=False,  # the report says it
    )
    title = made.title
    if made.origin == UNTRAINED:
        title, control = f"{title}, untrained", True
    elif checkpoint:
        title = f"{title} ({made.checkpoint})"
    if plain:
        title = f"{title}, not aligned"
    return Method(name, title, made, control or base in CONTROLS, plain)


def describe(method: Method) -> dict[str, object]:
    """Return what a report says about a method's weights."""
    made = method.upsampler
    parameters = sum(p.numel() for p in made.parameters())
    return {
        "key": method.key,
        "title": method.title,
        "origin": made.origin,
        "checkpoint": made.checkpoint,
        "remark": ", ".join(filter(None, (made.weights_note(), made.remark()))),
        "sha256": made.digest if made.digest not in (UNTRAINED, TRAINING_FREE, "control") else None,
        "parameters": parameters,
        "control": method.control,
        "space": made.space,
    }
