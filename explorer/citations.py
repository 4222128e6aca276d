"""BibTeX of the upsamplers and backbones that a figure shows.

An upsampler's entry is declared on its class; here are those of backbones and of methods that are
known and not built.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from explorer.core import ExplorerError, Panel
from explorer.core.bibtex import arxiv, entry, key_of
from explorer.upsamplers import UPSAMPLERS

_OTHERS = {
    key_of(text): text
    for text in (
        arxiv(
            "huang2025loftup",
            "LoftUp: Learning a Coordinate-Based Feature Upsampler for Vision Foundation Models",
            "Huang, Haiwen and Chen, Anpei and Havrylov, Volodymyr and Geiger, Andreas and "
            "Zhang, Dan",
            2025,
            "2504.14032",
        ),
        arxiv(
            "seo2025upsample",
            "Upsample Anything: A Simple and Hard to Beat Baseline for Feature Upsampling",
            "Seo, Minseok and Hamilton, Mark and Kim, Changick",
            2025,
            "2511.16301",
        ),
        arxiv(
            "caron2021dino",
            "Emerging Properties in Self-Supervised Vision Transformers",
            r"Caron, Mathilde and Touvron, Hugo and Misra, Ishan and J{\'e}gou, Herv{\'e} and "
            "Mairal, Julien and Bojanowski, Piotr and Joulin, Armand",
            2021,
            "2104.14294",
            "IEEE/CVF International Conference on Computer Vision (ICCV)",
        ),
        arxiv(
            "oquab2023dinov2",
            "DINOv2: Learning Robust Visual Features without Supervision",
            r"Oquab, Maxime and Darcet, Timoth{\'e}e and Moutakanni, Th{\'e}o and Vo, Huy and "
            r"Szafraniec, Marc and Khalidov, Vasil and Fernandez, Pierre and Haziza, Daniel and "
            r"Massa, Francisco and El-Nouby, Alaaeldin and others",
            2023,
            "2304.07193",
        ),
        arxiv(
            "darcet2023registers",
            "Vision Transformers Need Registers",
            r"Darcet, Timoth{\'e}e and Oquab, Maxime and Mairal, Julien and Bojanowski, Piotr",
            2023,
            "2309.16588",
        ),
        arxiv(
            "simeoni2025dinov3",
            "DINOv3",
            r"Sim{\'e}oni, Oriane and Vo, Huy V. and Seitzer, Maximilian and Baldassarre, Federico "
            r"and Oquab, Maxime and Jose, Cijo and Khalidov, Vasil and Szafraniec, Marc and "
            r"Yi, Seungeun and Ramamonjisoa, Micha{\"e}l and others",
            2025,
            "2508.10104",
        ),
        arxiv(
            "radford2021clip",
            "Learning Transferable Visual Models From Natural Language Supervision",
            "Radford, Alec and Kim, Jong Wook and Hallacy, Chris and Ramesh, Aditya and "
            "Goh, Gabriel and Agarwal, Sandhini and Sastry, Girish and Askell, Amanda and "
            "Mishkin, Pamela and Clark, Jack and Krueger, Gretchen and Sutskever, Ilya",
            2021,
            "2103.00020",
            "International Conference on Machine Learning (ICML)",
        ),
        arxiv(
            "zhai2023siglip",
            "Sigmoid Loss for Language Image Pre-Training",
            "Zhai, Xiaohua and Mustafa, Basil and Kolesnikov, Alexander and Beyer, Lucas",
            2023,
            "2303.15343",
        ),
        arxiv(
            "tschannen2025siglip2",
            "SigLIP 2: Multilingual Vision-Language Encoders with Improved Semantic Understanding, "
            "Localization, and Dense Features",
            "Tschannen, Michael and Gritsenko, Alexey and Wang, Xiao and Naeem, Muhammad Ferjad "
            "and Alabdulmohsin, Ibrahim and Parthasarathy, Nikhil and Evans, Talfan and "
            r"Beyer, Lucas and Xia, Ye and Mustafa, Basil and H{\'e}naff, Olivier and "
            "Harmsen, Jeremiah and Steiner, Andreas and Zhai, Xiaohua",
            2025,
            "2502.14786",
        ),
        arxiv(
            "tan2019efficientnet",
            "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
            "Tan, Mingxing and Le, Quoc V.",
            2019,
            "1905.11946",
            "International Conference on Machine Learning (ICML)",
        ),
        entry(
            "misc",
            "liu2020efficientnetlite",
            {
                "title": "{Higher accuracy on vision models with EfficientNet-Lite}",
                "author": "Liu, Renjie",
                "howpublished": "TensorFlow Blog",
                "year": "2020",
                "url": "https://blog.tensorflow.org/2020/03/"
                "higher-accuracy-on-vision-models-with-efficientnet-lite.html",
            },
        ),
    )
}

# What a name (lower case, separators as single spaces) must contain, and what it then cites.
_RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\bloftup\b", ("huang2025loftup",)),
    (r"\bupsample anything\b", ("seo2025upsample",)),
    (r"\bdino\b(?! v\d)", ("caron2021dino",)),
    (r"\bdinov2\b|\bdino v2\b", ("oquab2023dinov2",)),
    (r"\breg4 dinov2\b|\bdinov2 reg4?\b", ("darcet2023registers",)),
    (r"\bdinov3\b|\bdino v3\b", ("simeoni2025dinov3",)),
    (r"\bclip\b", ("radford2021clip",)),
    (r"\bsiglip\b(?!.*\bv2\b)(?! 2\b)", ("zhai2023siglip",)),
    (r"\bsiglip2\b|\bsiglip\b.*\bv2\b|\bsiglip 2\b", ("tschannen2025siglip2",)),
    (r"\befficientnet\b", ("tan2019efficientnet",)),
    (r"\befficientnet lite", ("liu2020efficientnetlite",)),
)

# Only these entries of a panel's recipe name methods; file names must not cite anything.
_RECIPE_KEYS = ("backbone", "backbones", "upsampler", "upsamplers", "method", "methods")
_FILE = re.compile(r"\.(jpe?g|png|webp|tiff?|bmp|gif|avif|heic)$", re.IGNORECASE)
_DEPTH = 4  # of nested recipes


def keys_for(name: str) -> list[str]:
    """Return the BibTeX keys that one upsampler's or backbone's name cites; often one, or none.

    Takes registry names, timm names and labels ("FeatUp (trained here)"). Interpolation cites
    nothing.
    """
    plain = _plain(name)
    found = [key for key, text in _method_rules() if re.search(text, plain)]
    found += [key for pattern, keys in _RULES if re.search(pattern, plain) for key in keys]
    return list(dict.fromkeys(found))


def sources() -> dict[str, str]:
    """Return every BibTeX entry by its key: the registered upsamplers' first, in menu order."""
    texts = [UPSAMPLERS.get(name).citation for name in UPSAMPLERS]
    methods = {key_of(text): text for text in texts if text}
    return methods | {key: text for key, text in _OTHERS.items() if key not in methods}


