"""Backbones: the packaged weights are the published ones, any timm model works offline with random
weights."""

import functools
from pathlib import Path

import pytest
import timm
import torch
from torch.nn import functional as F

from explorer.backbones import BACKBONES, is_embedded, load_backbone, statistics
from explorer.backbones.cnn import STAGES, match_by_order, packaged_weights
from explorer.backbones.timm_model import is_timm_name
from explorer.core import ExplorerError, SizeError, UnknownNameError, WeightsError
from explorer.imaging import normalise, open_photo
from explorer.session import Options, Session
from explorer.views import VIEWS

ROOT = Path(__file__).parents[2]

PRESETS = [name for name in BACKBONES if not is_embedded(name) and is_timm_name(name)]
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
    assert torch.allclose(four.extract(image, align=False).data, x, atol=1e-5)
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


@pytest.mark.parametrize("name", PRESETS)
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


def seen_from(backbone, cell, size):
    """How much each part of the image, (rows, cols) of cells, says of one cell's features."""
    torch.manual_seed(0)
    image = torch.rand(1, 3, *size, requires_grad=True)
    features = backbone.encode(image)[0][(slice(None), *cell)]
    (slope,) = torch.autograd.grad((features * torch.randn_like(features)).sum(), image)
    return F.avg_pool2d(slope[0].square().sum(0)[None], backbone.stride)[0]


FAMILIES = {  # small ones of each way in which timm arranges its maps, and a rectangle they take
    "test_byobnet": (2, 4),
    "test_convnext": (2, 4),
    "test_efficientnet": (2, 4),
    "test_mambaout": (2, 4),  # (B, H, W, C) within
    "test_nfnet": (2, 4),
    "test_vit": (4, 7),  # tokens
    "test_vit2": (4, 7),
    "test_vit4": (4, 7),
    "swin_tiny_patch4_window7_224": (2, 4),  # (B, H, W, C)
    "efficientvit_b0": (2, 4),
    "fasternet_t0": (2, 4),
    "edgenext_xx_small": (2, 4),
    "pvt_v2_b0": (2, 4),
    "regnetx_002": (2, 4),
    "hieradet_small": (2, 4),  # windows of tokens
    "deit_tiny_distilled_patch16_224": (4, 7),  # two tokens beside the patches
}


@pytest.mark.slow
@pytest.mark.parametrize("name, grid", FAMILIES.items())
def test_cells_look_at_their_own_place_in_the_image(name, grid):
    torch.manual_seed(0)
    backbone = load_backbone(name, device="cpu", pretrained=False)
    size = tuple(n * backbone.stride for n in grid)
    made = backbone.extract(torch.rand(1, 3, *size)).data
    assert made.shape == (1, backbone.dim, *grid) and made.isfinite().all()
    top, left = grid[0] // 2, grid[1] // 2
    for cell in ((0, grid[1] - 1), (grid[0] - 1, 0)):  # a transposed map would mix these up
        share = seen_from(backbone, cell, size)
        parts = {
            (0, grid[1] - 1): share[:top, left:].mean(),
            (grid[0] - 1, 0): share[top:, :left].mean(),
        }
        here = parts.pop(cell)
        assert here > 1.2 * max(parts.values()), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hiera_tiny_224", "hieradet_small", "sam2_hiera_tiny"])
def test_hiera_is_read_at_its_last_block_and_says_so(name):
    """Its only norm comes after pooling; timm refuses to norm single cells with an assertion."""
    backbone = load_backbone(name, device="cpu", pretrained=False)
    image = torch.rand(1, 3, 224, 224)
    features = backbone.extract(image).data
    assert features.shape == (1, backbone.dim, 7, 7)
    assert backbone.remark == "last block, no final norm"
    (last,) = backbone.model.forward_intermediates(
        normalise(image, backbone.mean, backbone.std),
        indices=[backbone.index],
        intermediates_only=True,
    )
    assert torch.equal(features, last)
    staged = load_backbone(name, "1", "cpu", pretrained=False)
    assert staged.extract(image).data.shape[-2:] == (28, 28) and staged.remark == ""


@pytest.mark.slow
@pytest.mark.parametrize("stage, width", [(None, 256), ("3", 768)])
def test_a_norm_that_changes_the_width_is_counted(stage, width):
    """SAM's norm is its neck: 256 channels of 768."""
    backbone = load_backbone("samvit_base_patch16", stage, "cpu", pretrained=False)
    features = backbone.extract(torch.rand(1, 3, 64, 96)).data
    assert features.shape == (1, width, 4, 6) and backbone.dim == width and backbone.remark == ""


