import numpy as np
import pytest
from PIL import Image

from explorer.backbones import load_backbone
from explorer.training import validation


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve small pictures with edges, and one file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for n in range(12):
        blocks = rng.integers(0, 255, (5, 6, 3), dtype=np.uint8).repeat(28, 0).repeat(28, 1)
        Image.fromarray(blocks).save(folder / f"{n:02}.jpg", quality=95)
    (folder / "99.jpg").write_text("not a picture")
    return folder


@pytest.fixture(scope="session")
def backbone():
    return load_backbone("efficientnet_lite0", "blocks.4", "cpu")


@pytest.fixture(autouse=True)
def small_validation(monkeypatch):
    monkeypatch.setattr(validation, "SIDE", 128)
