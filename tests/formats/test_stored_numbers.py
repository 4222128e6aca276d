"""Label, depth and normal maps give the numbers a file stores, not the greys of a screen."""

from __future__ import annotations

import itertools
from pathlib import Path

import bmp_writer as bmp
import numpy as np
import png_writer as png
import pytest
import tiff_writer as tiff

from explorer.core import ExplorerError
from explorer.datasets.maps import map_size
from explorer.datasets.readers.depth import read_depth
from explorer.datasets.readers.labels import read_labels
from explorer.datasets.readers.normals import read_normals

SIGNED_TIFFS = [
    tiff.Kind(tiff.BLACK_IS_ZERO, bits, tiff.SIGNED, compression=compression, big_endian=big)
    for bits, compression, big in itertools.product(
        (8, 16, 32), (tiff.NONE, tiff.DEFLATE), (False, True)
    )
]
TIFFS = [
    tiff.Kind(photometric, bits, planar=planar, compression=compression, big_endian=big)
    for photometric, bits, planar, compression, big in itertools.product(
        (tiff.BLACK_IS_ZERO, tiff.PALETTE),
        (1, 2, 4, 8, 16),
        (1, 2),
        (tiff.NONE, tiff.LZW),
        (False, True),
    )
    if (photometric, bits) != (tiff.PALETTE, 16)
]


def numbers_of(kind: tiff.Kind | png.Kind | bmp.Kind) -> np.ndarray:
    top = 2 ** (kind.bits - (getattr(kind, "format", 1) == tiff.SIGNED))
    return np.random.default_rng(kind.bits).integers(0, min(top, 200), (7, 9))


@pytest.mark.parametrize("kind", [*TIFFS, *SIGNED_TIFFS], ids=str)
def test_labels_in_tiffs(kind: tiff.Kind, tmp_path: Path) -> None:
    numbers = numbers_of(kind)
    path = tmp_path / "labels.tif"
    colours = tiff.random_colours(kind) if kind.photometric == tiff.PALETTE else None
    path.write_bytes(tiff.write(numbers[..., None], kind, colours))
    assert map_size(path) == (7, 9)
    assert np.array_equal(read_labels(path).numpy(), numbers)


@pytest.mark.parametrize(
    ("colour", "bits"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (3, 2), (3, 4)]
)
def test_labels_in_pngs(colour: int, bits: int, tmp_path: Path) -> None:
    kind = png.Kind(colour, bits)
    numbers, path = numbers_of(kind), tmp_path / "labels.png"
    palette = png.palette_of(kind) if colour == png.PALETTE else None
    path.write_bytes(png.write(numbers[..., None], kind, palette))
    assert np.array_equal(read_labels(path).numpy(), numbers)


@pytest.mark.parametrize(
    "kind", [bmp.Kind(1), bmp.Kind(4), bmp.Kind(8), bmp.Kind(8, 40, 1), bmp.Kind(4, 40, 2)], ids=str
)
def test_labels_in_bmps(kind: bmp.Kind, tmp_path: Path) -> None:
    numbers, path = numbers_of(kind), tmp_path / "labels.bmp"
    pixels = bmp.run_lengths(numbers, kind) if kind.compression else bmp.rows(numbers, kind)
    for palette in (
        np.arange(2**kind.bits)[:, None].repeat(3, 1),
        np.eye(3, dtype=int)[[0, 1]] * 255,
    ):
        path.write_bytes(
            bmp.write(pixels, numbers.shape, kind, palette.astype(np.uint8), len(palette))
        )
        assert np.array_equal(read_labels(path).numpy(), numbers)


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("sample_format", [tiff.UNSIGNED, tiff.SIGNED])
def test_depths_of_sixteen_bits_are_millimetres(
    planar: int, sample_format: int, tmp_path: Path
) -> None:
    kind = tiff.Kind(tiff.BLACK_IS_ZERO, 16, sample_format, planar=planar)
    millimetres = np.array([[0, 1500], [2750, 9000]])
    path = tmp_path / "depth.tif"
    path.write_bytes(tiff.write(millimetres[..., None], kind))
    metres, valid = read_depth(path)
    assert metres.tolist() == [[1.0, 1.5], [2.75, 9.0]] and valid.tolist() == [
        [False, True]
    ] * 1 + [[True, True]]


def test_depths_of_four_bits_still_span_the_range(tmp_path: Path) -> None:
    path = tmp_path / "depth.png"
    path.write_bytes(png.write(np.array([[[0], [15]]]), png.Kind(png.GREY, 4)))
    assert read_depth(path, 10.0)[0].tolist()[0] == pytest.approx([0.5 / 25.5, 255.5 / 25.5])


def test_normals_in_planes_of_sixteen_bits(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 6, 3))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    path = tmp_path / "normals.tif"
    stored = np.rint((vectors + 1) / 2 * 65535).astype(np.int64)
    path.write_bytes(tiff.write(stored, tiff.Kind(tiff.RGB, 16, planar=2)))
    found, valid = read_normals(path)
    assert valid.all() and np.abs(found.permute(1, 2, 0).numpy() - vectors).max() < 0.01


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tiff.write(np.ones((2, 2, 1), int), tiff.Kind(tiff.WHITE_IS_ZERO, 8)), "zero is white"),
        (tiff.write(np.ones((2, 2, 2), int), tiff.Kind(tiff.BLACK_IS_ZERO, 8, extra=(2,))), "LA"),
        (png.write(np.ones((2, 2, 2), int), png.Kind(png.GREY_ALPHA)), "LA"),
    ],
)
def test_ambiguous_maps_are_refused(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / ("labels.png" if data[1:4] == b"PNG" else "labels.tif")
    path.write_bytes(data)
    with pytest.raises(ExplorerError, match=words):
        read_labels(path)
