"""Names and colours of the classes that label maps number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from explorer.core import ExplorerError
from explorer.files.inputs import read_lines

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSet:
    """Class names by number; ``colours`` is one per class, or () if nobody chose any."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that could not be told apart."""
        if not self.names or len(set(self.names)) != len(self.names):
            raise ExplorerError("a set of classes needs one name per class, each used once")
        if len(self.colours) not in (0, len(self.names)):
            raise ExplorerError(
                f"{len(self.names)} classes need as many colours, not {len(self.colours)}"
            )

    def __len__(self) -> int:
        """How many classes there are."""
        return len(self.names)


def _named(text: str, colours: tuple[Colour, ...] = ()) -> ClassSet:
    return ClassSet(tuple(name.strip() for name in text.split(",")), colours)


CLASS_SETS: dict[str, ClassSet] = {
    "nyu13": _named(
        "bed, books, ceiling, chair, floor, furniture, objects, picture, sofa, table, tv, wall, "
        "window",
        (
            (230, 85, 110),
            (140, 86, 75),
            (236, 226, 198),
            (242, 142, 43),
            (156, 117, 95),
            (76, 160, 130),
            (176, 122, 190),
            (255, 210, 80),
            (204, 60, 140),
            (110, 180, 60),
            (60, 60, 80),
            (150, 175, 205),
            (70, 130, 220),
        ),
    ),
    "nyu39": _named(
        "wall, floor, cabinet, bed, chair, sofa, table, door, window, bookshelf, picture, counter, "
        "blinds, desk, shelves, curtain, dresser, pillow, mirror, floor mat, clothes, ceiling, "
        "books, refrigerator, television, paper, towel, shower curtain, box, whiteboard, person, "
        "night stand, toilet, sink, lamp, bathtub, bag, other structure, other furniture"
    ),
    "camvid11": _named(
        "sky, building, pole, road, pavement, tree, sign, fence, car, pedestrian, bicyclist",
        (
            (130, 185, 235),
            (150, 95, 85),
            (200, 195, 175),
            (120, 90, 140),
            (225, 120, 200),
            (85, 145, 60),
            (245, 205, 70),
            (195, 145, 95),
            (45, 75, 175),
            (225, 60, 55),
            (30, 165, 165),
        ),
    ),
    "ade20k150": _named(
        "wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, "
        "sidewalk, person, earth, door, table, mountain, plant, curtain, chair, car, water, "
        "painting, sofa, shelf, house, sea, mirror, rug, field, armchair, seat, fence, desk, "
        "rock, wardrobe, lamp, bathtub, railing, cushion, base, box, column, signboard, chest "
        "of drawers, counter, sand, sink, skyscraper, fireplace, refrigerator, grandstand, "
        "path, stairs, runway, case, pool table, pillow, screen door, stairway, river, "
        "bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench, "
        "countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade "
        "machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, "
        "booth, television, airplane, dirt track, apparel, pole, land, bannister, escalator, "
        "ottoman, bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, "
        "washer, plaything, swimming pool, stool, barrel, basket, waterfall, tent, bag, "
        "minibike, cradle, oven, ball, food, step, tank, trade name, microwave, pot, animal, "
        "bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase, traffic "
        "light, tray, ashcan, fan, pier, CRT screen, plate, monitor, bulletin board, shower, "
        "radiator, glass, clock, flag"
    ),
    "voc21": _named(
        "background, aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, "
        "dining table, dog, horse, motorbike, person, potted plant, sheep, sofa, train, tv "
        "monitor"
    ),
    "cityscapes19": _named(
        "road, sidewalk, building, wall, fence, pole, traffic light, traffic sign, "
        "vegetation, terrain, sky, person, rider, car, truck, bus, train, motorcycle, bicycle"
    ),
    "coco27": _named(
        "electronic, appliance, food (thing), furniture (thing), indoor, kitchen, accessory, "
        "animal, outdoor, person, sports, vehicle, ceiling, floor, food (stuff), furniture "
        "(stuff), raw material, textile, wall, window, building, ground, plant, sky, solid, "
        "structural, water"
    ),
}
CLASS_SETS["ade20k151"] = ClassSet(("other", *CLASS_SETS["ade20k150"].names))
BY_FOLDER = {"labels13": "nyu13", "labels39": "nyu39"}


def find_classes(wanted: str | None, root: Path, folder: str) -> ClassSet | None:
    """Return the classes by the name of a known set, from a text file, or from the folder itself.

    A file has one name per line. Without ``wanted``, ``classes.txt`` or ``<folder>_classes.txt`` in
    ``root`` is read, and the folders ``labels13`` and ``labels39`` are taken for NYUv2's. None if
    nobody says what the classes are.

    Raises:
        ExplorerError: ``wanted`` is neither a known set nor a file.
    """
    if wanted in CLASS_SETS:
        return CLASS_SETS[wanted]
    if wanted is not None:
        path = Path(wanted)
        if not path.is_file():
            raise ExplorerError(
                f"there are no classes called {wanted!r}: give a text file with one name per line, "
                f"or one of: {', '.join(CLASS_SETS)}"
            )
        return _read(path)
    for path in (root / f"{folder}_classes.txt", root / "classes.txt"):
        if path.is_file():
            return _read(path)
    return CLASS_SETS.get(BY_FOLDER.get(folder, ""))


def numbered(count: int) -> ClassSet:
    """Return ``count`` classes that have no names."""
    return ClassSet(tuple(f"class {number}" for number in range(count)))


def _read(path: Path) -> ClassSet:
    lines = [line.strip() for line in read_lines(path, "a list of classes")]
    return ClassSet(tuple(line for line in lines if line))
