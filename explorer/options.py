"""What a visitor asked for: every setting of a screen or a figure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from explorer.core import ALIGN, ExplorerError
from explorer.core.messages import quoted
from explorer.core.validation import Whole, fits
from explorer.imaging import Photo, fit_size

MIN_SIZE, MAX_SIZE = 32, 4096
MOST_NAMES = 24  # methods on one screen


@dataclass(frozen=True, eq=False)
class Options:
    """Every setting of a screen or a figure; ``views`` read from it what concerns them.

    ``backbones`` are "name" or "name:stage". ``input_size`` and ``output_size`` are the longer side
    in pixels of what the backbone sees and of what comes out; the aspect is the photo's.
    ``checkpoints`` maps an upsampler ("jafar"), or an upsampler for one backbone
    ("jafar:efficientnet_lite0:blocks.4"), to a checkpoint row, a path or "untrained". ``query`` is
    (row, col) on the output grid. ``align`` moves the photo before the backbone, so that its cells
    describe the pixels under them (`Backbone.extract`).
    """

    photo: Photo
    backbones: tuple[str, ...] = ("efficientnet_lite0",)
    upsamplers: tuple[str, ...] = ("bilinear", "jbu", "jafar", "anyup")
    input_size: int = 448
    output_size: int = 448
    checkpoints: dict[str, str] = field(default_factory=dict)
    query: tuple[int, int] | None = None
    view: dict[str, Any] = field(default_factory=dict)
    align: bool = ALIGN

    def __post_init__(self) -> None:
        """Refuse sizes nobody can compute, before any work; a name given twice counts once."""
        if not self.backbones or not self.upsamplers:
            raise ExplorerError("choose at least one backbone and at least one upsampler")
        if max(len(self.backbones), len(self.upsamplers)) > MOST_NAMES:
            raise ExplorerError(f"choose at most {MOST_NAMES} backbones and upsamplers")
        for what in ("backbones", "upsamplers"):
            object.__setattr__(self, what, tuple(dict.fromkeys(getattr(self, what))))
        for what in ("input_size", "output_size"):
            size = getattr(self, what)
            if not isinstance(size, int) or not MIN_SIZE <= size <= MAX_SIZE:
                raise ExplorerError(
                    f"{what.replace('_', ' ')} must be {MIN_SIZE} to {MAX_SIZE} pixels, "
                    f"not {quoted(size)}"
                )

    def with_photo(self, photo: Photo) -> Options:
        """Return the same settings for another photo."""
        return replace(self, photo=photo)

    def with_query(self, query: tuple[int, int] | None) -> Options:
        """Return the same settings for another query (row, col)."""
        return replace(self, query=query)

    def checkpoint_for(self, upsampler: str, backbone: str) -> str | None:
        """Return the checkpoint chosen for a pair, or None for the best that can be had."""
        return self.checkpoints.get(f"{upsampler}:{backbone}", self.checkpoints.get(upsampler))

    def check_query(self) -> None:
        """Raise ExplorerError unless the query, if there is one, is a pixel of the output."""
        if self.query is None:
            return
        row, col = self.query
        height, width = self.output
        if not (fits(Whole, row) and fits(Whole, col) and 0 <= row < height and 0 <= col < width):
            raise ExplorerError(
                f"row and col must lie on the {height}x{width} output, not at {quoted(row)}, "
                f"{quoted(col)}"
            )

    @property
    def output(self) -> tuple[int, int]:
        """(H', W') of the output grid."""
        return fit_size(self.photo.size, self.output_size)

    def recipe(self) -> dict[str, Any]:
        """Return the settings as JSON-serialisable values; the photo as its digest, size and file
        name.
        """
        return {
            "photo": {
                "name": self.photo.name,
                "sha256": self.photo.digest,
                "size": list(self.photo.size),
            },
            "backbones": list(self.backbones),
            "upsamplers": list(self.upsamplers),
            "input_size": self.input_size,
            "output_size": self.output_size,
            "checkpoints": dict(self.checkpoints),
            "query": None if self.query is None else list(self.query),
            "view": dict(self.view),
        } | ({"align": True} if self.align else {})  # without the word it means unaligned