def _method_rules() -> Iterable[tuple[str, str]]:
    """Yield (key, pattern) of the upsamplers that have a citation: their name or title."""
    for name in UPSAMPLERS:
        kind = UPSAMPLERS.get(name)
        if kind.citation:
            yield key_of(kind.citation), rf"\b(?:{_plain(name)}|{_plain(kind.title)})\b"


def _plain(name: str) -> str:
    """Return a name in lower case, separators as single spaces."""
    return re.sub(r"[^a-z0-9]+", " ", str(name).lower()).strip()


def _in_recipe(recipe: Mapping[str, Any], depth: int = _DEPTH) -> Iterable[str]:
    for key, value in recipe.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, Mapping):
                if key in _RECIPE_KEYS and isinstance(item.get("name"), str):
                    yield item["name"]
                if depth:
                    yield from _in_recipe(item, depth - 1)
            elif key in _RECIPE_KEYS and isinstance(item, str):
                yield item


def _named(panel: Panel) -> Iterable[str]:
    if panel.backbone or panel.method:
        yield from (panel.backbone, f"{panel.method} {panel.against}")
    else:  # made by hand, with the labels alone to go by
        yield from (name for name in (panel.row, panel.column) if not _FILE.search(name.strip()))
    yield from _in_recipe(panel.recipe)


def citation_keys(panels: Iterable[Panel]) -> list[str]:
    """Return the BibTeX keys of everything that panels show, each once, in order of appearance."""
    return list(dict.fromkeys(k for panel in panels for n in _named(panel) for k in keys_for(n)))


def bibtex(keys: Iterable[str]) -> str:
    """Return the BibTeX entries for keys; raises ExplorerError for an unknown key."""
    entries, known = {}, sources()
    for key in keys:
        if key not in known:
            raise ExplorerError(f"there is no citation {key!r}; choose from: {', '.join(known)}")
        entries[key] = known[key]
    return "".join(f"{entry}\n\n" for entry in entries.values())


def cite(*names: str) -> str:
    """Return the BibTeX entries for upsamplers or backbones by name, each once."""
    return bibtex(dict.fromkeys(key for name in names for key in keys_for(name)))
