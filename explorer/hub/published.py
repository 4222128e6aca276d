"""The published checkpoints, as their authors' loaders and read-me files describe them.

None of these files could be downloaded where this list was written: no row has a digest, a size or
a revision until ``weights lock`` has measured it. URLs of the DINOv2 heads follow dinov2's
``hub/depthers.py`` and read-me (whose "1 layer" links for ViT-B and larger point at classification
heads by mistake).
"""

from __future__ import annotations

from explorer.hub.rows import Checkpoint

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


CHECKPOINTS: tuple[Checkpoint, ...] = (
    *_anyup(),
    *_jafar(),
    *_featup(),
    *_loftup(),
    *_naf(),
    *_dinov2_heads(),
    *_jafar_probes(),
)
