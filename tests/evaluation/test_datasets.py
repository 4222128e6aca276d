"""Plain folders as datasets: reading, splitting, and saying which file is wrong."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.core import ExplorerError
from explorer.datasets import CLASS_SETS, check_dataset, nearest, open_dataset
from explorer.datasets.readers.depth import read_depth
from explorer.datasets.readers.labels import read_labels
from explorer.datasets.readers.normals import read_normals
from explorer.datasets.splits import choose_split, subsample

SIZE = (24, 32)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Eight photos with labels, depth and normals."""
    draw = np.random.default_rng(0)
    for number in range(8):
        name = f"{number:04d}.png"
        write(tmp_path / "images" / name, draw.integers(0, 255, (*SIZE, 3), dtype=np.uint8))
        labels = draw.integers(0, 3, SIZE, dtype=np.uint8)
        labels[0] = 255
        write(tmp_path / "labels" / name, labels)
        depth = draw.integers(500, 4000, SIZE, dtype=np.uint16)
        depth[0, 0] = 0
        write(tmp_path / "depth" / name, depth)
        normals = np.full((*SIZE, 3), 128, np.uint8)
        normals[..., 2] = 0
        normals[0] = 0
        write(tmp_path / "normals" / name, normals)
    (tmp_path / "classes.txt").write_text("wall\nfloor\nchair\n")
    return tmp_path


def test_a_folder_gives_pairs_classes_and_a_split(folder):
    data = open_dataset(folder, "labels")
    assert data.classes.names == ("wall", "floor", "chair") and data.classes.colours == ()
    assert [e.name for e in data.test] == ["0006", "0007"]
    assert [e.name for e in data.train] == ["0000", "0001", "0002", "0003", "0004"]
    example = data.test[0]
    labels = data.read(example, example.photo())
    assert labels.shape == SIZE and labels.dtype == torch.int64 and (labels[0] == 255).all()
    assert check_dataset(folder, "labels") == []
    assert check_dataset(folder, "depth") == [] and check_dataset(folder, "normals") == []


def test_depth_encodings(tmp_path):
    metres, valid = read_depth(write(tmp_path / "a.png", np.array([[0, 1500]], np.uint16)))
    assert valid.tolist() == [[False, True]] and metres[0, 1] == pytest.approx(1.5)
    metres, valid = read_depth(write(tmp_path / "b.png", np.array([[0, 51]], np.uint8)), 10.0)
    assert valid.all() and metres[0].tolist() == pytest.approx([0.5 * 10 / 255, 51.5 * 10 / 255])
    np.save(tmp_path / "c.npy", np.array([[np.nan, -1, 2.5]], np.float32))
    metres, valid = read_depth(tmp_path / "c.npy")
    assert valid.tolist() == [[False, False, True]] and metres[0, 2] == 2.5


def test_normals_are_unit_vectors_and_black_is_invalid(tmp_path):
    picture = np.array([[[0, 0, 0], [255, 128, 128], [128, 128, 0]]], np.uint8)
    vectors, valid = read_normals(write(tmp_path / "n.png", picture))
    assert valid.tolist() == [[False, True, True]]
    assert vectors.norm(dim=0)[valid] == pytest.approx(torch.ones(2))
    assert vectors[:, 0, 1].tolist() == pytest.approx([1, 0, 0], abs=0.01)
    assert vectors[:, 0, 2].tolist() == pytest.approx([0, 0, -1], abs=0.01)
    with pytest.raises(ExplorerError, match="does not hold unit normals"):
        read_normals(write(tmp_path / "bad.png", np.full((4, 4, 3), 130, np.uint8)))


def test_palette_pictures_give_their_indices(tmp_path):
    picture = Image.fromarray(np.array([[0, 2, 1]], np.uint8), mode="L").convert("P")
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    picture.putdata([0, 2, 1])
    picture.save(tmp_path / "p.png")
    assert read_labels(tmp_path / "p.png", 3).tolist() == [[0, 2, 1]]


def test_nearest_takes_the_pixel_that_holds_the_centre():
    values = torch.arange(12).view(3, 4)
    assert torch.equal(nearest(values, (3, 4)), values)
    expected = torch.nn.functional.interpolate(
        values[None, None].float(), (7, 9), mode="nearest-exact"
    )
    assert torch.equal(nearest(values, (7, 9)).float(), expected[0, 0])
    assert nearest(values, (1, 1)).item() == 6


