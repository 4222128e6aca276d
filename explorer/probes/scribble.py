"""A probe from a few strokes on one photo: logistic regression on the pixels they cover."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from explorer.core import ExplorerError
from explorer.datasets import IGNORE, ClassSet
from explorer.datasets.classes import Colour
from explorer.probes.base import Prediction
from explorer.probes.dense import SegmentationProbe

MAX_PIXELS = 4000  # per class: more do not change the answer, only the wait
MAX_STROKES, MAX_POINTS, MAX_CLASSES = 2000, 5000, 60
UNMARKED = -1
STRENGTH = 10.0


@dataclass(frozen=True)
class Stroke:
    """One painted line: ``points`` are (row, col) and ``radius`` is a length, all as fractions.

    Rows are fractions of the photo's height, columns of its width, the radius of its longer side.
    """

    name: str
    colour: Colour
    points: tuple[tuple[float, float], ...]
    radius: float = 0.01

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "colour": list(self.colour),
            "points": [list(point) for point in self.points],
            "radius": self.radius,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Stroke:
        """Read plain values; raises ExplorerError for anything that is no stroke."""
        try:
            name = str(value["name"]).strip()[:60]
            colour = tuple(int(v) for v in value["colour"])
            points = tuple((float(r), float(c)) for r, c in value["points"])
            radius = float(value.get("radius", 0.01))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ExplorerError(
                'a stroke is {"name", "colour": [r, g, b], "points": [[row, col], ...], "radius"}; '
                f"this is not one: {type(error).__name__} at {error}"
            ) from None
        numbers = [radius, *(v for point in points for v in point)]
        if (
            not name
            or not points
            or len(points) > MAX_POINTS
            or len(colour) != 3
            or not all(0 <= v <= 255 for v in colour)
            or not all(np.isfinite(numbers))
            or not 0 < radius <= 0.5
        ):
            raise ExplorerError(
                "a stroke needs a name, a colour of three numbers 0 to 255, 1 to "
                f"{MAX_POINTS} points and a radius above 0 and up to 0.5"
            )
        return cls(name, colour, points, radius)


def load_strokes(text: str) -> list[Stroke]:
    """Read strokes from JSON (a list, or an object with "strokes").

    Raises:
        ExplorerError: not JSON, or not strokes.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ExplorerError(f"the strokes are not JSON: {error}") from None
    if isinstance(found, Mapping):
        found = found.get("strokes")
    if not isinstance(found, list) or len(found) > MAX_STROKES:
        raise ExplorerError(f"a list of at most {MAX_STROKES} strokes is expected")
    return [Stroke.from_json(value) for value in found]


def dump_strokes(strokes: Iterable[Stroke]) -> str:
    """Return strokes as JSON that `load_strokes` reads."""
    return json.dumps({"strokes": [stroke.to_json() for stroke in strokes]})


def classes_of(strokes: Iterable[Stroke]) -> ClassSet:
    """Return the painted classes in the order they first appear, in their last colour."""
    colours: dict[str, Colour] = {}
    for stroke in strokes:
        colours[stroke.name] = stroke.colour
    return ClassSet(tuple(colours), tuple(colours.values()))


def rasterise(strokes: Iterable[Stroke], size: tuple[int, int]) -> np.ndarray:
    """Return the class number last painted on each pixel, (H, W) int16, UNMARKED elsewhere."""
    strokes = list(strokes)
    height, width = size
    numbers = {name: i for i, name in enumerate(dict.fromkeys(s.name for s in strokes))}
    canvas = Image.new("I", (width, height), UNMARKED)
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        value = numbers[stroke.name]
        reach = max(0.5, stroke.radius * max(size))
        # pixel p covers [p, p + 1), PIL's integer coordinates are pixel centres
        path = [(col * width - 0.5, row * height - 0.5) for row, col in stroke.points]
        if len(path) > 1:
            draw.line(path, fill=value, width=max(1, round(2 * reach)), joint="curve")
        for x, y in path:  # PIL's box holds its last row and column
            box = (x - reach + 0.5, y - reach + 0.5, x + reach - 0.5, y + reach - 0.5)
            draw.ellipse(box, fill=value)
            draw.point((round(x), round(y)), fill=value)  # a dot smaller than a pixel still counts
    return np.asarray(canvas).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Scribble:
    """A probe fitted to strokes, the pixels each class gave and how well they are told apart.

    ``probe`` reads the features it was fitted on; ``agreement`` is the share of painted pixels
    whose own class it returns.
    """

    probe: SegmentationProbe
    pixels: tuple[int, ...]
    agreement: float

    @property
    def classes(self) -> ClassSet:
        """The painted classes."""
        return self.probe.classes

    def label(self, features: Tensor) -> Prediction:
        """Label every pixel of (C, H, W) features, with confidence."""
        weight, bias = self.probe.weight.to(features), self.probe.bias.to(features)
        logits = weight @ features.flatten(1) + bias[:, None]
        return self.probe.decode(logits.unflatten(1, features.shape[1:]))


