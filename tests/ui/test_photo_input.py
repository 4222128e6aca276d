"""An uploaded photo is decoded once, however many events hand it over."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")

from explorer.core import ImageError  # noqa: E402
from explorer.ui import photo_input  # noqa: E402


@pytest.fixture
def upload(tmp_path, monkeypatch):
    """A file where Gradio stores uploads, and the paths that were decoded."""
    decoded, open_photo = [], photo_input.open_photo

    def counted(path, name):
        decoded.append(path)
        return open_photo(path, name)

    monkeypatch.setattr(photo_input, "get_upload_folder", lambda: str(tmp_path))
    monkeypatch.setattr(photo_input, "open_photo", counted)
    return tmp_path / "photo.png", decoded


def save(path, grey):
    Image.fromarray(np.full((8, 9, 3), grey, np.uint8)).save(path)


def test_a_photo_is_decoded_once(upload):
    path, decoded = upload
    save(path, 10)
    first, second = photo_input.read_photo(str(path)), photo_input.read_photo(str(path))
    assert first is second and first.size == (8, 9) and len(decoded) == 1


def test_another_picture_under_the_same_name_is_decoded_again(upload):
    path, decoded = upload
    save(path, 10)
    first = photo_input.read_photo(str(path))
    path.unlink()
    Image.fromarray(np.zeros((20, 21, 3), np.uint8)).save(path)
    second = photo_input.read_photo(str(path))
    assert (first.size, second.size) == ((8, 9), (20, 21)) and len(decoded) == 2


def test_an_unreadable_file_is_refused_every_time(upload):
    path, decoded = upload
    path.write_bytes(b"no picture")
    for _ in range(2):
        with pytest.raises(ImageError):
            photo_input.read_photo(str(path))
    assert len(decoded) == 2


def test_a_file_that_has_gone_is_one_sentence(upload):
    with pytest.raises(ImageError, match="photo.png"):
        photo_input.read_photo(str(upload[0]))
