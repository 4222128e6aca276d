"""Probes: the logit identity, files and cards, published layouts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from explorer.core import ExplorerError, SizeError, WeightsError
from explorer.datasets import ClassSet
from explorer.imaging import normalise
from explorer.probes import (
    PROBES,
    DepthProbe,
    NormalsProbe,
    SegmentationProbe,
    class_token,
    load_probe,
    predict_together,
    probe_rows,
    save_probe,
)
from explorer.probes.published import read_layout
from explorer.upsamplers import UPSAMPLERS
from explorer.weights import checkpoint, checkpoints
from explorer.weights.state_dicts import read_state

CARD = {
    "recipe": {"steps": 1},
    "data": "three photos",
    "steps": 1,
    "seconds": 0.1,
    "seed": 0,
    "versions": {"torch": "2"},
    "scores": {"miou": 0.5},
    "licence": "research only",
}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Empty folders for checkpoints and downloads."""
    for name in ("EXPLORER_WEIGHTS_REPO", "EXPLORER_WEIGHTS_LOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def resampler(name="bilinear", channels=24, size=(33, 40), grid=(5, 6), dtype=torch.float32):
    torch.manual_seed(0)
    kind = UPSAMPLERS.get(name)
    upsampler = (
        kind(**(kind.options_for(channels) | dict(kind.small_options))).eval().requires_grad_(False)
    )
    image, features = torch.rand(1, 3, *size), torch.randn(1, channels, *grid)
    return upsampler.prepare(image, features.to(dtype), size)


def probe(kind, channels=24, outputs=7, **about):
    draw = torch.Generator().manual_seed(1)
    outputs = PROBES.get(kind).fixed_outputs or outputs
    weight = torch.randn(outputs, channels, generator=draw)
    bias = torch.randn(outputs, generator=draw)
    about |= PROBES.get(kind).arguments(
        {"classes": [f"class {i}" for i in range(outputs)]}, outputs
    )
    return PROBES.get(kind)(weight, bias, **about)


@pytest.mark.parametrize("name", UPSAMPLERS.names())
@pytest.mark.parametrize("kind", PROBES.names())
def test_a_prediction_is_that_of_the_1x1_convolution_on_the_full_map(name, kind):
    made, reader = resampler(name), probe(kind)
    with torch.no_grad():
        found = reader.predict(made)
        logits = F.conv2d(made.features(), reader.weight[:, :, None, None], reader.bias)[0]
    literal = reader.decode(logits)
    if kind == "segmentation":
        top = logits.topk(2, dim=0).values
        clear = top[0] - top[1] > 1e-4
        assert (
            torch.equal(found.values[clear], literal.values[clear]) and clear.float().mean() > 0.9
        )
        assert torch.allclose(found.confidence, literal.confidence, atol=1e-4)
    else:
        assert torch.allclose(found.values, literal.values, atol=1e-4)


@pytest.mark.parametrize("name", ["bilinear", "jbu", "featup", "anyup"])
def test_more_outputs_than_channels_are_computed_in_bands_and_exactly(name, monkeypatch):
    monkeypatch.setattr("explorer.probes.base.BAND_BYTES", 40 * 40 * 4 * 9)
    made = resampler(name)
    readers = [probe("depth", outputs=64), probe("segmentation"), probe("normals")]
    found = predict_together(readers, made)
    for reader, prediction in zip(readers, found, strict=True):
        logits = F.conv2d(made.features(), reader.weight[:, :, None, None], reader.bias)[0]
        literal = reader.decode(logits)
        same = (prediction.values == literal.values).float().mean() > 0.99
        assert same or torch.allclose(prediction.values, literal.values, atol=1e-4)
        assert prediction.values.shape[-2:] == (33, 40)


def test_a_single_pixel_reads_what_the_map_reads():
    made, reader = resampler("anyup"), probe("segmentation")
    logits = made.project(reader.weight, reader.bias)[0]
    assert torch.allclose(reader.at(made, 7, 11), logits[:, 7, 11], atol=1e-5)
    assert reader.probabilities(reader.at(made, 7, 11)).sum().item() == pytest.approx(1)
    with pytest.raises(SizeError):
        reader.at(made, 33, 0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("outputs", [7, 64])  # projected before upsampling, and after it
@pytest.mark.parametrize("kind", PROBES.names())
def test_features_of_any_float_type_are_read(kind, outputs, dtype):
    reader = probe(kind, outputs=outputs)
    reader.weight /= 5
    found, exact = (reader.predict(resampler(dtype=t)).values for t in (dtype, torch.float32))
    if kind == "segmentation":
        assert (found == exact).float().mean() > 0.98
    else:
        assert (found - exact).abs().max() < (0.1 if dtype == torch.bfloat16 else 0.01)
    assert reader.at(resampler(dtype=dtype), 3, 4).dtype == dtype


def test_depth_is_the_expectation_over_bins():
    reader = DepthProbe(torch.zeros(4, 2), torch.tensor([0.0, -5.0, 2.0, 0.0]), span=(1.0, 4.0))
    found = reader.decode(reader.bias[:, None, None]).values
    share = torch.tensor([0.1, 0.1, 2.1, 0.1])
    assert found.item() == pytest.approx(
        (share @ torch.tensor([1.0, 2, 3, 4]) / share.sum()).item()
    )


def test_normals_have_length_one():
    found = NormalsProbe(torch.randn(3, 5), torch.randn(3)).decode(torch.randn(3, 4, 4)).values
    assert torch.allclose(found.norm(dim=0), torch.ones(4, 4), atol=1e-6)


def test_wrong_channels_and_shapes_are_sentences():
    with pytest.raises(SizeError, match="reads 24 channels, these features have 12"):
        probe("segmentation").predict(resampler(channels=12))
    with pytest.raises(SizeError, match="class names do not fit"):
        SegmentationProbe(torch.zeros(3, 2), torch.zeros(3), ClassSet(("a", "b")))
    with pytest.raises(SizeError, match="weight"):
        NormalsProbe(torch.zeros(3, 2), torch.zeros(4))


@pytest.mark.parametrize("kind", PROBES.names())
def test_a_saved_probe_is_found_and_loaded_as_it_was(places, kind):
    made = probe(kind, backbone="efficientnet_lite0", stage="blocks.5", usual_confidence=0.6)
    path = places / "checkpoints" / f"probe_{kind}.safetensors"
    save_probe(made, path, CARD)
    rows = probe_rows(kind, "efficientnet_lite0", "blocks.5", 24)
    assert [row.name for row in rows] == [f"probe_{kind}"]
    assert probe_rows(kind, "efficientnet_lite0", "blocks.4") == []
    assert probe_rows(kind, "efficientnet_lite1") == []
    found = load_probe(rows[0])
    assert torch.equal(found.weight, made.weight) and torch.equal(found.bias, made.bias)
    assert (found.kind, found.origin, found.usual_confidence) == (kind, "trained here", 0.6)
    assert found.digest == json.loads(path.with_suffix(".json").read_text())["sha256"]
    if kind == "segmentation":
        assert found.classes.names == made.classes.names


def test_a_damaged_or_strange_probe_is_refused(places):
    path = places / "checkpoints" / "p.safetensors"
    save_probe(probe("normals", backbone="efficientnet_lite0"), path, CARD)
    save_file({"weight": torch.zeros(3, 24), "bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="sha256"):
        load_probe("p")
    save_file({"other": torch.zeros(3)}, places / "q.safetensors")
    with pytest.raises(WeightsError, match="lacks weight, bias and has other besides"):
        load_probe(places / "q.safetensors", kind="depth")
    with pytest.raises(WeightsError, match="say which kind"):
        load_probe(places / "q.safetensors")


# --- published layouts, on files made here with the published keys ---


def dinov2_head(channels=384, classes=21):
    """The module behind DINOv2's linear segmentation heads."""
    torch.manual_seed(0)
    head = nn.Module()
    head.bn, head.conv_seg = nn.BatchNorm2d(channels), nn.Conv2d(channels, classes, 1)
    for tensor in (head.bn.weight, head.bn.bias, head.bn.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(head.bn.running_var, 0.2, 3)
    return head.eval().requires_grad_(False)


def saved(path, content):
    torch.save(content, path)
    return path


def row_state(row, path):
    return read_state(path, row.transform)


def test_dinov2_segmentation_heads_fold_their_batchnorm(places):
    head = dinov2_head()
    row = checkpoint("dinov2_vits14_voc2012_linear")
    state = {f"decode_head.{k}": v for k, v in head.state_dict().items()}
    path = saved(places / row.file, {"meta": {"CLASSES": ("a", "b")}, "state_dict": state})
    arrays = read_layout(row.options["layout"], row_state(row, path), path.name)
    features = torch.randn(1, 384, 5, 6)
    wanted = head.conv_seg(head.bn(features))
    found = F.conv2d(features, arrays["weight"][:, :, None, None], arrays["bias"])
    assert torch.allclose(found, wanted, atol=1e-4)


def test_a_published_head_loads_through_its_row(places):
    head = dinov2_head()
    row = checkpoint("dinov2_vits14_voc2012_linear")
    state = {f"decode_head.{k}": v for k, v in head.state_dict().items()}
    path = saved(places / "checkpoints" / row.file, {"state_dict": state})
    found = load_probe(row, allow_network=False)
    assert found.kind == "segmentation" and found.outputs == 21 and found.channels == 384
    assert found.classes.names[15] == "person" and "unverified" in found.origin
    assert path.exists()


def test_jafars_probes_are_plain_convolutions(places):
    torch.manual_seed(0)
    conv = nn.Conv2d(384, 27, 1)
    row = replace(checkpoint("jafar_probe_coco"), sha256=None, size=None)
    content = {"epoch": 4, "model_state_dict": conv.state_dict(), "task": "seg", "backbone": "x"}
    saved(places / "checkpoints" / row.file, content)
    found = load_probe(row, allow_network=False)
    features = torch.randn(1, 384, 4, 4)
    wanted = conv(features)[0]
    assert torch.allclose(
        torch.einsum("kc,bchw->khw", found.weight, features) + found.bias[:, None, None],
        wanted,
        atol=1e-5,
    )
    assert found.classes.names[22] == "plant"


def test_dinov2_depth_heads_need_the_class_token(places):
    torch.manual_seed(0)
    conv = nn.Conv2d(768, 256, 1)
    row = checkpoint("dinov2_vits14_nyu_linear")
    state = {"decode_head.conv_depth.weight": conv.weight, "decode_head.conv_depth.bias": conv.bias}
    saved(places / "checkpoints" / row.file, {"state_dict": state})
    found = load_probe(row, allow_network=False)
    assert found.stage == "11"
    made = resampler(channels=384, size=(12, 14), grid=(3, 4))
    with pytest.raises(ExplorerError, match="class token"):
        found.predict(made)
    token = torch.randn(384)
    joined = torch.cat([made.features(), token[None, :, None, None].expand(1, 384, 12, 14)], dim=1)
    share = conv(joined)[0].relu() + 0.1
    wanted = torch.tensordot(torch.linspace(0.001, 10, 256), share / share.sum(0), dims=1)
    assert torch.allclose(found.with_class_token(token).predict(made).values, wanted, atol=1e-3)


def test_the_class_token_comes_from_before_the_final_norm():
    from explorer.backbones import load_backbone

    torch.manual_seed(0)
    backbone = load_backbone("vit_small_patch14_dinov2.lvd142m", "11", "cpu", pretrained=False)
    image = torch.rand(1, 3, 56, 42)
    found = class_token(backbone, image)
    model = backbone.model
    with torch.no_grad():
        tokens = model.patch_embed(normalise(image, backbone.mean, backbone.std))
        tokens = model.blocks(model.norm_pre(model.patch_drop(model._pos_embed(tokens))))
    assert torch.allclose(found, tokens[:, 0], atol=1e-4)
    patches = backbone.extract(image).data
    assert torch.allclose(patches.flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-4)
    plain = load_backbone("efficientnet_lite0", None, "cpu", pretrained=False)
    with pytest.raises(ExplorerError, match="has no class token"):
        class_token(plain, image)


@pytest.mark.parametrize(
    ("layout", "change", "message"),
    [
        ("dinov2_segmentation", {"bn.running_var": None}, "lacks bn.running_var"),
        ("dinov2_segmentation", {"extra": torch.zeros(1)}, "has extra besides"),
        ("dinov2_segmentation", {"bn.bias": torch.zeros(5)}, "does not have the 384 channels"),
        ("dinov2_segmentation", {"conv_seg.weight": torch.zeros(21, 384, 3, 3)}, "not a 1x1"),
        ("dinov2_segmentation", {"conv_seg.bias": torch.zeros(20)}, "20 biases do not fit 21"),
        ("dinov2_segmentation", {"conv_seg.weight": torch.zeros(21, 384)}, "4 dimensions"),
        ("nonsense", {}, "known are: probe, conv1x1"),
    ],
)
def test_another_structure_is_refused_by_name(layout, change, message):
    state = dict(dinov2_head().state_dict())
    for key, value in change.items():
        if value is None:
            del state[key]
        else:
            state[key] = value
    with pytest.raises(WeightsError, match=message):
        read_layout(layout, state, "head.pth")


def test_a_head_with_other_outputs_than_its_row_says_is_refused(places):
    row = replace(checkpoint("jafar_probe_voc"), sha256=None, size=None)
    conv = nn.Conv2d(384, 20, 1)
    saved(places / "checkpoints" / row.file, {"model_state_dict": conv.state_dict()})
    with pytest.raises(WeightsError, match="20 outputs on 384 channels; its row says 21"):
        load_probe(row, allow_network=False)


def test_every_published_head_has_a_reader_and_as_many_names_as_outputs():
    heads = [row for row in checkpoints() if row.method in PROBES]
    assert len(heads) == 10
    from explorer.probes.published import LAYOUTS

    for row in heads:
        assert row.options["layout"] in LAYOUTS
        if row.method == "segmentation":
            made = SegmentationProbe.arguments(row.options, row.options["outputs"])
            names = made["classes"].names
            assert len(names) == row.options["outputs"] and not names[0].startswith("class ")
