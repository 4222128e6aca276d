"""Upsampled features as files: the same numbers, in pieces, resumable."""

import json
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import explorer.commands.features as command
from explorer import load_backbone, load_upsampler, open_photo
from explorer.__main__ import main
from explorer.files.tensors import TensorFile, read_tensor_recipe
from explorer.imaging import fit_size
from explorer.upsamplers import streaming

SMALL = ["--input-size", "96", "--output-size", "72", "--device", "cpu"]
OUTPUT = (48, 72)


def features(*arguments):
    return main(["features", *map(str, arguments)])


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("efficientnet_lite0", device="cpu")


def expected(photo, backbone, method):
    """The whole map, from the Python API."""
    opened = open_photo(photo)
    coarse = backbone.extract(opened.tensor(fit_size(opened.size, 96, backbone.stride)))
    made = load_upsampler(method, backbone="efficientnet_lite0", device="cpu")
    with torch.no_grad():
        return coarse, made(opened.tensor(OUTPUT), coarse, OUTPUT)[0]


@pytest.fixture
def blocks(monkeypatch):
    """Small pieces, and the number of values in each one that was written."""
    sizes = []
    write = TensorFile.write

    def spy(self, block, channel=0, row=0):
        sizes.append(block.size)
        write(self, block, channel, row)

    monkeypatch.setattr(TensorFile, "write", spy)
    monkeypatch.setattr(command, "PIECE_BYTES", 40 * 48 * 72 * 4)
    monkeypatch.setattr(streaming, "BAND_BYTES", 11 * 192 * 72 * 4)
    return sizes


@pytest.mark.parametrize("method", ["nearest", "bilinear", "jbu", "anyup", "featup"])
@pytest.mark.parametrize("kind", ["safetensors", "npy"])
def test_the_same_numbers_in_pieces(photo, backbone, tmp_path, blocks, method, kind):
    out = tmp_path / f"map.{kind}"
    assert features(photo, *SMALL, "--upsampler", method, "--out", out) == 0
    found = load_file(out)["features"].numpy() if kind == "safetensors" else np.load(out)
    _, wanted = expected(photo, backbone, method)
    assert found.shape == (192, *OUTPUT) and found.dtype == np.float32
    assert np.allclose(found, wanted.numpy(), atol=1e-4 * wanted.abs().max().item())
    assert len(blocks) >= 4 and sum(blocks) == found.size and max(blocks) <= found.size / 4


def test_half_precision_is_the_rounded_map(photo, backbone, tmp_path, blocks):
    out = tmp_path / "map.npy"
    assert (
        features(photo, *SMALL, "--upsampler", "bilinear", "--dtype", "float16", "--out", out) == 0
    )
    found = np.load(out, mmap_mode="r")
    _, wanted = expected(photo, backbone, "bilinear")
    assert found.dtype == np.float16 and found.flags["C_CONTIGUOUS"]
    assert np.allclose(found, wanted.numpy(), rtol=2e-3, atol=2e-3)


def test_the_metadata_names_everything_and_no_path(photo, tmp_path):
    out = tmp_path / "map.safetensors"
    assert features(photo, *SMALL, "--out", out) == 0
    with safe_open(out, "pt") as file:
        said = json.loads(file.metadata()["recipe"])
    assert said == read_tensor_recipe(out)
    assert said["photo"]["sha256"] == open_photo(photo).digest
    assert said["upsampler"]["checkpoint"] and len(said["upsampler"]["sha256"]) == 64
    assert said["backbone"]["stage"] == "blocks.5" and len(said["backbone"]["sha256"]) == 64
    assert said["shape"] == [192, *OUTPUT] and said["input_size"] == [64, 96]
    assert {"torch", "timm", "numpy"} <= set(said["versions"])
    assert str(photo.parent) not in json.dumps(said)
    with out.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
    assert length % 8 == 0


@pytest.mark.parametrize("method", ["bilinear", "anyup"])
def test_projections(photo, backbone, tmp_path, blocks, method):
    out = tmp_path / "pca.safetensors"
    assert features(photo, *SMALL, "--upsampler", method, "--project", "pca:3", "--out", out) == 0
    found = load_file(out)
    coarse, wanted = expected(photo, backbone, method)
    assert found["weight"].shape == (3, 192) and found["projection"].shape == (3, *OUTPUT)
    cells = (
        torch.einsum("kc,chw->khw", found["weight"], coarse.data[0]) + found["bias"][:, None, None]
    )
    assert cells.mean(dim=(1, 2)).abs().max() < 1e-3 * cells.std()
    made = torch.einsum("kc,chw->khw", found["weight"], wanted) + found["bias"][:, None, None]
    assert torch.allclose(found["projection"], made, atol=1e-3)

    weight, bias = torch.randn(90, 192), torch.randn(90)  # more than one piece holds
    save_file({"weight": weight, "bias": bias}, tmp_path / "probe.safetensors")
    given = ["--project", tmp_path / "probe.safetensors", "--out", tmp_path / "logits.npy"]
    blocks.clear()
    assert features(photo, *SMALL, "--upsampler", method, *given) == 0
    assert len(blocks) >= 3
    made = torch.einsum("kc,chw->khw", weight, wanted) + bias[:, None, None]
    assert np.allclose(np.load(tmp_path / "logits.npy"), made, atol=1e-2)
    said = read_tensor_recipe(tmp_path / "logits.npy")
    assert said["projection"]["file"] == "probe.safetensors" and said["tensor"] == "projection"


