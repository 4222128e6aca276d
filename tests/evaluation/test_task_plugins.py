"""A task of a probe, a comparison: one file each, found by the command, the run and the report."""

from __future__ import annotations

import json
import shutil

import pytest
from plugins import plugged_in

import explorer.datasets.readers as readers
import explorer.evaluation.comparisons as comparisons
import explorer.evaluation.tasks as tasks
from explorer.__main__ import build_parser, main
from explorer.core import UnknownNameError
from explorer.datasets import check_dataset, open_dataset
from explorer.evaluation import task_names
from explorer.probes import PROBES

COMPARISON = '''
"""Contrast: the spread of the upsampled features."""

from explorer.evaluation.comparisons.base import COMPARISONS, Comparison
from explorer.evaluation.tasks import Column


@COMPARISONS.register("contrast")
class Contrast(Comparison):
    """Standard deviation of the upsampled features."""

    name = "contrast"
    columns = (Column("spread", "spread", 1, 3, main=True),)

    def measure(self, stage, scene, method, truth):
        made = method.upsampler.prepare(scene.guidance, scene.features, scene.size)
        return {"spread": made.features().std().item()}
'''

TASK = '''
"""Coarse classes: labels scored by pixel accuracy alone."""

from explorer.evaluation.tasks.base import TASKS, Column
from explorer.evaluation.tasks.segmentation import Segmentation


@TASKS.register("accuracy")
class Accuracy(Segmentation):
    """Segmentation by pixel accuracy."""

    name = "accuracy"
    columns = (Column("accuracy", "pixel acc.", 100, 1, main=True),)

    def scores(self, sums):
        return {"accuracy": super().scores(sums)["accuracy"]}
'''


READER = '''
"""Heights in centimetres."""

import numpy as np
import torch
from PIL import Image

from explorer.datasets.readers.base import READERS, MapReader


@READERS.register("heights")
class Heights(MapReader):
    """Heights in metres, and where they are above the ground."""

    name = "heights"

    def read(self, path):
        metres = torch.from_numpy(np.array(Image.open(path)).astype(np.float32) / 100)
        return metres, metres > 0
'''


def run(scenes, out, task, *more):
    words = ["--data", str(scenes), "--out", str(out), "--upsamplers", "bilinear,nearest"]
    words += ["--controls", "none", "--input-size", "96", "--output-size", "96", "--limit", "4,4"]
    assert main(["evaluate", task, *words, *more]) == 0
    return json.loads((out / "report.json").read_text())


def test_a_comparison_is_one_file(scenes, tmp_path, capsys):
    with plugged_in(comparisons.COMPARISONS, comparisons, tmp_path, "contrast", COMPARISON):
        assert "contrast" in task_names()
        found = run(scenes, tmp_path / "out", "contrast")
    table = next(iter(found["tables"].values())) if isinstance(found["tables"], dict) else None
    table = table or found["tables"][0]
    assert {row["key"] for row in table["rows"]} >= {"bilinear", "nearest"}
    assert "contrast" not in task_names()


@pytest.mark.slow
def test_a_task_is_one_file_beside_a_probe_of_its_name(scenes, tmp_path, monkeypatch):
    monkeypatch.setitem(PROBES._entries, "accuracy", PROBES.get("segmentation"))
    with plugged_in(tasks.TASKS, tasks, tmp_path, "accuracy", TASK):
        assert "accuracy" in task_names()
        more = ("--labels", "labels", "--seeds", "1", "--steps", "30", "--pixels", "64")
        found = run(scenes, tmp_path / "out", "accuracy", *more)
    assert "pixel acc." in json.dumps(found)


def test_the_command_offers_every_task():
    names = task_names()
    assert set(tasks.TASKS) | set(comparisons.COMPARISONS) | {"preservation"} == set(names)
    for name in names:
        assert build_parser().parse_args(["evaluate", name, "--data", "."]).task == name


def test_a_kind_of_map_is_one_file(scenes, tmp_path):
    shutil.copytree(scenes / "images", tmp_path / "images")
    shutil.copytree(scenes / "depth", tmp_path / "heights")
    (tmp_path / "code").mkdir()
    with plugged_in(readers.READERS, readers, tmp_path / "code", "heights", READER):
        data = open_dataset(tmp_path, "heights")
        metres, valid = data.read(data.train[0], data.train[0].photo())
        assert metres.shape == valid.shape == (64, 96) and metres.max() > 9
        assert check_dataset(tmp_path, "heights") == []
    with pytest.raises(UnknownNameError, match="kind of map called 'heights'.*labels"):
        open_dataset(tmp_path, "heights")
