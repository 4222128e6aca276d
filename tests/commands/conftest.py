"""A photo for commands to work on."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """The path of a small photo of coloured blocks, a space in its name."""
    path = tmp_path_factory.mktemp("photos") / "small photo.png"
    blocks = np.random.default_rng(2).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(24, 0).repeat(24, 1)).save(path)
    return path
