"""The published checkpoints, as their authors' loaders and read-me files describe them.

None of these files could be downloaded where this list was written. Eight rows have a digest and a
size nevertheless (`DIGESTS`): the same bytes lie in public repositories, the authors' own among
them, or unrelated projects quote the digest. The other rows have none, and no row has a Hub
revision, until ``weights lock`` has measured them. URLs of the DINOv2 heads follow dinov2's
``hub/depthers.py`` and read-me (whose "1 layer" links for ViT-B and larger point at classification
heads by mistake).
"""

from __future__ import annotations

from dataclasses import replace

from explorer.hub.rows import Checkpoint

# Of each file its sha256 and size in bytes; where the digest is known from.
DIGESTS = {
    # quoted by five unrelated public files, three of them with the release's address
    "anyup_multi_backbone": (
        "b6cc407da8986c7e5c9098e61f7531767a9aca8fff20a1bc6c99d488e61aac59",
        3_541_624,
    ),
    # quoted by four public files, one of them with the size of the release's file
    "anyup_paper": (
        "9d035c0f27114a6f32bdd3d8ed93b6cd39dad4b8f8bf94e69fddbfbf022901b2",
        3_540_612,
    ),
    # the file that the authors' repository held before it moved to their release
    "jafar_vit_small_patch14_dinov2.lvd142m": (
        "139e683d1aaadf9ad5a15e33e0908df1ae3e1bf338f21468b8430526723cb7e3",
        2_530_569,
    ),
    # quoted by ten public files
    "naf_release": (
        "c096c1ab2217a5c3ac136365f721685e2201379cb69d509cfb0261183847c98f",
        2_664_431,
    ),
    # files of the authors' repository at commit 94d4d54
    "jafar_probe_ade20k": (
        "1e154528970b235dd95a3785456b2d7908cabd34d1edd07b726c1da5ea0a1956",
        701_416,
    ),
    "jafar_probe_cityscapes": (
        "87777a5944a84a851b6cc260f9a8a59773a8225d17ce9c16f96f6475d5432b2e",
        91_624,
    ),
    "jafar_probe_coco": (
        "59c3bb9b576e51459bee047276a6ee6f25f8578e7f1971de4963646a5f14f439",
        128_488,
    ),
    "jafar_probe_voc": (
        "18fbad1d52426c0bae0abc69665fb28b7787433ba4651a973ab1b431c7c94451",
        100_840,
    ),
}

DINOV2_S = "vit_small_patch14_dinov2.lvd142m"
DINOV2_B = "vit_base_patch14_dinov2.lvd142m"
DINOV2_S_REG = "vit_small_patch14_reg4_dinov2.lvd142m"
DINOV2_B_REG = "vit_base_patch14_reg4_dinov2.lvd142m"


def _anyup() -> list[Checkpoint]:
    release = "https://github.com/wimmerth/anyup/releases/download"
    shared = {"method": "anyup", "licence": "CC-BY-4.0", "paper": "2510.12764"}
    shared["options"] = {"feature_layer": "released"}
    return [
        Checkpoint(
            "anyup_multi_backbone",
            url=f"{release}/checkpoint_v2/anyup_multi_backbone.pth",
            file="anyup_multi_backbone.pth",
            trained_on=(DINOV2_S, DINOV2_S_REG),
            notes="Trained on DINOv2-S with and without registers, CLIP-B, SigLIP-B and ViT-B.",
            **shared,
        ),
        Checkpoint(
            "anyup_paper",
            url=f"{release}/checkpoint/anyup_paper.pth",
            file="anyup_paper.pth",
            trained_on=(DINOV2_S,),
            notes="The paper's checkpoint, trained on DINOv2 ViT-S/14.",
            **shared,
        ),
    ]


