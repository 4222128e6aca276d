"""Vision transformers from timm that papers on dense features use."""

from __future__ import annotations

from explorer.backbones.timm_model import preset

preset(
    "vit_small_patch14_dinov2.lvd142m",
    "DINOv2 S/14",
    "Self-supervised ViT-S/14.",
    "2304.07193",
    order=30,
)
preset(
    "vit_base_patch14_dinov2.lvd142m",
    "DINOv2 B/14",
    "Self-supervised ViT-B/14.",
    "2304.07193",
    order=31,
)
preset(
    "vit_small_patch14_reg4_dinov2.lvd142m",
    "DINOv2 S/14 reg",
    "DINOv2 ViT-S/14 with four register tokens.",
    "2309.16588",
    order=32,
)
preset(
    "vit_base_patch14_reg4_dinov2.lvd142m",
    "DINOv2 B/14 reg",
    "DINOv2 ViT-B/14 with four register tokens.",
    "2309.16588",
    order=33,
)
preset(
    "vit_small_patch16_dinov3.lvd1689m", "DINOv3 S/16", "DINOv3 ViT-S/16.", "2508.10104", order=34
)
preset(
    "vit_base_patch16_dinov3.lvd1689m", "DINOv3 B/16", "DINOv3 ViT-B/16.", "2508.10104", order=35
)
preset("vit_base_patch16_224.dino", "DINO B/16", "DINO ViT-B/16.", "2104.14294", order=36)
preset(
    "vit_base_patch16_clip_224.openai", "CLIP B/16", "CLIP's image tower.", "2103.00020", order=37
)
preset(
    "vit_base_patch16_siglip_224.v2_webli",
    "SigLIP2 B/16",
    "SigLIP 2's image tower.",
    "2502.14786",
    order=38,
)
preset(
    "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "ViT-B/16",
    "Supervised ViT-B/16 (AugReg).",
    "2106.10270",
    order=39,
)
preset(
    "vit_base_patch16_224.mae", "MAE B/16", "Masked autoencoder ViT-B/16.", "2111.06377", order=40
)