def fit_scribble(
    strokes: Iterable[Stroke], features: Tensor, strength: float = STRENGTH
) -> Scribble:
    """Fit a logistic regression to the pixels under the strokes.

    Args:
        strokes: what was painted; later strokes cover earlier ones.
        features: (C, H, W) upsampled features, or their first 32 principal components: measured
            on NYUv2 rooms, those label 1 or 2 points fewer pixels rightly, several times faster.
        strength: inverse regularisation of the regression on features of unit mean variance.

    Raises:
        ExplorerError: no stroke, one class only, or a class that other strokes cover completely.
    """
    strokes = list(strokes)
    if not strokes:
        raise ExplorerError("paint a stroke for each of at least two classes")
    classes = classes_of(strokes)
    if len(classes) < 2:
        raise ExplorerError(
            f"only {classes.names[0]!r} is painted; paint at least one other class too"
        )
    if len(classes) > MAX_CLASSES:
        raise ExplorerError(f"at most {MAX_CLASSES} classes can be painted, not {len(classes)}")
    painted = rasterise(strokes, tuple(features.shape[-2:]))
    counts = [int((painted == number).sum()) for number in range(len(classes))]
    if 0 in counts:
        raise ExplorerError(
            f"the strokes of {classes.names[counts.index(0)]!r} are covered by others or lie "
            "outside the photo; paint that class again"
        )
    rows, cols, numbers = _pixels(painted, len(classes))
    places = torch.from_numpy(rows).to(features.device), torch.from_numpy(cols).to(features.device)
    chosen = features[:, places[0], places[1]].T.double().cpu().numpy()
    weight, bias = _regress(chosen, numbers, len(classes), strength)
    right = ((chosen @ weight.T + bias).argmax(axis=1) == numbers).mean()
    probe = SegmentationProbe(
        torch.from_numpy(weight).float(),
        torch.from_numpy(bias).float(),
        classes,
        name="scribble",
        origin="your strokes",
    )
    return Scribble(probe, tuple(counts), float(right))


def _regress(
    features: np.ndarray, numbers: np.ndarray, classes: int, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (K, C) and (K,) of a logistic regression, the scaling folded in.

    One scale for all channels: a few strokes cannot tell which weak channel is signal, and giving
    each unit variance was measured to cost up to a third of the pixels.
    """
    from sklearn.linear_model import LogisticRegression

    mean = features.mean(axis=0)
    spread = max(float(np.sqrt(features.var(axis=0).mean())), 1e-8)
    model = LogisticRegression(C=strength, max_iter=200, class_weight="balanced")
    model.fit((features - mean) / spread, numbers)
    weight, bias = model.coef_, model.intercept_
    if classes == 2:  # one logit: give each class its half
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / spread
    return weight, bias - weight @ mean


def _pixels(painted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns and class numbers of at most MAX_PIXELS pixels per class, spread out."""
    rows, cols, numbers = [], [], []
    for number in range(classes):
        row, col = np.nonzero(painted == number)
        if len(row) > MAX_PIXELS:
            kept = np.linspace(0, len(row) - 1, MAX_PIXELS).round().astype(int)
            row, col = row[kept], col[kept]
        rows.append(row)
        cols.append(col)
        numbers.append(np.full(len(row), number))
    return np.concatenate(rows), np.concatenate(cols), np.concatenate(numbers)


# --- taking the labels away ---


def palette_png(labels: np.ndarray | Tensor, classes: ClassSet) -> bytes:
    """Return a label map (H, W) as an indexed PNG in the classes' colours; 255 stays unlabelled."""
    values = np.asarray(labels)
    if values.min() < 0 or ((values >= len(classes)) & (values != IGNORE)).any():
        raise ExplorerError(f"a label map of {len(classes)} classes holds 0 to {len(classes) - 1}")
    height, width = values.shape
    picture = Image.frombytes("P", (width, height), values.astype(np.uint8).tobytes())
    flat = [v for colour in classes.colours for v in colour]
    picture.putpalette(flat + [0] * (768 - len(flat)))
    info = io.BytesIO()
    picture.save(info, format="PNG", optimize=False)
    return info.getvalue()


def labels_npy(labels: np.ndarray | Tensor) -> bytes:
    """Return a label map (H, W) as an ``.npy`` file of uint8."""
    out = io.BytesIO()
    np.save(out, np.asarray(labels).astype(np.uint8), allow_pickle=False)
    return out.getvalue()