def _jafar() -> list[Checkpoint]:
    release = "https://github.com/PaulCouairon/JAFAR/releases/download/Weights"
    swapped = "JAFAR's read-me swaps the links of ViT-B/16 and DINO; the file name decides here."
    made_for = (
        # (file stem = the authors' timm name, channels, other names of that backbone, note)
        ("vit_small_patch14_dinov2.lvd142m", 384, (), ""),
        ("vit_base_patch14_dinov2.lvd142m", 768, (), ""),
        ("vit_small_patch14_reg4_dinov2", 384, (DINOV2_S_REG,), ""),
        ("vit_base_patch16_224", 768, ("vit_base_patch16_224.augreg2_in21k_ft_in1k",), swapped),
        ("vit_base_patch16_224.dino", 768, (), swapped),
        (
            "vit_base_patch16_clip_384",
            768,
            ("vit_base_patch16_clip_384.laion2b_ft_in12k_in1k",),
            "",
        ),
        ("vit_base_patch16_siglip_512.v2_webli", 768, (), ""),
    )
    return [
        Checkpoint(
            f"jafar_{stem}",
            method="jafar",
            backbone=stem,
            aliases=aliases,
            channels=channels,
            url=f"{release}/{stem}.pth",
            file=f"{stem}.pth",
            licence="Apache-2.0",
            paper="2506.11136",
            options={"v_dim": channels},
            statistics="backbone",
            transform="jafar",
            trained_on=(stem, *aliases),
            notes=note,
        )
        for stem, channels, aliases, note in made_for
    ]


def _featup() -> list[Checkpoint]:
    store = "https://marhamilresearch4.blob.core.windows.net/feature-upsampling-public/pretrained"
    projected = (
        "Made for CLIP features after the projection (512 channels), which no timm model returns."
    )
    clips = {
        "clip": ("openai/clip_vit_b16_projected", (), 512, projected),
        "maskclip": ("openai/maskclip_vit_b16", (), 512, projected),
    }
    made_for = {
        "dino16": ("vit_small_patch16_224.dino", (), 384, ""),
        "dinov2": (DINOV2_S, (), 384, ""),
        "vit": ("vit_small_patch16_224.augreg_in21k_ft_in1k", ("vit_small_patch16_224",), 384, ""),
        "resnet50": (
            "resnet50.tv_in1k",
            (),
            2048,
            "Made for torchvision's first ResNet-50 weights, last stage (stride 32).",
        ),
        **clips,
    }
    rows = []
    for norm, folder, names in (
        (False, "/no_norm", ("dino16", "dinov2", "vit", "resnet50", "clip", "maskclip")),
        (True, "", ("dino16", "dinov2", "vit", "resnet50", "clip")),
    ):
        for name in names:
            backbone, aliases, channels, note = made_for[name]
            variant = "With the channel LayerNorm: its output lives in that normalised space."
            rows.append(
                Checkpoint(
                    f"featup_{name}{'_norm' if norm else ''}",
                    method="featup",
                    backbone=backbone,
                    aliases=aliases,
                    channels=channels,
                    url=f"{store}{folder}/{name}_jbu_stack_cocostuff.ckpt",
                    file=f"{name}_jbu_stack_cocostuff.ckpt",
                    licence="MIT",
                    paper="2403.10516",
                    options={"feat_dim": channels, "norm": norm},
                    transform="featup",
                    trained_on=(backbone,),
                    notes=" ".join(filter(None, (variant if norm else "", note))),
                )
            )
    return rows


def _loftup() -> list[Checkpoint]:
    made_for = {
        "dinov2s": (DINOV2_S, 384, ""),
        "dinov2s_reg": (DINOV2_S_REG, 384, ""),
        "dinov2b": (DINOV2_B, 768, ""),
        "dinov2b_reg": (DINOV2_B_REG, 768, ""),
        "clip": ("openai/clip_vit_b16_projected", 512, "CLIP features after the projection."),
        "siglip": ("vit_base_patch16_siglip_224.webli", 768, ""),
        "siglip2": ("vit_base_patch16_siglip_224.v2_webli", 768, ""),
    }
    return [
        Checkpoint(
            f"loftup_{name}",
            method="loftup",
            backbone=backbone,
            channels=channels,
            repo=f"haiwen/loftup-{name}",
            file="pytorch_model.bin",
            licence="MIT",
            paper="2504.14032",
            options={"dim": channels},
            transform="loftup",
            trained_on=(backbone,),
            notes=note,
        )
        for name, (backbone, channels, note) in made_for.items()
    ]


