"""GIFs whose frames cover a part of the page, with and without a hidden colour."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from explorer.imaging import open_photo

PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)


def gif(
    numbers: np.ndarray, page: tuple[int, int], corner: tuple[int, int], hidden: int | None
) -> bytes:
    """One frame of palette numbers at (row, col) of a page (H, W) with the ground colour 3."""
    data = b"GIF89a" + struct.pack("<HHBBB", page[1], page[0], 0x81, 3, 0) + PALETTE.tobytes()
    if hidden is not None:
        data += b"!\xf9\4" + bytes([1, 0, 0, hidden, 0])
    data += b"," + struct.pack("<HHHHB", corner[1], corner[0], *numbers.shape[::-1], 0)
    codes = [code for number in numbers.ravel() for code in (4, int(number))] + [5]  # 4 clears
    bits = sum(code << 3 * place for place, code in enumerate(codes))
    packed = bits.to_bytes(len(codes) * 3 // 8 + 1, "little")
    return data + b"\2" + bytes([len(packed)]) + packed + b"\0;"


@pytest.mark.parametrize("hidden", [None, 0, 2])
@pytest.mark.parametrize("corner", [(0, 0), (1, 2), (2, 0)])
@pytest.mark.parametrize("shape", [(2, 3), (4, 5)])
def test_what_a_frame_leaves_uncovered_is_clear(
    shape: tuple[int, int], corner: tuple[int, int], hidden: int | None
) -> None:
    numbers = np.random.default_rng(0).integers(0, 4, shape)
    page = (shape[0] + corner[0], shape[1] + corner[1] + 1)
    expected = np.full((*page, 3), 255, np.uint8)
    colours = PALETTE.copy()
    if hidden is not None:
        colours[hidden] = 255
    expected[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]] = colours[numbers]
    assert np.array_equal(open_photo(gif(numbers, page, corner, hidden)).pixels, expected)
