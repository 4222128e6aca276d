"""Write upsampled features, or only projections of them, as safetensors or npy with metadata.

The map is computed and written piece by piece: memory does not grow with channels times pixels.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli.arguments import (
    add_align,
    add_run_arguments,
    chosen_align,
    destination,
    run_photos,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from explorer.core import FeatureMap
    from explorer.session import Options, Session
    from explorer.upsamplers import Resampler

HELP = "upsampled features of photos, or projections of them, as safetensors or npy"
SIZE = 448
PIECE_BYTES = 128 * 2**20  # float32 channels carried at once where they are carried one by one
HALF_MAX = 65504.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="files, folders, 'patterns*'")
    parser.add_argument("--backbone", default="efficientnet_lite0", help="NAME[:STAGE]")
    parser.add_argument("--upsampler", default="anyup")
    parser.add_argument("--checkpoint", metavar="NAME_OR_PATH", help="the upsampler's weights")
    parser.add_argument(
        "--input-size", type=int, default=SIZE, help="longer side the backbone sees, in pixels"
    )
    parser.add_argument("--output-size", type=int, default=SIZE, help="longer side, in pixels")
    add_align(parser)
    parser.add_argument(
        "--project",
        metavar="pca:K|FILE",
        help="K principal components of each photo, or a .safetensors with weight (K, C), bias (K)",
    )
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float32")
    parser.add_argument("--device")
    add_run_arguments(parser, ("safetensors", "npy"))


@dataclass(frozen=True, eq=False)
class Projection:
    """A 1x1 convolution to ``count`` channels: ``weight`` (K, C) and ``bias`` (K,), or None for the
    photo's own principal components; ``about`` is what the recipe says.
    """

    count: int
    about: dict[str, Any]
    weight: Tensor | None = None
    bias: Tensor | None = None

    def of(self, coarse: FeatureMap) -> Projection:
        """Return the projection for a photo's cells; raises ExplorerError if they are too few."""
        from explorer.core import ExplorerError
        from explorer.views.basis import fit

        if self.weight is not None:
            return self
        basis = fit([coarse.data], self.count)
        if self.count >= basis.cells:
            raise ExplorerError(
                f"{basis.cells} coarse cells have at most {basis.cells - 1} principal components; "
                "choose fewer, or a larger input size"
            )
        return Projection(self.count, self.about, basis.weight, basis.bias)


def run(args: argparse.Namespace) -> int:
    """Write the files; return 0, or 1 if some photo of several failed."""
    import numpy as np

    from explorer.files.outputs import check_name
    from explorer.files.tensors import KINDS, read_tensor_recipe, sidecar
    from explorer.imaging import Photo, open_photo
    from explorer.session import Options, Session
    from explorer.upsamplers import UPSAMPLERS

    UPSAMPLERS.get(args.upsampler)
    read = [Path(name) for name in (args.project, args.checkpoint) if name]
    place = destination(args.photos, args.out, args.format, KINDS, "safetensors", read)
    for target in place.targets:
        if target.suffix.lower() == ".npy":
            check_name(sidecar(target), inputs=(*place.photos, *read))
    checkpoints = {args.upsampler: args.checkpoint} if args.checkpoint else {}
    session = Session(args.device)

    def options_of(photo: Photo) -> Options:
        chosen = (args.backbone,), (args.upsampler,)
        sizes = args.input_size, args.output_size
        return Options(photo, *chosen, *sizes, checkpoints, align=chosen_align(args))

    # what no photo can change is checked and loaded before the first one
    session.upsampler(args.upsampler, args.backbone, options_of(Photo(np.zeros((64, 64, 3), "u1"))))
    shared = read_projection(args.project, session.backbone(args.backbone).dim)

    def make(path: Path, target: Path) -> tuple[bool, tuple[str, ...]]:
        try:
            options = options_of(open_photo(path))
            recipe = features_recipe(session, options, shared, args.dtype)
            if not args.force and read_tensor_recipe(target) == recipe:
                return False, ()
            write_features(session, options, shared, recipe, target)
            return True, _remarks(session, options)
        finally:
            session.results.clear()  # the next photo shares none of it

    return run_photos(place, make)


def _remarks(session: Session, options: Options) -> tuple[str, ...]:
    """Return what must be said about the weights, as the recipe does."""
    (backbone,), (method,) = options.backbones, options.upsamplers
    made = session.upsampler(method, backbone, options)
    return (f"{made.title}: {made.weights_caption()}",) if made.weights_note() else ()


