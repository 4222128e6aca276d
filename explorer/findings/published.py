"""The numbers that papers report, typed once, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

SETTING = (
    "DINOv2 ViT-S/14 at 448 px, frozen; linear (1x1 convolution) probes trained per upsampler, "
    "unless a table says otherwise."
)


@dataclass(frozen=True)
class Source:
    """A paper: what it is called here, its arXiv id."""

    name: str
    arxiv: str

    @property
    def url(self) -> str:
        """Where it can be read."""
        return f"https://arxiv.org/abs/{self.arxiv}"


@dataclass(frozen=True)
class Score:
    """A column: its head, the digits it was printed with, and which way is better."""

    head: str
    digits: int
    higher: bool = True

    def show(self, value: float | None) -> str:
        """Return the value as the paper printed it, "-" if it printed none."""
        return "-" if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class PublishedTable:
    """Rows by upsampler (registry names), columns as in the paper."""

    key: str
    title: str
    source: Source | None
    scores: tuple[Score, ...]
    rows: dict[str, tuple[float, ...]]

    def value(self, method: str, head: str) -> float | None:
        """Return one number, None if the paper has none."""
        for score, value in zip(self.scores, self.rows.get(method, ()), strict=False):
            if score.head == head:
                return value
        return None

    def best(self, head: str) -> str:
        """Return the method that leads a column."""
        score = next(s for s in self.scores if s.head == head)
        sign = 1 if score.higher else -1
        return max(self.rows, key=lambda method: sign * self.value(method, head))


ANYUP = Source("AnyUp's paper", "2510.12764")
JAFAR = Source("JAFAR's paper", "2506.11136")

SEGMENTATION = PublishedTable(
    "anyup-segmentation",
    "Semantic segmentation, mIoU",
    ANYUP,
    (Score("COCO-Stuff", 2), Score("VOC", 2), Score("ADE20K", 2)),
    {
        "bilinear": (59.48, 81.43, 40.54),
        "featup": (61.95, 83.37, 42.19),
        "loftup": (62.15, 83.69, 42.02),
        "jafar": (61.82, 84.36, 42.06),
        "anyup": (62.16, 84.00, 42.43),
    },
)
JAFAR_SEGMENTATION = PublishedTable(
    "jafar-segmentation",
    "Semantic segmentation, mIoU",
    JAFAR,
    (Score("COCO-Stuff", 2), Score("VOC", 2), Score("ADE20K", 2), Score("Cityscapes", 2)),
    {
        "bilinear": (59.03, 80.70, 39.23, 59.37),
        "featup": (60.10, 81.08, 38.82, 56.06),
        "jafar": (60.78, 84.44, 40.49, 61.47),
    },
)
GEOMETRY = PublishedTable(
    "anyup-geometry",
    "Surface normals and depth",
    ANYUP,
    (
        Score("normals RMSE", 2, higher=False),
        Score("normals < 11.25°", 2),
        Score("normals < 22.5°", 2),
        Score("depth RMSE", 4, higher=False),
        Score("depth δ1", 4),
        Score("relative depth RMSE", 4, higher=False),
    ),
    {
        "bilinear": (32.70, 0.26, 0.53, 0.4925, 0.8081, 0.3582),
        "featup": (32.69, 0.25, 0.53, 0.4816, 0.8156, 0.3413),
        "loftup": (33.94, 0.26, 0.51, 0.4847, 0.8127, 0.3478),
        "jafar": (31.54, 0.28, 0.56, 0.4906, 0.8052, 0.3481),
        "anyup": (31.17, 0.29, 0.57, 0.4755, 0.8216, 0.3378),
    },
)
PRESERVATION = PublishedTable(
    "anyup-preservation",
    "Preservation of the feature space: an existing probe, not trained again",
    ANYUP,
    (Score("ADE20K mIoU", 2), Score("NYU depth RMSE", 3, higher=False)),
    {
        "bilinear": (39.73, 0.506),
        "featup": (40.19, 0.504),
        "loftup": (4.27, 0.765),
        "jafar": (39.06, 0.503),
        "anyup": (40.83, 0.498),
    },
)
WINDOW = PublishedTable(
    "anyup-window",
    "AnyUp with and without its window",
    ANYUP,
    (Score("COCO-Stuff mIoU", 2), Score("depth RMSE", 4, higher=False)),
    {"anyup": (62.16, 0.4755), "anyup, no window": (62.12, 0.4854)},
)
TRAINING_MEMORY = PublishedTable(
    "anyup-memory",
    "Memory of training, GB",
    None,
    (Score("at 224 px", 1, higher=False), Score("at 448 px", 1, higher=False)),
    {"anyup": (3.3, 12.9), "jafar": (2.7, 22.3)},
)

PUBLISHED = (
    SEGMENTATION,
    JAFAR_SEGMENTATION,
    GEOMETRY,
    PRESERVATION,
    WINDOW,
    TRAINING_MEMORY,
)
SHARED_DATASETS = ("COCO-Stuff", "VOC", "ADE20K")


def margins(mine: PublishedTable, theirs: PublishedTable) -> dict[str, float]:
    """Return AnyUp's mIoU in ``mine`` minus JAFAR's in ``theirs``, per dataset."""
    return {
        head: round(mine.value("anyup", head) - theirs.value("jafar", head), 2)
        for head in SHARED_DATASETS
    }


def like_for_like() -> dict[str, float]:
    """Return AnyUp minus JAFAR where both were probed alike: in AnyUp's paper."""
    return margins(SEGMENTATION, SEGMENTATION)


def across_papers() -> dict[str, float]:
    """Return AnyUp of its paper minus JAFAR of its own: the popular comparison of unlikes."""
    return margins(SEGMENTATION, JAFAR_SEGMENTATION)
