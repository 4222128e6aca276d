"""The mean of several runs' weights, and its card."""

import pytest
import torch
from safetensors.torch import load_file

from explorer.__main__ import main
from explorer.training.recipe import recipe
from explorer.training.shipping import write_run_card
from explorer.upsamplers import UPSAMPLERS
from explorer.weights.cards import read_card
from explorer.weights.paths import write_weights


def made(path, method="jafar", backbone="efficientnet_lite0:blocks.4", labelled=(), **options):
    """Write random weights of a small upsampler, with the card of a run."""
    options = {"qk_dim": 16} | options
    kind = UPSAMPLERS.get(method)
    torch.manual_seed(len(path.stem))
    model = kind(**(kind.options_for(112) | options))
    write_weights(path, model.state_dict())
    terms = {"terms": (("views", 1.0), ("label_consistency", 1.0))} if labelled else {}
    about = recipe(
        method,
        "small",
        backbones=(backbone,),
        options=tuple(options.items()),
        labelled=labelled,
        **terms,
    )
    run = {"recipe": about.to_dict(), "options": options, "step": 5, "best_step": 4, "seconds": 3.0}
    write_run_card(path, run, {}, 112, {"data": "photos", "versions": {}})
    return path


def test_the_mean_has_a_card_that_names_its_parts(tmp_path):
    first = made(tmp_path / "a.safetensors")
    second = made(tmp_path / "bb.safetensors", labelled=("rooms/labels",), bilinear_heads=1)
    out = tmp_path / "mean.safetensors"
    assert main(["mix", f"{second}=3", str(first), "--out", str(out)]) == 0
    one, two, mean = (load_file(path) for path in (first, second, out))
    assert mean.keys() == one.keys()
    for key, value in mean.items():
        torch.testing.assert_close(value, 0.25 * one[key] + 0.75 * two[key])
    assert any((one[key] - two[key]).abs().max() > 0.01 for key in mean)
    card = read_card(out)
    assert card["options"] == {"qk_dim": 16, "bilinear_heads": 1}  # the first one's
    assert card["steps"] == 10 and card["seconds"] == 6 and card["best_step"] == 8
    assert card["recipe"]["labelled"] == ["rooms/labels"]
    parts = card["recipe"]["mixture"]
    assert [part["name"] for part in parts] == ["bb", "a"]
    assert [part["share"] for part in parts] == [0.75, 0.25]
    assert [part["sha256"] for part in parts] == [read_card(p)["sha256"] for p in (second, first)]
    assert parts[0]["recipe"]["labelled"] == ["rooms/labels"]


def test_a_mixture_is_scored_like_a_run(photos, tmp_path):
    parts = [str(made(tmp_path / f"{name}.safetensors")) for name in ("a", "bb")]
    out = tmp_path / "mean.safetensors"
    assert main(["mix", *parts, "--out", str(out)]) == 0
    shipped = tmp_path / "checkpoints"
    given = ["--data", str(photos), "--held-out", "2", "--photos", "1", "--guidance", "32"]
    assert main(["ship", str(out), *given, "--out", str(shipped), "--device", "cpu"]) == 0
    card = read_card(shipped / "mean.safetensors")
    assert card["scores"]["efficientnet_lite0:blocks.4"]["photos"] == 1
    assert card["data"].startswith("11 photos of photos") and card["channels"] == 112
    assert card["sha256"] == read_card(out)["sha256"]


@pytest.mark.parametrize(
    "second, says",
    [
        (None, "two or more"),
        ({"share": "0"}, "shares above 0"),
        ({"share": "half"}, "WEIGHTS=SHARE"),
        ({"method": "anyup"}, "method"),
        ({"backbone": "efficientnet_lite1:blocks.4"}, "backbones"),
        ({"qk_dim": 32}, "other parameters"),
        ({"lost": ".safetensors"}, "has not been trained here"),
        ({"lost": ".json"}, "has not been trained here"),
    ],
)
def test_what_cannot_be_mixed_is_refused_in_a_sentence(tmp_path, capsys, second, says):
    given, out = [str(made(tmp_path / "a.safetensors"))], tmp_path / "mean.safetensors"
    if second is not None:
        share, lost = second.pop("share", "1"), second.pop("lost", None)
        path = made(tmp_path / "bb.safetensors", **second)
        if lost:
            path.with_suffix(lost).unlink()
        given.append(f"{path}={share}")
    assert main(["mix", *given, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert says in said and len(said.strip().splitlines()) == 1
    assert not out.exists()
