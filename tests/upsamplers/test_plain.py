"""The plain formulas, which the bench times, give what the methods give."""

from __future__ import annotations

import pytest
import torch
from plain import PLAIN

from explorer.__main__ import main
from explorer.upsamplers import UPSAMPLERS


@pytest.mark.parametrize("name", PLAIN)
@torch.no_grad()
def test_plain_formula_and_method_agree(name):
    torch.manual_seed(0)
    kind = UPSAMPLERS.get(name)
    method = kind(**(kind.options_for(8) | dict(kind.small_options))).eval()
    image, features = torch.rand(2, 3, 48, 40), torch.randn(2, 8, 6, 5)
    found = method(image, features, (48, 40))
    assert torch.allclose(PLAIN[name](method, image, features, (48, 40)), found, atol=1e-5)


@pytest.mark.slow
def test_the_bench_prints_both_and_their_ratio(capsys, tmp_path):
    words = ["--methods", "bilinear,anyup", "--sizes", "168", "--channels", "16"]
    assert main(["bench", "upsamplers", *words, "--out", str(tmp_path / "t.md")]) == 0
    table = (tmp_path / "t.md").read_text()
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == ["| bilinear", "| anyup"]
    assert float(rows[1][9]) > 0 and float(rows[1][11].strip(" |")) > 0
    assert table in capsys.readouterr().out
