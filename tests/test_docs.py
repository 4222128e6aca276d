"""What the documentation says in numbers is what the shipped cards say."""

import json
import re
from pathlib import Path

import pytest

from explorer.training.recipe import PUBLISHED

ROOT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|\n ").split("|")]
    for line in (ROOT / "docs" / "training.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \w+_efficientnet_lite\w* \| efficientnet", line)
]


def test_every_shipped_upsampler_is_in_the_table():
    scored = set()
    for path in (ROOT / "checkpoints").glob("*.json"):
        card = json.loads(path.read_text())
        if card.get("method") in PUBLISHED:
            scored |= {(path.stem, name) for name in card["scores"]}
    assert scored and {tuple(row[:2]) for row in ROWS} == scored


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_the_table_of_shipped_weights_repeats_their_cards(row):
    name, backbone = row[:2]
    found = json.loads((ROOT / "checkpoints" / f"{name}.json").read_text())["scores"][backbone]

    def pair(form, key):
        return " / ".join(form.format(found[f"{key}_x{factor}"]) for factor in (2, 4))

    assert row[2] == str(found["guidance"])
    assert row[3:6] == [pair("{:.3f}", key) for key in ("bilinear", "jbu", "cosine")]
    assert row[6] == pair("{:+.4f}", "gain")
    assert row[7] == pair("{:.0%}", "wins")
    assert row[8] == pair("{:.3f}", "ceiling")
    assert row[9] == pair("{:.0%}", "share_of_gap")
    assert row[10].startswith(f"{100 * found['labels']:.1f} %")