def test_one_basis_for_many_photos(photo, tmp_path):
    """What pca:3 wrote can be projected onto again, with another photo or another method."""
    first = tmp_path / "first.safetensors"
    assert (
        features(photo, *SMALL, "--upsampler", "bilinear", "--project", "pca:3", "--out", first)
        == 0
    )
    second = tmp_path / "second.safetensors"
    assert (
        features(photo, *SMALL, "--upsampler", "bilinear", "--project", first, "--out", second) == 0
    )
    a, b = load_file(first), load_file(second)
    assert torch.equal(a["weight"], b["weight"])
    assert torch.allclose(a["projection"], b["projection"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["safetensors", "npy"])
def test_a_run_over_many_photos_goes_on(photo, tmp_path, capsys, kind):
    folder, out = tmp_path / "album", tmp_path / "out"
    folder.mkdir()
    for seed in range(3):
        Image.fromarray(
            np.random.default_rng(seed).integers(0, 255, (64, 96, 3), dtype=np.uint8)
        ).save(folder / f"{seed}.png")
    (folder / "broken.jpg").write_text("hello")
    command = [folder, *SMALL, "--upsampler", "bilinear", "--format", kind, "--out", out]
    assert features(*command) == 1
    said = capsys.readouterr()
    assert "3 written, 0 there already, 1 failed" in said.out and "broken.jpg" in said.out
    files = [out / f"{seed}.{kind}" for seed in range(3)]
    first = [path.read_bytes() for path in files]

    os.truncate(files[0], 5000)  # copied in part, say
    (out / f".1.{kind}.part").write_bytes(b"half")
    files[1].unlink()
    kept = files[2].stat().st_mtime_ns
    assert features(*command) == 1
    assert "2 written, 1 there already, 1 failed" in capsys.readouterr().out
    assert [path.read_bytes() for path in files] == first
    assert files[2].stat().st_mtime_ns == kept and not list(out.glob(".*"))

    assert features(*command, "--dtype", "float16") == 1
    assert "3 written" in capsys.readouterr().out
    assert features(*command, "--dtype", "float16", "--force") == 1
    assert "3 written" in capsys.readouterr().out


def test_what_float16_cannot_hold_leaves_no_file(photo, tmp_path, capsys):
    save_file({"weight": torch.full((1, 192), 1e6)}, tmp_path / "huge.safetensors")
    given = ["--project", tmp_path / "huge.safetensors", "--upsampler", "bilinear"]
    out = tmp_path / "out"
    assert features(photo, *SMALL, *given, "--dtype", "float16", "--out", out) == 2
    said = capsys.readouterr().err
    assert "--dtype float32" in said and said.count("\n") == 1
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    "more, words",
    [
        (["--upsampler", "no_such_method"], "bilinear"),
        (["--backbone", "alexnet9000"], "alexnet9000"),
        (["--output-size", "5"], "output size"),
        (["--project", "pca:0"], "pca:K"),
        (["--project", "pca:many"], "pca:K"),
        (["--project", "absent.safetensors"], "absent.safetensors"),
        (["--project", "{photo}"], "safetensors"),
        (["--project", "{narrow}"], "(K, 192)"),
        (["--project", "pca:190"], "components"),
        (["--checkpoint", "absent.safetensors", "--upsampler", "anyup"], "absent.safetensors"),
        (["--out", "x.png"], ".safetensors"),
    ],
)
def test_mistakes_are_one_sentence(photo, tmp_path, monkeypatch, capsys, more, words):
    monkeypatch.chdir(tmp_path)
    narrow = tmp_path / "narrow.safetensors"
    save_file({"weight": torch.zeros(3, 20), "bias": torch.zeros(3)}, narrow)
    more = [text.format(photo=photo, narrow=narrow) for text in more]
    plain = ["--upsampler", "bilinear", "--out", "x.npy"]
    assert features(photo, *SMALL, *plain, *more) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1, said
    assert [path.name for path in tmp_path.iterdir()] == ["narrow.safetensors"]
