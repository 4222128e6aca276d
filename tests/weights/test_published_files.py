"""The authors' own files, read where EXPLORER_PUBLISHED says they lie (they are in no commit)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from explorer import load_upsampler, weights
from explorer.probes import load_probe
from explorer.upsamplers import UPSAMPLERS
from explorer.weights import CHECKPOINTS, lock

FOLDER = Path(os.environ.get("EXPLORER_PUBLISHED", "nowhere"))
ROWS = {row.name: row for row in CHECKPOINTS}
DIGESTS = {name: (row.sha256, row.size) for name, row in ROWS.items() if row.sha256}
JAFAR = "jafar_vit_small_patch14_dinov2.lvd142m"
PROBES = {"ade20k": 151, "cityscapes": 19, "coco": 27, "voc": 21}
OUTPUTS = {
    "anyup_multi_backbone": "expected_anyup_multi_backbone",
    "anyup_paper": "expected_anyup_paper",
    JAFAR: "expected_jafar_vit_small_patch14_dinov2",
}
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="EXPLORER_PUBLISHED names no folder with the authors' files"
)


@pytest.fixture
def put(places):
    """Return a function that lays an author's file where its row is looked for."""

    def link(name: str) -> Path:
        target = places / "checkpoints" / f"{name}{Path(ROWS[name].file).suffix}"
        target.symlink_to(FOLDER / ROWS[name].file)
        return target

    return link


ABSENT = ("naf_release", *(f"jafar_radio_v2.5-{size}" for size in "blh"))  # from the folder


@pytest.mark.parametrize("name", [name for name in DIGESTS if name not in ABSENT])
def test_the_listed_digest_is_the_files(put, name):
    path = put(name)
    assert (weights.digest(path), path.stat().st_size) == DIGESTS[name]
    loaded = weights.load(name, allow_network=False)
    assert loaded.verified and loaded.label == "published" and loaded.row.name == name
    assert lock.seen() == {}  # nothing was unverified
    by_path = weights.load(FOLDER / ROWS[name].file)
    assert by_path.verified and by_path.row.name == name  # known by its digest alone


@pytest.mark.parametrize("name", OUTPUTS)
@torch.no_grad()
def test_the_output_is_the_authors(put, name):
    with safe_open(FOLDER / f"{OUTPUTS[name]}.safetensors", "pt") as file:
        image, features, expected = (
            file.get_tensor(key) for key in ("image", "features", "output")
        )
        size = tuple(json.loads(file.metadata()["output_size"]))
    put(name)
    row = ROWS[name]
    backbone = None if row.backbone == "any" else row.backbone
    options = {"device": "cpu", "allow_network": False}
    for wanted in (name, FOLDER / row.file):
        upsampler = load_upsampler(row.method, backbone, wanted, **options)
        assert upsampler.origin == "published" and upsampler.checkpoint == name
        made = upsampler(image, features, size)
        assert (made - expected).abs().max() < 5e-5


@pytest.mark.parametrize("dataset, classes", PROBES.items())
def test_the_probes_are_read(put, dataset, classes):
    name = f"jafar_probe_{dataset}"
    put(name)
    for wanted in (name, FOLDER / f"{name}.pth"):
        probe = load_probe(wanted, allow_network=False)
        assert probe.kind == "segmentation" and len(probe.classes) == classes
        assert probe.weight.shape == (classes, 384) and probe.bias.shape == (classes,)
        assert probe.weight.isfinite().all() and probe.weight.std() > 1e-3
        assert probe.origin == "published" and probe.backbone == ROWS[name].backbone


def test_every_file_of_weights_is_opened_without_being_told_how():
    paths = [path for path in FOLDER.iterdir() if path.suffix in (".pth", ".ckpt")]
    assert len(paths) >= 8
    for path in paths:
        state = weights.load(path).state
        assert state and all(value.isfinite().all() for value in state.values()), path.name


@pytest.mark.parametrize(
    "file, channels, norm",
    [
        ("maskclip_jbu_stack_cocostuff.ckpt", 512, False),
        ("featup_dinov2_jbu_from_burn.safetensors", 384, False),
    ],
)
def test_featups_files_fit_the_module(file, channels, norm):
    module = UPSAMPLERS.create("featup", feat_dim=channels, norm=norm)
    module.load_state_dict(weights.load_state(FOLDER / file), strict=True)


def test_featups_lightning_file_stands_in_its_rows_place(put):
    put("featup_maskclip")
    made = load_upsampler("featup", checkpoint="featup_maskclip", channels=512, device="cpu")
    assert made.origin.startswith("published, unverified")  # its digest is likely, not certain