def _naf() -> list[Checkpoint]:
    return [
        Checkpoint(
            "naf_release",
            method="naf",
            url="https://github.com/valeoai/NAF/releases/download/model/naf_release.pth",
            file="naf_release.pth",
            licence="Apache-2.0",
            paper="2511.18452",
        )
    ]


def _dinov2_heads() -> list[Checkpoint]:
    tasks = (
        # (file part, method, dataset, classes or bins, note)
        ("ade20k_linear", "segmentation", "ade20k", 150, "BatchNorm before the 1x1 convolution."),
        ("voc2012_linear", "segmentation", "voc2012", 21, "BatchNorm before the 1x1 convolution."),
        (
            "nyu_linear",
            "depth",
            "nyuv2",
            256,
            "Reads [patch token, class token] before the final norm; 256 bins in 0.001-10 m.",
        ),
    )
    rows = []
    for size, backbone, channels in (("s", DINOV2_S, 384), ("b", DINOV2_B, 768)):
        model = f"dinov2_vit{size}14"
        for part, method, dataset, outputs, note in tasks:
            rows.append(
                Checkpoint(
                    f"{model}_{part}",
                    method=method,
                    backbone=backbone,
                    channels=channels,
                    url=f"https://dl.fbaipublicfiles.com/dinov2/{model}/{model}_{part}_head.pth",
                    file=f"{model}_{part}_head.pth",
                    licence="Apache-2.0",
                    paper="2304.07193",
                    options={"dataset": dataset, "outputs": outputs, "layout": f"dinov2_{method}"},
                    statistics="backbone",
                    transform="head",
                    trained_on=(backbone,),
                    notes=note,
                )
            )
    return rows


def _jafar_probes() -> list[Checkpoint]:
    folder = "https://github.com/PaulCouairon/JAFAR/raw/94d4d54/evaluation/unsupervised"
    scored = {
        "ade20k": (151, "pixel accuracy .7443, mIoU .4029"),
        "cityscapes": (19, "pixel accuracy .9335, mIoU .6127"),
        "coco": (27, "no log published"),
        "voc": (21, "pixel accuracy .9625, mIoU .8445"),
    }
    return [
        Checkpoint(
            f"jafar_probe_{dataset}",
            method="segmentation",
            backbone=DINOV2_S,
            channels=384,
            url=f"{folder}/{dataset}/{DINOV2_S}/checkpoints/seg/jafar.pth",
            file=f"jafar_probe_{dataset}.pth",
            licence="Apache-2.0",
            paper="2506.11136",
            options={"dataset": dataset, "outputs": classes, "layout": "conv1x1"},
            statistics="backbone",
            transform="head",
            trained_on=(DINOV2_S,),
            notes=f"Trained on JAFAR's upsampled features at 448; authors' log: {score}.",
        )
        for dataset, (classes, score) in scored.items()
    ]


def _with_digest(row: Checkpoint) -> Checkpoint:
    """Return the row with what `DIGESTS` says of its file, if anything."""
    sha256, size = DIGESTS.get(row.name, (None, None))
    return replace(row, sha256=sha256, size=size)


CHECKPOINTS: tuple[Checkpoint, ...] = tuple(
    _with_digest(row)
    for row in (
        *_anyup(),
        *_jafar(),
        *_featup(),
        *_loftup(),
        *_naf(),
        *_dinov2_heads(),
        *_jafar_probes(),
    )
)