FAULTS = {
    "sizes differ": (
        lambda root: write(root / "labels/0003.png", np.zeros((24, 31), np.uint8)),
        r"labels/0003\.png is 31x24 .*images/0003\.png is 32x24",
    ),
    "label out of range": (
        lambda root: write(root / "labels/0004.png", np.full(SIZE, 7, np.uint8)),
        r"labels/0004\.png has the label 7 at row 0, column 0 \(768 pixels in all\); 0 to 2",
    ),
    "unreadable map": (
        lambda root: (root / "labels/0001.png").write_bytes(b"no picture"),
        r"labels/0001\.png cannot be read",
    ),
    "cut map": (
        lambda root: (root / "labels/0001.png").write_bytes(
            (root / "labels/0001.png").read_bytes()[:120]
        ),
        r"labels/0001\.png cannot be read",
    ),
    "unreadable photo": (
        lambda root: (root / "images/0002.png").write_bytes(b"no picture"),
        r"images/0002\.png",
    ),
    "colour labels": (
        lambda root: write(root / "labels/0005.png", np.zeros((*SIZE, 3), np.uint8)),
        r"labels/0005\.png is a colour picture \(RGB\)",
    ),
    "nothing labelled": (
        lambda root: write(root / "labels/0005.png", np.full(SIZE, 255, np.uint8)),
        r"labels/0005\.png has no pixel to learn from",
    ),
    "photo without map": (
        lambda root: (root / "labels/0006.png").unlink(),
        r"images/0006\.png has no map in labels/",
    ),
    "map without photo": (
        lambda root: write(root / "labels/extra.png", np.zeros(SIZE, np.uint8)),
        r"labels/extra\.png has no photo",
    ),
    "list names what is not there": (
        lambda root: (root / "train.txt").write_text("0000\nnobody\n"),
        r"train\.txt lists 'nobody'",
    ),
    "train and test overlap": (
        lambda root: [
            (root / "train.txt").write_text("0000\n0001\n"),
            (root / "test.txt").write_text("0001\n0002\n"),
        ],
        r"'0001' is in the training and in the test list",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_check_names_the_file_and_the_fault(folder, fault):
    spoil, message = FAULTS[fault]
    spoil(folder)
    found = check_dataset(folder, "labels")
    assert len(found) == 1, found
    assert re.search(message, found[0]), found[0]


def test_check_without_any_pair(folder):
    for path in (folder / "labels").iterdir():
        path.rename(path.with_name("x" + path.name))
    assert "names must agree" in check_dataset(folder, "labels")[0]
    with pytest.raises(ExplorerError, match="has the name of a photo"):
        open_dataset(folder, "labels")


def test_a_map_of_another_size_is_refused_when_it_is_read(folder):
    write(folder / "labels/0007.png", np.zeros((24, 31), np.uint8))
    data = open_dataset(folder, "labels")
    with pytest.raises(ExplorerError, match="needs its photo's size"):
        data.read(data.test[-1], data.test[-1].photo())


def test_missing_folders_and_names(folder, tmp_path):
    with pytest.raises(ExplorerError, match="has no folder boundaries/"):
        open_dataset(folder, "boundaries")
    (folder / "labels2").mkdir()
    with pytest.raises(ExplorerError, match="labels, labels2"):
        open_dataset(folder, "labels")
    with pytest.raises(ExplorerError, match="is not a folder"):
        open_dataset(tmp_path / "nowhere", "labels")
    with pytest.raises(ExplorerError, match="one of: nyu13"):
        open_dataset(folder, "labels", "labels", classes="nonsense")


def test_without_names_the_largest_label_decides(folder):
    (folder / "classes.txt").unlink()
    data = open_dataset(folder, "labels")
    assert data.classes.names == ("class 0", "class 1", "class 2")
    assert "no names" in data.notes[0]


def test_a_sequence_is_never_on_both_sides(tmp_path):
    (tmp_path / "train.txt").write_text("a_1\na_2\nimages/b_1.png labels/b_1.png\n")
    (tmp_path / "test.txt").write_text("a_3\nc_1\nc_2\n")
    split = choose_split(tmp_path, ["a_1", "a_2", "a_3", "b_1", "c_1", "c_2"])
    assert split.train == ("a_1", "a_2", "b_1") and split.test == ("c_1", "c_2")
    assert "1 test frames of a left out" in split.how
    (tmp_path / "test.txt").write_text("a_3\n")  # nothing would be left: the list stands
    assert choose_split(tmp_path, ["a_1", "a_2", "a_3", "b_1"]).test == ("a_3",)


@pytest.mark.parametrize("count", [4, 20, 40, 99, 100, 795])
def test_blocks_are_contiguous_disjoint_and_apart(tmp_path, count):
    names = [f"{i:04d}" for i in range(count)]
    split = choose_split(tmp_path, names)
    train = [int(n) for n in split.train]
    test = [int(n) for n in split.test]
    gap = 5 if count >= 100 else max(1, count // 20)
    assert train and test and not set(train) & set(test)
    assert min(abs(a - b) for a in train for b in test) > gap
    runs = 1 + sum(b - a > 1 for a, b in zip(test, test[1:], strict=False))
    assert runs == (4 if count >= 100 else 1)
    assert 0.1 < len(test) / count <= 0.3


def test_thin_is_even_and_bounded():
    assert subsample(list(range(10)), None) == list(range(10)) == subsample(list(range(10)), 99)
    assert subsample(list(range(10)), 2) == [2, 7]
    with pytest.raises(ExplorerError):
        subsample([1, 2], 0)


def test_the_real_sets_are_read_as_their_readmes_say():
    root = os.environ.get("EXPLORER_TEST_DATA")
    if not root:
        pytest.skip("EXPLORER_TEST_DATA names no folder with the evaluation sets")
    nyu = open_dataset(Path(root) / "nyuv2_train", "labels", "labels13")
    assert nyu.classes == CLASS_SETS["nyu13"] and (len(nyu.train), len(nyu.test)) == (596, 159)
    street = open_dataset(Path(root) / "camvid", "labels", classes="camvid11")
    assert len(street.test) == 171 and all(e.name.startswith("Seq05VD") for e in street.test)
    room = open_dataset(Path(root) / "replica_office0", "normals")
    vectors, valid = room.read(room.test[0], room.test[0].photo())
    assert 0.9 < valid.float().mean() and vectors[2][valid].mean() < -0.3  # pointing at the camera