@pytest.mark.slow
def test_labels_say_that_there_was_no_norm(monkeypatch):
    untrained = functools.partial(load_backbone, pretrained=False)
    monkeypatch.setattr("explorer.session.load_backbone", untrained)
    photo = open_photo(ROOT / "assets" / "examples" / "cat.jpg")
    backbones = ("hieradet_small", "hieradet_small:1", "test_vit", "efficientnet_lite0")
    options = Options(photo, backbones, ("bilinear",), 64, 64)
    rows = {panel.row for panel in VIEWS.create("pca").stream(Session("cpu"), options)}
    said = "hieradet_small (last block, no final norm)"
    assert {said, "hieradet_small 1", "test_vit", "EfficientNet-Lite0"} <= rows


REFUSED = [  # architecture, size, error, sentence
    ("hiera_tiny_224", (192, 224), SizeError, "cannot take a 192x224 image; .* made for 224x224$"),
    ("halonet_h1", (160, 224), SizeError, "cannot take a 160x224 image; .* 256x256$"),
    ("test_coatnet", (160, 224), SizeError, "cannot take a 160x224 image; .* 160x160$"),
    ("cait_xxs24_224", (160, 224), SizeError, r"match model \(224\)\); it was made for 224x224$"),
    ("efficientformerv2_s0", (160, 224), SizeError, "made for 224x224$"),
    ("levit_128s", (192, 256), SizeError, "224x224, of which its stride 64 makes no whole cells$"),
    ("inception_v4", (160, 224), ExplorerError, "a map of 1536x3x5 .* not .* on 5x7 cells"),
    ("crossvit_tiny_240", (170, 238), ExplorerError, "a map of 192x14x14 .* not .* 10x14 cells"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name, size, error, sentence", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_read_is_refused_truly(name, size, error, sentence):
    backbone = load_backbone(name, device="cpu", pretrained=False)
    with pytest.raises(ExplorerError, match=sentence) as caught:
        backbone.extract(torch.rand(1, 3, *size))
    assert type(caught.value) is error


CAUSES = [AssertionError("not here"), NotImplementedError("no"), RuntimeError("no"), IndexError()]


@pytest.mark.parametrize("cause", CAUSES, ids=lambda error: type(error).__name__)
def test_only_what_works_at_the_models_own_size_is_a_matter_of_sizes(cause, monkeypatch):
    backbone = load_backbone("test_vit", device="cpu", pretrained=False)
    own, read = (160, 160), backbone.model.forward_intermediates

    def other_sizes_fail(image, **options):
        if tuple(image.shape[-2:]) != own:
            raise cause
        return read(image, **options)

    def all_fail(*_, **__):
        raise cause

    monkeypatch.setattr(backbone.model, "forward_intermediates", other_sizes_fail)
    with pytest.raises(SizeError, match="cannot take a 160x224 image.* made for 160x160"):
        backbone.extract(torch.rand(1, 3, 160, 224))
    assert backbone.extract(torch.rand(1, 3, *own)).grid == (10, 10)
    monkeypatch.setattr(backbone.model, "forward_intermediates", all_fail)
    for size in (own, (160, 224)):
        with pytest.raises(ExplorerError, match=f"{type(cause).__name__}.*another") as caught:
            backbone.extract(torch.rand(1, 3, *size))
        assert not isinstance(caught.value, SizeError)


@pytest.mark.parametrize("cause", [MemoryError(), torch.OutOfMemoryError("out of memory")])
def test_too_little_memory_stays_what_it_is(cause, monkeypatch):
    backbone = load_backbone("test_vit", device="cpu", pretrained=False)

    def full(*_, **__):
        raise cause

    monkeypatch.setattr(backbone.model, "forward_intermediates", full)
    with pytest.raises(type(cause)):
        backbone.extract(torch.rand(1, 3, 160, 224))
    monkeypatch.undo()
    assert backbone.extract(torch.rand(1, 3, 160, 160)).grid == (10, 10)


def test_a_name_that_timm_has_but_cannot_build():
    with pytest.raises(WeightsError, match="timm cannot build vit_base_patch16_224_sam: .*tag"):
        load_backbone("vit_base_patch16_224_sam", pretrained=False)


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
