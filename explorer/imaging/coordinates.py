"""Which coarse cell lies under a pixel, and which pixels a cell covers."""

from __future__ import annotations

from explorer.core import SizeError

Size = tuple[int, int]  # (H, W)


def pixel_to_cell(row: float, col: float, output_size: Size, grid: Size) -> tuple[float, float]:
    """Where an output pixel's centre lies on the coarse grid, as fractional (row, col) in cells."""
    return (row + 0.5) * grid[0] / output_size[0], (col + 0.5) * grid[1] / output_size[1]


def cell_of_pixel(row: int, col: int, output_size: Size, grid: Size) -> tuple[int, int]:
    """The coarse cell (row, col) that holds an output pixel's centre.

    Raises:
        SizeError: if the pixel lies outside ``output_size``.
    """
    return rescale_point(row, col, output_size, grid)


def cell_to_box(row: int, col: int, output_size: Size, grid: Size) -> tuple[int, int, int, int]:
    """The half-open pixel box (row0, row1, col0, col1) whose centres a coarse cell holds.

    The boxes of all cells tile the output exactly; where the grid is finer, some are empty.

    Raises:
        SizeError: if the cell lies outside ``grid``.
    """
    _check_inside(row, col, grid, "cell")
    rows = [_first_pixel(i, output_size[0], grid[0]) for i in (row, row + 1)]
    cols = [_first_pixel(i, output_size[1], grid[1]) for i in (col, col + 1)]
    return rows[0], rows[1], cols[0], cols[1]


def _first_pixel(cell: int, pixels: int, cells: int) -> int:
    """ceil(cell * pixels / cells - 1/2), exact in integers."""
    return -((cells - 2 * cell * pixels) // (2 * cells))


def rescale_point(row: int, col: int, from_size: Size, to_size: Size) -> tuple[int, int]:
    """The pixel of a ``to_size`` image that holds the centre of a ``from_size`` image's pixel.

    Exact in integers: equal sizes give the same point back.

    Raises:
        SizeError: if the pixel lies outside ``from_size``.
    """
    _check_inside(row, col, from_size, "pixel")
    return (
        (2 * int(row) + 1) * to_size[0] // (2 * from_size[0]),
        (2 * int(col) + 1) * to_size[1] // (2 * from_size[1]),
    )


def _check_inside(row: int, col: int, size: Size, kind: str) -> None:
    if not (0 <= row < size[0] and 0 <= col < size[1]):
        raise SizeError(
            f"{kind} ({row}, {col}) lies outside {size[0]} rows and {size[1]} columns; (row, col) "
            "count from (0, 0)"
        )
