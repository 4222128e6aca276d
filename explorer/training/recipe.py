"""What a run is made of, as plain numbers that go into the log, the checkpoint and the card."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from explorer.core import ExplorerError, UnknownNameError, unknown_name
from explorer.core.messages import quoted, suggestion
from explorer.core.validation import Described, Real, Whole, checked, distinct
from explorer.upsamplers import UPSAMPLERS

ALIGN = False  # training sees the networks' own reading, as the shipped weights did


@dataclass(frozen=True)
class Recipe:
    """Everything that changes a training run.

    ``terms`` maps a loss term (see ``explorer.training.terms``) to its weight; ``every`` lets all
    terms but the first run only each n-th step. ``guidance`` are the sides, in pixels, the guidance
    image is drawn from, repeated to weigh them. ``fine_size`` is the output and guidance side of
    the terms grid_, image_, segment_, cluster_, label_, constant_ and noise_consistency. They see
    the first ``fine_photos`` of a process's batch: all cells, or with ``fine_density`` as many as
    fit ``fine_size`` at a number of pixels per cell drawn from it (at use it is the stride), cut to
    a share of one side drawn from ``fine_aspect``, as photos are not square and positions count in
    sides. ``init`` is the sha256 of the weights the run started from. ``labelled`` are the folders
    of label maps, as "dataset/maps", whose training photos label_consistency learns from, also
    ``fine_photos`` at a time.

    ``basis_scale`` multiplies the first values and the learning rate of AnyUp's filters:
    unit-length features give responses of about 0.001, so at the usual scale the softmax over the
    filters is flat and the keys hardly know the features until the filters have grown a
    hundredfold, which takes longer than a small budget lasts. ``rope_scale`` multiplies the first
    position frequencies, of which the highest turns once across the whole image.
    """

    method: str
    backbones: tuple[str, ...]  # "name" or "name:stage"
    terms: tuple[tuple[str, float], ...]
    options: tuple[tuple[str, Any], ...] = ()
    steps: int = 2000
    batch: int = 4
    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-5
    optimiser: str = "adamw"
    warmup: int = 0
    decay: bool = False
    image: int = 448
    guidance: tuple[int, ...] = (224,)
    shrink: tuple[float, float] = (0.25, 0.5)
    crop: tuple[float, float] = (0.75, 1.0)
    variants: int = 4
    crops: int = 4
    jitters: int = 5
    every: int = 1
    consistency_size: int = 224
    fine_size: int = 112
    fine_photos: int = 2
    fine_density: tuple[int, ...] = ()
    fine_aspect: tuple[float, float] = (1.0, 1.0)
    seed: int = 0
    clip: float = 1.0
    basis_scale: float = 1.0
    rope_scale: float = 1.0
    init: str | None = None
    labelled: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable copy."""
        return asdict(self) | {"terms": dict(self.terms), "options": dict(self.options)}


PUBLISHED = {
    "jafar": Recipe(
        method="jafar",
        backbones=(),
        terms=(("views", 1.0), ("consistency", 0.1)),
        steps=100_000,
    ),
    "anyup": Recipe(
        method="anyup",
        backbones=(),
        terms=(("crops", 1.0), ("self_consistency", 0.1), ("input_consistency", 0.1)),
        options=(("feature_layer", "paper"),),
        steps=100_000,
    ),
    "featup": Recipe(
        method="featup",
        backbones=(),
        terms=(("multiview", 1.0), ("crf", 0.001)),
        options=(("norm", True),),
        image=224,
        steps=2_000,
        lr=1e-3,
        optimiser="nadam",
        crop=(1.0, 1.0),
    ),
}

SMALL = {
    "lr": 5e-4,
    "warmup": 100,
    "decay": True,
    "every": 6,
    "consistency_size": 56,
    "guidance": (56, 56, 56, 112),
}
BUDGETS = {
    "published": {name: {} for name in PUBLISHED},
    "small": {
        "jafar": SMALL
        | {
            "variants": 3,
            "every": 2,
            "terms": (
                ("views", 1.0),
                ("consistency", 0.1),
                ("grid_consistency", 0.5),
                ("segment_consistency", 0.2),
            ),
        },
        "anyup": SMALL
        | {
            "options": (("feature_layer", "paper"), ("window_cells", 2.0)),
            "variants": 1,
            "crops": 2,
            "basis_scale": 300.0,
            "every": 3,
            "terms": (
                ("views", 1.0),
                ("crops", 1.0),
                ("self_consistency", 0.1),
                ("input_consistency", 0.1),
                ("grid_consistency", 0.5),
                ("image_consistency", 1.0),
                ("segment_consistency", 0.1),
            ),
        },
        "featup": {
            "options": (),
            "warmup": 50,
            "decay": True,
            "jitters": 1,
            "variants": 3,
            "terms": (("multiview", 1.0), ("views", 1.0)),
        },
    },
}


