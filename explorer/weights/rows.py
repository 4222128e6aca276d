"""A checkpoint row: everything that must be known about one file of weights before it is opened."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from explorer.core import WeightsError

PUBLISHED, CONVERTED, TRAINED = "published", "converted", "trained here"
ORIGINS = (TRAINED, CONVERTED, PUBLISHED)  # ties between equally fitting rows go in this order
TRANSFORMS = ("state_dict", "jafar", "anyup", "featup", "loftup", "head", "auto")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")


class AbsentWeightsError(WeightsError):
    """Weights that are not on this machine and cannot be fetched now; others may do instead."""


def check_checkpoint_name(name: str) -> None:
    """Raise WeightsError for a name that no checkpoint can have: it could leave a folder."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise WeightsError(
            f"{name[:80]!r} is no name for a checkpoint: letters, digits, '.', '_' and '-' are"
        )


@dataclass(frozen=True)
class Checkpoint:
    """One file of weights: whose it is, what it fits, where it lies and how it is read.

    ``backbone`` is a registry name or "any"; ``aliases`` are other names of the same backbone.
    ``stage`` None is the backbone's default, ``channels`` None any width. A published file has
    ``repo`` (Hub; ``revision`` 40 hex, or None while nobody has pinned it) or ``url``; a local one
    has ``path``. ``sha256`` and ``size`` (bytes) are None until somebody measured them. ``options``
    are the constructor's arguments. ``statistics`` says which mean and std the guidance image is
    normalised with: "imagenet", "backbone" (the backbone's own) or "own" (``mean``, ``std``).
    ``transform`` names how the file is read (`explorer.weights.state_dicts`). ``trained_on`` lists
    the backbones seen in training. ``built`` is False for a method that is not implemented yet;
    see `mark_built`.
    """

    name: str
    method: str
    backbone: str = "any"
    stage: str | None = None
    channels: int | None = None
    repo: str | None = None
    revision: str | None = None
    url: str | None = None
    file: str = ""
    sha256: str | None = None
    size: int | None = None
    licence: str = ""
    paper: str = ""
    origin: str = PUBLISHED
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    statistics: str = "imagenet"
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    transform: str = "state_dict"
    card: str | None = None
    notes: str = ""
    aliases: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    alternative: str = ""
    path: Path | None = None
    built: bool = True

    def __post_init__(self) -> None:
        """Refuse a row that could not work, or whose name could leave a folder."""
        check_checkpoint_name(self.name)
        if self.origin not in ORIGINS:
            raise WeightsError(
                f"the origin of {self.name} is {self.origin!r}; choose one of: {', '.join(ORIGINS)}"
            )
        if self.transform not in TRANSFORMS:
            raise WeightsError(
                f"{self.name} is to be read as {self.transform!r}; choose one of: "
                f"{', '.join(TRANSFORMS)}"
            )
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise WeightsError(f"the sha256 of {self.name} must be 64 lower-case hex digits")
        if self.revision is not None and not re.fullmatch("[0-9a-f]{40}", self.revision):
            raise WeightsError(f"the revision of {self.name} must be 40 lower-case hex digits")
        object.__setattr__(self, "options", dict(self.options))

    @property
    def key(self) -> str:
        """Where the published file lies, as the lock file writes it ("" if it only exists here)."""
        return f"hf://{self.repo}/{self.file}" if self.repo else self.url or ""

    @property
    def where(self) -> str:
        """The address a person would open."""
        return f"https://huggingface.co/{self.repo}" if self.repo else self.url or str(self.path)

    def matches(self, backbone: str | None, stage: str | None, channels: int | None) -> bool:
        """Whether the weights can be used with these features (None: not asked)."""
        named = backbone is None or self.backbone == "any" or self.fits(backbone)
        staged = stage is None or self.stage is None or self.stage == stage
        return named and staged and (None in (channels, self.channels) or channels == self.channels)

    def fits(self, backbone: str) -> bool:
        """Whether the weights were made for exactly this backbone."""
        return backbone == self.backbone or backbone in self.aliases


def mark_built(rows: Collection[Checkpoint], methods: Collection[str]) -> list[Checkpoint]:
    """Return the rows with ``built`` set to whether their method is among ``methods``."""
    return [replace(row, built=row.method in methods) for row in rows]
