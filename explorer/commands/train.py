"""Train an upsampler on a folder of photos with its paper's recipe or a small budget's."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from explorer.cli.arguments import assignments, numbers
from explorer.core import ExplorerError
from explorer.core.validation import Real, Whole, checked
from explorer.files.inputs import given_path
from explorer.files.outputs import add_output, check_file, same_file

if TYPE_CHECKING:
    from explorer.datasets import Dataset

HELP = "train jafar, anyup or featup on a folder of photos"
SETTINGS = (  # of a recipe, given as they are
    "steps",
    "batch",
    "lr",
    "consistency_size",
    "fine_size",
    "every",
    "basis_scale",
    "rope_scale",
)


NUMBERS = {  # what the other numbers must be; those of a recipe are checked there
    "cache_gib": Annotated[Real, Ge(0), Le(10**6)],
    "held_out": Annotated[Whole, Ge(0), Le(10**6)],
    "validate_every": Annotated[Whole, Ge(1), Le(10**9)],
    "validate_photos": Annotated[Whole, Ge(0), Le(10**6)],
    "validate_guidance": Annotated[Whole, Ge(1), Le(4096)],
    "save_seconds": Annotated[Real, Ge(0), Le(10**6)],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("method", choices=("jafar", "anyup", "featup"))
    parser.add_argument(
        "--backbone", required=True, help="NAME[:STAGE][,NAME[:STAGE]...]; one per step, in turn"
    )
    parser.add_argument("--data", required=True, type=given_path, help="folder of photos")
    add_output(
        parser,
        "--out",
        {
            "beside": (".log.jsonl", ".png", ".resume.pt"),
            "inputs": ("init",),
        },
        required=True,
        help="weights to write (.safetensors)",
    )
    parser.add_argument("--budget", default="small", choices=("small", "published"))
    parser.add_argument("--terms", help="loss terms: NAME[=WEIGHT],... instead of the recipe's")
    parser.add_argument(
        "--options",
        help="of the method: NAME=VALUE,..., e.g. bilinear_heads=1, beside the budget's",
    )
    parser.add_argument(
        "--labelled",
        help="folders of label maps for label_consistency, FOLDER/MAPS,..., e.g. "
        "nyuv2/labels39; their test photos are not used",
    )
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int, help="photos per process and step")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--guidance", help="sides to draw the guidance size from, e.g. 56,56,112")
    parser.add_argument("--consistency-size", type=int)
    parser.add_argument(
        "--fine-size",
        type=int,
        help="side, in pixels, of what grid_, image_, segment_, cluster_ and label_consistency see",
    )
    parser.add_argument(
        "--fine-density",
        help="pixels per cell there to draw from, e.g. 4,8,16; without it all cells are seen",
    )
    parser.add_argument(
        "--fine-aspect",
        help="least and largest share of one side that is kept there, e.g. 0.5,1",
    )
    parser.add_argument("--every", type=int, help="all terms but the first only each N-th time")
    parser.add_argument(
        "--basis-scale", type=float, help="AnyUp: how much larger its filters start and step"
    )
    parser.add_argument(
        "--rope-scale", type=float, help="how much higher position frequencies start"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_output(parser, "--cache", {"folder": True}, help="folder for half-precision features")
    parser.add_argument("--cache-gib", type=float, default=8.0)
    parser.add_argument("--held-out", type=int, default=80, help="photos kept for validation")
    parser.add_argument(
        "--init", type=given_path, help="weights to start from instead of random ones"
    )
    parser.add_argument("--validate-every", type=int, default=250)
    parser.add_argument("--validate-photos", type=int, default=16)
    parser.add_argument(
        "--validate-guidance", type=int, default=112, help="guidance side at validation, pixels"
    )
    parser.add_argument("--save-seconds", type=float, default=120.0)
    parser.add_argument("--cpu", action="store_true", help="ignore any GPU")
    parser.add_argument("--mixed-precision", default="no", choices=("no", "bf16", "fp16"))
    parser.add_argument("--quiet", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Train; return 0 when the last step is done."""
    from explorer.backbones import load_backbone
    from explorer.core import WeightsError
    from explorer.training.labelled import LabelledPhotos
    from explorer.training.loop import Places, Trainer
    from explorer.training.photos import photo_paths, split
    from explorer.training.recipe import recipe
    from explorer.weights.paths import digest

    for name, kind in NUMBERS.items():
        checked(kind, getattr(args, name), f"--{name.replace('_', '-')}")
    names = tuple(args.backbone.split(","))
    changes = {"backbones": names, "seed": args.seed}
    for key in SETTINGS:
        if getattr(args, key) is not None:
            changes[key] = getattr(args, key)
    for key, name in (("guidance", "--guidance"), ("fine_density", "--fine-density")):
        if getattr(args, key) is not None:
            changes[key] = tuple(numbers(getattr(args, key), name))
    if args.fine_aspect is not None:
        changes["fine_aspect"] = tuple(numbers(args.fine_aspect, "--fine-aspect", 2, float))
    if args.terms is not None:
        changes["terms"] = _terms(args.terms)
    if args.options is not None:
        changes["options"] = assignments(args.options, "--options")
    if args.init:
        if not args.init.is_file():
            raise WeightsError(f"{args.init} is not a file of weights to start from")
        changes["init"] = digest(args.init)
    labelled = _labelled(args.labelled)
    changes["labelled"] = tuple(f"{d.root.resolve().name}/{d.folder}" for d in labelled)
    made = recipe(args.method, args.budget, **changes)
    check_file(args.out, (".safetensors",))  # mistakes in the settings are told first
    places = Places(args.out, args.cache, int(args.cache_gib * 2**30))
    photos = photo_paths(args.data)
    if same_file(places.curve.parent, photos[0].parent):
        raise ExplorerError(
            f"--out lies among the photos, and the curve {places.curve.name} would be taken for "
            "one the next time; choose another folder"
        )
    train, held_out = split(photos, args.held_out)
    backbones = []
    for name in names:
        name, _, stage = name.partition(":")
        backbones.append(load_backbone(name, stage=stage or None))
    trainer = Trainer(
        made,
        backbones,
        train,
        held_out,
        places,
        cpu=args.cpu,
        mixed_precision=args.mixed_precision,
        validate_every=args.validate_every,
        validate_photos=args.validate_photos,
        validate_guidance=args.validate_guidance,
        init=args.init,
        labelled=LabelledPhotos(labelled),
        save_seconds=args.save_seconds,
        quiet=args.quiet,
    )
    trainer.run()
    skipped = trainer.folder.skipped | trainer.labelled.skipped
    if trainer.main and skipped and not args.quiet:
        print(f"{len(skipped)} photos could not be read and were skipped")
    return 0


def _labelled(text: str | None) -> list[Dataset]:
    """Open the datasets named by FOLDER/MAPS,...; none for None."""
    from explorer.datasets import open_dataset

    if text is None:
        return []
    places = [Path(part.strip()) for part in text.split(",")]
    for place in places:
        if not (place.parent / "images").is_dir() or not place.name:
            raise ExplorerError(
                "--labelled takes FOLDER/MAPS with commas, where FOLDER has images/ beside the "
                f"folder of maps, not {text[:80]!r}"
            )
    return [open_dataset(place.parent, "labels", place.name) for place in places]


def _terms(text: str) -> tuple[tuple[str, float], ...]:
    """Read NAME[=WEIGHT],...; a term without a weight weighs 1."""
    parts = [part.strip().partition("=") for part in text.split(",")]
    try:
        return tuple((name, float(weight if equals else 1)) for name, equals, weight in parts)
    except ValueError:
        raise ExplorerError(
            f"--terms takes NAME or NAME=WEIGHT with commas, not {text[:60]!r}"
        ) from None
