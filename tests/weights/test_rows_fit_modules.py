"""The published rows against the modules they are for: options and names of keys.

Rows with a listed digest take the authors' own file only: `test_published_files` reads those.
"""

from __future__ import annotations

import pytest
import torch

from explorer import weights
from explorer.upsamplers import UPSAMPLERS
from explorer.weights import CHECKPOINTS

BUILT = [row for row in CHECKPOINTS if row.method in UPSAMPLERS]


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.name)
def test_options_are_taken_by_the_constructor(row):
    with torch.device("meta"):
        module = UPSAMPLERS.create(row.method, **row.options)
    widths = {getattr(module, name, None) for name in ("v_dim", "feat_dim")} - {None}
    assert widths <= {row.channels}


def published_layout(row, state):
    """Wrap a module's own state dict as the authors' files are described to do it."""
    if row.method == "jafar":
        return {"jafar": state, "optimizer_jafar": {"state": {}}, "epoch": 1}
    if row.method == "featup":
        named = {
            f"model.1.{k.removeprefix('channelnorm.')}"
            if k[:7] == "channel"
            else f"upsampler.{k}": v
            for k, v in state.items()
        }
        noise = {"model.0.cls_token": torch.ones(3), "scale_net.net.weight": torch.ones(3)}
        return {"state_dict": {**named, **noise}, "pytorch-lightning_version": "2.0"}
    return state


@pytest.mark.parametrize(
    "name",
    [
        "jafar_vit_base_patch14_dinov2.lvd142m",
        "featup_dinov2",
        "featup_dinov2_norm",
    ],
)
def test_a_file_of_an_unpinned_row_loads_strictly_before_and_after_conversion(places, name):
    row = weights.checkpoint(name)
    module = UPSAMPLERS.create(row.method, **row.options)
    end = row.file.rsplit(".", 1)[1]
    file = places / "checkpoints" / f"{name}.{end}"
    torch.save(published_layout(row, module.state_dict()), file)
    for _ in range(2):
        fresh = UPSAMPLERS.create(row.method, **row.options)
        fresh.load_state_dict(weights.load_state(name), strict=True)
        pairs = zip(fresh.state_dict().values(), module.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        weights.convert(name)
    assert weights.load(name).label == "converted"