MOST_BACKBONES = 24
_COUNT = Annotated[Whole, Ge(1), Le(10**9)]
_SIDE = Annotated[Whole, Ge(1), Le(4096)]  # pixels
_FACTOR = Annotated[Real, Gt(0), Le(10**6)]
_WEIGHT = Annotated[Real, Ge(0), Le(10**6)]
NUMBERS = {  # what a setting of a recipe must be
    "steps": _COUNT,
    "batch": Annotated[Whole, Ge(1), Le(4096)],
    "lr": Annotated[Real, Gt(0), Le(10)],
    "weight_decay": _WEIGHT,
    "warmup": Annotated[Whole, Ge(0), Le(10**9)],
    "image": _SIDE,
    "guidance": Annotated[
        tuple[_SIDE, ...], MinLen(1), MaxLen(64), Described("1 to 64 sides of 1 to 4096 pixels")
    ],
    "every": _COUNT,
    "consistency_size": _SIDE,
    "fine_size": _SIDE,
    "fine_photos": _COUNT,
    "fine_density": Annotated[
        tuple[Annotated[Whole, Ge(0), Le(4096)], ...],
        MaxLen(64),
        Described("up to 64 whole numbers of pixels per cell"),
    ],
    "seed": Annotated[Whole, Ge(0), Le(2**32 - 1)],  # numpy takes no other
    "clip": _WEIGHT,  # 0: gradients are not clipped
    "basis_scale": _FACTOR,
    "rope_scale": _FACTOR,
}


def recipe(
    method: str, budget: str, options: Mapping[str, Any] | None = None, **changes: Any
) -> Recipe:
    """Return a method's recipe for a budget with single settings changed.

    ``options`` are the method's, set beside the budget's.

    Raises:
        UnknownNameError: an unknown method, budget or option.
        ExplorerError: settings that cannot work.
    """
    if method not in PUBLISHED:
        raise UnknownNameError(
            f"{quoted(method)} cannot be trained; {suggestion(method, PUBLISHED)}"
        )
    if budget not in BUDGETS:
        raise unknown_name("budget", budget, BUDGETS)
    made = replace(PUBLISHED[method], **(BUDGETS[budget][method] | changes))
    if options:
        check_options(method, dict(options))
        made = replace(made, options=tuple((dict(made.options) | dict(options)).items()))
    for setting, kind in NUMBERS.items():
        checked(kind, getattr(made, setting), setting)
    if not made.terms or not made.backbones:
        raise ExplorerError("a run needs at least one term and one backbone")
    for term, weight in made.terms:
        checked(_WEIGHT, weight, f"the weight of the term {quoted(term)}")
    distinct(dict.fromkeys(made.backbones), "the list of backbones", MOST_BACKBONES)
    if ("label_consistency" in dict(made.terms)) != bool(made.labelled):
        raise ExplorerError(
            "the term label_consistency needs labelled photos, and nothing else does: give both or "
            "neither (--terms ...,label_consistency=60 --labelled FOLDER/MAPS,...)"
        )
    low, high = made.fine_aspect
    if not 0 < low <= high <= 1:
        raise ExplorerError("fine_aspect is a least and a largest share of a side, from 0 to 1")
    if made.fine_density and not 1 <= min(made.fine_density) <= max(made.fine_density) <= (
        made.fine_size // 2
    ):
        raise ExplorerError(
            f"fine_density is from 1 pixel per cell to {made.fine_size // 2}: two cells must fit "
            f"fine_size {made.fine_size}"
        )
    return made


def check_options(method: str, options: Mapping[str, Any]) -> None:
    """Raise UnknownNameError for an option that the method does not have."""
    known = inspect.signature(UPSAMPLERS.get(method)).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError(
                f"{method} has no option {quoted(name)}; {suggestion(name, known)}"
            )
