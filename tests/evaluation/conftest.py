from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

SIZE = (64, 96)
COLOURS = np.array([[200, 60, 50], [60, 170, 80], [60, 80, 200]])


def draw_scene(seed: int):
    """A photo of three flat regions with noise, its labels, depth (mm) and normals."""
    draw = np.random.default_rng(seed)
    rows, cols = np.mgrid[: SIZE[0], : SIZE[1]]
    labels = np.zeros(SIZE, np.uint8)
    labels[rows > draw.integers(20, 44)] = 1
    row, col = draw.integers(16, 48), draw.integers(20, 76)
    labels[(rows - row) ** 2 + (cols - col) ** 2 < 180] = 2
    photo = COLOURS[labels] + draw.normal(0, 18, (*SIZE, 3))
    depth = (np.array([4.0, 2.0, 1.0])[labels] + 0.01 * rows) * 1000
    normals = np.array([[128, 128, 0], [128, 0, 128], [255, 128, 128]], np.uint8)[labels]
    depth[:2], normals[:2] = 0, 0
    shown = labels.copy()
    shown[:2] = 255
    return photo.clip(0, 255).astype(np.uint8), shown, depth.astype(np.uint16), normals


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder of twelve synthetic photos with every kind of map; tests must not change it."""
    root = tmp_path_factory.mktemp("scenes")
    for number in range(12):
        maps = zip(("images", "labels", "depth", "normals"), draw_scene(number), strict=True)
        for folder, array in maps:
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(root / folder / f"{number:03d}.png")
    (root / "classes.txt").write_text("sky\nground\nball\nghost\n")
    return root
