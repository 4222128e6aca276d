"""What a method costs per output pixel: declared on its class, read where work is planned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodCost:
    """Memory and time of one method; the defaults are those of a method without an encoder.

    Memory is a bound to refuse work by: peaks measured on a CPU, rounded up (``python -m explorer
    bench memory`` compares them). It is what preparing takes and projecting twelve components
    afterwards. Seconds are rougher.

    Attributes:
        output_pixel: bytes per output pixel.
        large_pixel: bytes per output pixel where the encoders' maps are so large that they hold
            one less; None for a method that does not.
        seconds: of a GPU, for an output of 448x448 pixels.
    """

    output_pixel: int = 200
    large_pixel: int | None = None
    seconds: float = 0.2
