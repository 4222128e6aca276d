"""How a backbone is read for a method: once, or more often for a finer or steadier map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """What a method asks of the backbone beyond one forward pass at the input size.

    Attributes:
        factor: the photo is this many times larger than the input size, and so is the grid.
        flipped: the map is averaged with that of the mirrored photo, mirrored back.
        interleaved: four passes, the photo moved by a quarter of a cell up or down and left or
            right of its place, make one grid that is twice as fine.
    """

    factor: int = 1
    flipped: bool = False
    interleaved: bool = False

    @property
    def pixels(self) -> int:
        """How many times the pixels of one pass at the input size the backbone sees."""
        return self.factor**2 * (2 if self.flipped else 1) * (4 if self.interleaved else 1)


ONCE = Reading()