def read_projection(wanted: str | None, channels: int) -> Projection | None:
    """Return the projection that the argument stands for, if any.

    Raises:
        ExplorerError: "pca:K" without a number, or a file that holds no fitting projection.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from explorer.core import ExplorerError
    from explorer.weights.paths import digest

    if wanted is None:
        return None
    if wanted.startswith("pca:"):
        if not wanted[4:].isdigit() or not 1 <= int(wanted[4:]) <= channels:
            raise ExplorerError(
                f"--project pca:K takes 1 to {channels} components, not {wanted[4:][:20]!r}"
            )
        return Projection(int(wanted[4:]), {"pca": int(wanted[4:])})
    path = Path(wanted)
    if not path.is_file():
        raise ExplorerError(
            f"there is no file {path}; --project takes pca:K or a .safetensors file"
        )
    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ExplorerError(f"{path.name} is no safetensors file: {error}") from None
    if "weight" not in found:
        raise ExplorerError(f"{path.name} holds no tensor called weight; it needs weight and bias")
    weight = found["weight"].float()
    if weight.dim() == 4 and weight.shape[2:] == (1, 1):
        weight = weight[:, :, 0, 0]
    bias = found.get("bias", torch.zeros(len(weight))).float()
    if weight.dim() != 2 or weight.shape[1] != channels or bias.shape != weight.shape[:1]:
        raise ExplorerError(
            f"{path.name} holds weight {tuple(weight.shape)} and bias {tuple(bias.shape)}; "
            f"(K, {channels}) and (K,) are expected for this backbone"
        )
    about = {"file": path.name, "sha256": digest(path)}
    return Projection(len(weight), about, weight.contiguous(), bias)


def features_recipe(
    session: Session, options: Options, projection: Projection | None, dtype: str
) -> dict[str, Any]:
    """Return what a file of features says of itself: what made it, from what, in which layout."""
    from explorer.imaging import fit_size
    from explorer.reproduce import versions

    (name,), (method,) = options.backbones, options.upsamplers
    model, made = session.backbone(name), session.upsampler(method, name, options)
    channels = model.dim if projection is None else projection.count
    aligned = model.alignment_note(options.align)
    return {
        "tensor": "features" if projection is None else "projection",
        "layout": "CHW",
        "shape": [channels, *options.output],
        "dtype": dtype,
        "photo": options.recipe()["photo"],
        "input_size": list(fit_size(options.photo.size, options.input_size, model.stride)),
        "output_size": list(options.output),
        "backbone": {
            "name": model.name,
            "stage": model.stage,
            "origin": model.origin,
            "sha256": model.digest,
        }
        | ({"alignment": aligned} if aligned else {}),
        "upsampler": made.provenance(),
        "space": made.space,
        "projection": None if projection is None else projection.about,
        "versions": versions(),
    }


def write_features(
    session: Session,
    options: Options,
    projection: Projection | None,
    recipe: dict[str, Any],
    target: Path,
) -> None:
    """Stream the features or their projection to ``target``, atomically; raises ExplorerError."""
    import math

    import torch

    from explorer.core import ExplorerError
    from explorer.files.atomic import part_files
    from explorer.files.tensors import TensorFile, sidecar, sidecar_text

    (name,), (method,) = options.backbones, options.upsamplers
    kind, dtype = target.suffix.lower().lstrip("."), recipe["dtype"]
    small: dict[str, np.ndarray] = {}
    if projection is not None:
        if session.upsampler(method, name, options).space != "backbone":
            raise ExplorerError(
                f"{method} gives features in a space of its own, which no projection of the "
                "backbone's features fits; leave out --project"
            )
        projection = projection.of(session.features(options, name))
        small = {"weight": projection.weight.cpu().numpy(), "bias": projection.bias.cpu().numpy()}
    resampler = session.resampler(options, name, method).resampler
    limit = HALF_MAX if dtype == "float16" else math.inf
    shape = tuple(recipe["shape"])
    written = (target, sidecar(target)) if kind == "npy" else (target,)
    with part_files(*written) as (part, *beside):
        for description in beside:
            description.write_text(sidecar_text(recipe), "utf-8")
        with TensorFile(part, kind, recipe["tensor"], shape, dtype, recipe, small) as file:
            with torch.no_grad():
                for channel, row, block in pieces(resampler, projection):
                    largest = block.abs().amax().item()
                    if not largest <= limit:
                        raise ExplorerError(
                            f"the values reach {largest:g}, which {dtype} cannot hold"
                            + ("; use --dtype float32" if dtype == "float16" else "")
                        )
                    file.write(block.cpu().numpy(), channel, row)


def pieces(
    resampler: Resampler, projection: Projection | None
) -> Iterator[tuple[int, int, Tensor]]:
    """Yield (first channel, first row, block (c, n, W)) until the whole output is covered.

    Methods whose weights cost more than carrying channels go through the rows in bands; the others
    carry a few channels at a time over the whole output, as projections onto single channels.
    """
    import torch

    from explorer.upsamplers import LinearResampler
    from explorer.upsamplers.streaming import row_bands

    height, width = resampler.output_size
    weight, bias = (None, None) if projection is None else (projection.weight, projection.bias)
    at_once = max(1, PIECE_BYTES // (4 * height * width))
    count = resampler.values.shape[1] if weight is None else len(weight)
    by_rows = resampler.projection_costs_all_channels or not isinstance(resampler, LinearResampler)
    if by_rows and (weight is None or count > at_once):
        for start, stop in row_bands(resampler):
            block = resampler.features((start, stop))[0]
            if weight is not None:
                block = torch.einsum("kc,chw->khw", weight.to(block), block)
                block += bias.to(block)[:, None, None]
            yield 0, start, block
        return
    if weight is None:
        weight = torch.eye(count, device=resampler.values.device)
        bias = weight.new_zeros(count)
    for first in range(0, count, at_once):
        some = slice(first, first + at_once)
        yield first, 0, resampler.project(weight[some], bias[some])[0]
