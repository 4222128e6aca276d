"""The published modules' outputs on random weights decide whether a port is right."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from explorer.imaging import IMAGENET_MEAN, IMAGENET_STD
from explorer.upsamplers import UPSAMPLERS
from explorer.upsamplers.attention import window_bounds
from explorer.upsamplers.featup import JBULearnedRange

REFERENCE = Path(__file__).parents[1] / "reference"
CASES = sorted(p.stem for p in REFERENCE.glob("*.safetensors") if "window" not in p.stem) + [
    "anyup_no_window"
]


def load(stem):
    with safe_open(REFERENCE / f"{stem}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        meta = file.metadata()
    state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
    return tensors, state, meta


def in_unit_range(image):
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return image * std + mean


def build(stem):
    tensors, state, meta = load(stem)
    method = UPSAMPLERS.create(meta["method"], **json.loads(meta["ctor"])).eval()
    method.load_state_dict(state, strict=True)
    size = json.loads(meta.get("output_size", "null"))
    resampler = method.prepare(in_unit_range(tensors["image"]), tensors["features"], size)
    return tensors, resampler


@pytest.mark.parametrize("stem", [c for c in CASES if c != "featup_jbu_guidance_not_2x"])
@torch.no_grad()
def test_output_equals_the_published_one(stem):
    tensors, resampler = build(stem)
    assert (resampler.features() - tensors["output"]).abs().max() <= 1e-5


@pytest.mark.parametrize("stem", [c for c in CASES if c.startswith(("anyup", "jafar"))])
@torch.no_grad()
def test_attention_rows_equal_the_published_ones(stem):
    tensors, resampler = build(stem)
    width = resampler.output_size[1]
    for batch, rows in enumerate(tensors["attn"]):
        for index, expected in zip(tensors["attn_query_index"].tolist(), rows, strict=True):
            found = resampler.attention(index // width, index % width, batch)
            assert (found.weights.flatten() - expected).abs().max() <= 1e-5
            outside = torch.ones(resampler.grid, dtype=bool)
            w = found.window
            outside[w.row0 : w.row1, w.col0 : w.col1] = False
            assert (found.weights[outside] == 0).all()
            pixel = torch.einsum("hw,chw->c", found.weights, tensors["features"][batch])
            output = tensors["output"][batch, :, index // width, index % width]
            assert (pixel - output).abs().max() <= 1e-5


@torch.no_grad()
def test_one_featup_step_with_a_guidance_that_is_not_twice_the_grid():
    tensors, state, meta = load("featup_jbu_guidance_not_2x")
    step = JBULearnedRange(**json.loads(meta["ctor"])).eval()
    step.load_state_dict(state, strict=True)
    assert (step.spatial() - tensors["spatial_kernel"]).abs().max() <= 1e-6
    found = step(tensors["features"], tensors["image"])
    assert (found - tensors["output"]).abs().max() <= 1e-5


def test_window_bounds_equal_the_published_ones():
    with safe_open(REFERENCE / "anyup_window_bounds.safetensors", "pt") as file:
        for key in file.keys():
            cells, outputs, ratio = key.split("_")
            found = window_bounds(int(cells[1:]), int(outputs[1:]), float(ratio[1:]))
            assert torch.equal(found, file.get_tensor(key).long()), key
