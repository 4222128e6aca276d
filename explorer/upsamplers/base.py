"""What every upsampler promises: prepare once, then project, read features and look at single
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from explorer.core import ONCE, FeatureMap, Reading, Registry, SizeError
from explorer.imaging import IMAGENET_MEAN, IMAGENET_STD, normalise
from explorer.upsamplers.casting import cast
from explorer.upsamplers.cost import MethodCost
from explorer.upsamplers.inputs import check_features, check_image, check_inputs, compute_dtype
from explorer.upsamplers.resampler import (
    LinearResampler,
    Resampler,
    Rows,
    check_projection,
    project_cells,
)
from explorer.upsamplers.saving import save_upsampler
from explorer.upsamplers.settings import (
    HasParameters,
    constructor_arguments,
    current_settings,
    settings_digest,
)

__all__ = [
    "UPSAMPLERS",
    "ImageHalf",
    "LinearResampler",
    "Resampler",
    "Rows",
    "Upsampler",
    "check_projection",
    "project_cells",
]

UPSAMPLERS: Registry[Upsampler] = Registry("upsampler")


@dataclass(frozen=True, eq=False)
class ImageHalf:
    """What ``prepare`` computes of an image alone.

    ``queries``: (B, H', W', d), projected and scaled; ``seen``: the image's code at the cells, (B,
    d, h, w), which keys are made of.
    """

    queries: Tensor
    seen: Tensor

    def nbytes(self) -> int:
        """Return what a cache must count."""
        return self.queries.nbytes + self.seen.nbytes


class Upsampler(nn.Module):
    """Coarse features to output resolution, guided by the image.

    A subclass writes ``name``, ``title`` and ``_prepare``; whatever else others need to know of the
    method it declares in the attributes below, whose defaults promise nothing. The contract tests
    read them.

    ``linear``: the output is linear in the features. ``convex``: each output pixel is a weighted
    mean of cells (weights non-negative, summing to one). ``space``: "backbone" if outputs live in
    the backbone's feature space, else "normalised". ``mean`` and ``std`` are the statistics of the
    guidance image, ImageNet's unless a checkpoint says otherwise. ``trained``: whether the method
    has parameters to learn; derived, for a class as for an instance.

    Whose weights it has is set by whoever loads them: ``origin`` ("trained here", "published",
    "file", "untrained", "training-free", ...), ``checkpoint`` (a row's or file's name) and
    ``digest`` (of the file). ``fallback_for`` names the weights that fit better but could not be
    had; ``settings_assumed`` is True for a file that does not say with which settings it was made.
    """

    name: ClassVar[str]
    title: ClassVar[str]  # as written in papers
    paper: ClassVar[str] = ""  # arXiv id
    citation: ClassVar[str] = ""  # a BibTeX entry, see `explorer.core.bibtex`
    order: ClassVar[int] = 1000  # place in menus, lowest first; equal ones by name

    trained = HasParameters()
    agnostic: ClassVar[bool] = True  # whether one set of weights serves every backbone
    uses_image: ClassVar[bool] = True  # whether the image has a say
    image_gradients: ClassVar[bool] = True  # whether gradients reach an image that has a say
    batch_independent: ClassVar[bool] = True  # whether a photo's result is the same in any batch
    has_image_half: ClassVar[bool] = False  # whether ``prepare`` has a part without features
    has_attention: ClassVar[bool] = False  # whether its resamplers answer ``attention``
    adjustable_window: ClassVar[bool] = False  # ... and offer ``with_window``
    single_stencil: ClassVar[bool] = True  # whether a linear map treats every channel alike
    half_precision: ClassVar[bool] = False  # whether ``prepare`` is accurate in bfloat16
    min_grid: ClassVar[int] = 1  # the fewest cells along a side of the coarse grid
    native_factor: ClassVar[int] = 0  # pixels per cell and axis that it makes whatever the output
    cost: ClassVar[MethodCost] = MethodCost()
    reading: ClassVar[Reading] = ONCE  # what is asked of the backbone beyond one pass
    # For tests: arguments of a small instance, and second values of arguments that cannot be
    # guessed (a guess is: the opposite, 8 more, 0.5 more); the default where there is no other.
    small_options: ClassVar[Mapping[str, Any]] = {}
    other_options: ClassVar[Mapping[str, Any]] = {}

    linear: bool = True
    convex: bool = False
    window_ratio: float = 0.0  # half-width of an attention window, as a share of the side; 0: none
    space: str = "backbone"
    origin: str = ""
    checkpoint: str = ""
    digest: str = ""
    fallback_for: str = ""
    settings_assumed: bool = False
    fallback_since: float | None = None  # monotonic: when better weights could not be had
    constructor_arguments: dict[str, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        """Take ``guided``, as ``uses_image`` was called at first, for the same."""
        super().__init_subclass__(**options)
        if "guided" in vars(cls):
            cls.uses_image = cls.guided
        cls.guided = cls.uses_image

    def __new__(cls, *args: Any, **options: Any) -> Upsampler:
        """Note the constructor's arguments: cache keys and saved weights hold all of them."""
        made = super().__new__(cls)
        made.__dict__["constructor_arguments"] = constructor_arguments(cls, args, options)
        return made

    def __init__(self) -> None:
        super().__init__()
        self.mean: tuple[float, float, float] = IMAGENET_MEAN
        self.std: tuple[float, float, float] = IMAGENET_STD

    @classmethod
    def options_for(cls, channels: int) -> dict[str, Any]:
        """Return the constructor arguments that features of ``channels`` channels need."""
        return {}

    def prepare(
        self,
        image: Tensor,
        features: Tensor | FeatureMap,
        output_size: tuple[int, int] | None = None,
    ) -> Resampler:
        """Run everything that does not depend on what is asked later.

        Args:
            image: (B, 3, H, W) RGB in [0, 1]; neither clamped nor checked for range.
            features: (B, C, h, w) coarse features, or a FeatureMap.
            output_size: (H', W') in pixels; the image's size if None.

        Features and image may be of any floating-point type: the method computes in the type of
        its parameters (without any: float32, or float64 for such features), and what is read from
        the resampler comes in the features' type.

        Raises:
            SizeError: shapes that do not belong together or that the method cannot take.
            ExplorerError: features or image that hold NaN, infinity or no floating-point numbers.
        """
        values = features.data if isinstance(features, FeatureMap) else features
        size = tuple(image.shape[-2:] if output_size is None else map(int, output_size))
        check_inputs(image, values, size)
        self._check_features(values)
        computed = compute_dtype(self, values)
        guidance = normalise(image.to(computed), self.mean, self.std)
        return cast(self._prepare(guidance, values.to(computed), size), values, computed)

    def prepare_image(
        self, image: Tensor, output_size: tuple[int, int], grid: tuple[int, int]
    ) -> ImageHalf:
        """Do the part of ``prepare`` that needs no features, of methods with ``has_image_half``.

        It serves the features of any backbone and stage on a (h, w) ``grid``, and every instance
        with the same ``image_half_digest``; ``image`` and ``output_size`` as for ``prepare``.
        """
        size = tuple(map(int, output_size))
        check_image(image, size)
        guidance = normalise(image.to(compute_dtype(self, image)), self.mean, self.std)
        return self._prepare_image(guidance, size, tuple(grid))

    def image_half_digest(self) -> str:
        """Return hex digits of all weights and settings that ``prepare_image`` depends on."""
        raise NotImplementedError

    def prepare_features(self, half: ImageHalf, features: Tensor | FeatureMap) -> Resampler:
        """Do the rest: ``prepare_features(prepare_image(image, size, grid), features)`` is what
        ``prepare(image, features, size)`` returns.
        """
        values = features.data if isinstance(features, FeatureMap) else features
        check_features(values, len(half.seen))
        if values.shape[2:] != half.seen.shape[2:]:
            raise SizeError(
                f"an image half for a grid of {tuple(half.seen.shape[2:])} cells does not fit "
                f"features on {tuple(values.shape[2:])}"
            )
        self._check_features(values)
        computed = compute_dtype(self, values)
        return cast(self._prepare_features(half, values.to(computed)), values, computed)

    def _check_features(self, values: Tensor) -> None:
        """Raise SizeError for features (B, C, h, w) that the method cannot take, such as those
        with fewer than ``min_grid`` cells along a side.
        """
        least, (height, width) = self.min_grid, values.shape[-2:]
        if min(height, width) < least:
            raise SizeError(
                f"{self.title} needs a coarse grid of at least {least}x{least} cells, not "
                f"{height}x{width}; use a larger input"
            )

    def _prepare(self, guidance: Tensor, values: Tensor, output_size: tuple[int, int]) -> Resampler:
        """Do ``prepare``'s work on a normalised image and checked shapes; what each method
        implements.
        """
        raise NotImplementedError

    def _prepare_image(
        self, guidance: Tensor, output_size: tuple[int, int], grid: tuple[int, int]
    ) -> ImageHalf:
        """Do ``prepare_image``'s work, of methods with ``has_image_half``."""
        raise NotImplementedError

    def _prepare_features(self, half: ImageHalf, values: Tensor) -> Resampler:
        """Do ``prepare_features``' work, of methods with ``has_image_half``."""
        raise NotImplementedError

    def forward(
        self,
        image: Tensor,
        features: Tensor | FeatureMap,
        output_size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Return the upsampled features (B, C, H', W')."""
        return self.prepare(image, features, output_size).features()

    def remark(self) -> str:
        """Say what captions and reports must mention about this instance's settings."""
        return ""

    def weights_caption(self) -> str:
        """Name the weights and what must be said about them; "" for a method without any."""
        if not self.trained:
            return ""
        return ", ".join(part for part in (self.checkpoint, self.weights_note()) if part)

    def weights_note(self) -> str:
        """Say what captions, recipes and reports must mention about the weights ("" if nothing)."""
        better = f"in place of {self.fallback_for}" if self.fallback_for else ""
        return ", ".join(filter(None, (better, "settings assumed" * self.settings_assumed)))

    def provenance(self) -> dict[str, str]:
        """Return what a recipe says of the method and its weights."""
        found = {
            "name": self.name,
            "checkpoint": self.checkpoint,
            "origin": self.origin,
            "sha256": self.digest,
        }
        return found | ({"note": self.weights_note()} if self.weights_note() else {})

    @property
    def settings(self) -> dict[str, Any]:
        """What changes the output beside the weights: all constructor arguments and public
        attributes, as they are now.
        """
        return current_settings(self, self.constructor_arguments)

    @property
    def settings_digest(self) -> str:
        """The settings, those of submodules included, as 16 hex digits for cache keys."""
        return settings_digest(self, self.constructor_arguments)

    def save(self, path: str | Path) -> Path:
        """Write the weights as safetensors with the settings in the file's header, and return the
        path: `load_upsampler` with this ``checkpoint`` builds the same upsampler again.

        Raises:
            WeightsError: the ending is not .safetensors, a card beside the file describes other
                weights, a setting cannot be written as JSON, or the disk refuses.
        """
        return save_upsampler(self, Path(path))

    @property
    def device(self) -> torch.device:
        """Where the weights are (cpu for methods without any)."""
        tensor = next(self.parameters(), None)
        return torch.device("cpu") if tensor is None else tensor.device
