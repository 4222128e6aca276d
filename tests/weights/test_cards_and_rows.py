"""Rows, cards, discovery and which checkpoint fits best."""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from explorer import weights as hub
from explorer.__main__ import main
from explorer.catalogue import checkpoint_rows, checkpoint_table
from explorer.core import ExplorerError, UnknownNameError, WeightsError
from explorer.weights import CHECKPOINTS, Checkpoint, lock
from explorer.weights.cards import card_text
from explorer.weights.loading import converted_card
from explorer.weights.paths import write_weights

CARD = {
    "method": "jafar",
    "backbone": "efficientnet_lite0",
    "stage": "blocks.5",
    "channels": 192,
    "options": {"v_dim": 192},
    "licence": "research only",
    "origin": "trained here",
    "recipe": {"steps": 10, "lr": 5e-4},
    "data": "802 photos",
    "steps": 10,
    "seconds": 3.5,
    "versions": {"torch": "2"},
    "seed": 0,
    "scores": {"cosine x2": 0.7},
}

NAF = next(row.sha256 for row in CHECKPOINTS if row.name == "naf_release")


def ship(places, name="jafar_efficientnet_lite0", **changes):
    weights = places / "checkpoints" / f"{name}.safetensors"
    save_file({"a": torch.ones(3)}, weights)
    hub.write_card(weights, {**CARD, **changes})
    return weights


def weights_command(*words):
    return main(["weights", *words])


def test_every_published_row_is_complete():
    assert max(Counter(row.name for row in CHECKPOINTS).values()) == 1
    assert Counter(row.method for row in CHECKPOINTS) == {
        "anyup": 2,
        "jafar": 14,
        "featup": 11,
        "loftup": 7,
        "naf": 1,
        "diveup": 1,
        "uplift": 2,
        "segmentation": 8,
        "depth": 2,
    }
    for row in CHECKPOINTS:
        assert row.licence and re.fullmatch(r"\d{4}\.\d{5}", row.paper) and row.file
        assert bool(row.repo) != bool(row.url)
        assert (row.url or "https://").startswith("https://")
        assert row.revision is None and (row.sha256 is None) == (row.size is None)
        assert row.origin == "published" and (row.method == "anyup") == (
            "feature_layer" in row.options
        )
    assert max(Counter(row.key for row in CHECKPOINTS).values()) == 1
    assert {row.name for row in CHECKPOINTS if row.sha256} == {
        "anyup_multi_backbone",
        "anyup_paper",
        "jafar_vit_small_patch14_dinov2.lvd142m",
        "naf_release",
        *(f"jafar_radio_v2.5-{size}" for size in "blh"),
        *(f"jafar_probe_{data}" for data in ("ade20k", "cityscapes", "coco", "voc")),
    }


def test_jafar_files_follow_their_names_not_the_swapped_links():
    for row in CHECKPOINTS:
        if row.method == "jafar":
            assert row.url.endswith(f"/{row.backbone}.pth")
            # RADIO normalises the image itself
            raw = row.backbone.startswith("radio")
            assert row.statistics == ("own" if raw else "backbone")
            assert not raw or (row.mean, row.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "../x"},
        {"name": "a/b"},
        {"name": "a..b"},
        {"name": ""},
        {"name": "<b>"},
        {"origin": "found"},
        {"transform": "eval"},
        {"sha256": "AB" * 32},
        {"revision": "main"},
    ],
)
def test_impossible_rows_are_refused(fields):
    with pytest.raises(WeightsError):
        Checkpoint(**{"name": "x", "method": "anyup", **fields})


def test_a_card_makes_a_row(places):
    weights = ship(places)
    card = hub.read_card(weights)
    assert card["sha256"] == hub.digest(weights) and card["size"] == weights.stat().st_size
    row = hub.checkpoint("jafar_efficientnet_lite0")
    assert (row.origin, row.stage, row.channels, row.options) == (
        "trained here",
        "blocks.5",
        192,
        {"v_dim": 192},
    )
    loaded = hub.load("jafar_efficientnet_lite0")
    assert loaded.verified and loaded.label == "trained here" and list(loaded.state) == ["a"]
    text = weights.with_suffix(".md").read_text()
    assert "research only" in text and "cosine x2: 0.7" in text and "lr: 0.0005" in text


def test_text_in_a_card_cannot_break_its_table():
    assert "a\\|b c" in card_text({**CARD, "name": "x", "data": "a|b\nc"})


@pytest.mark.parametrize("missing", ["method", "backbone", "licence", "recipe", "seed", "scores"])
def test_a_card_lacking_a_field_is_refused(places, missing):
    weights = places / "checkpoints" / "x.safetensors"
    save_file({"a": torch.ones(3)}, weights)
    with pytest.raises(WeightsError, match=f"lacks: .*{missing}"):
        hub.write_card(weights, {k: v for k, v in CARD.items() if k != missing})
    assert not weights.with_suffix(".json").exists()


def test_changed_weights_are_refused_by_their_card(places):
    weights = ship(places)
    stat = weights.stat()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    for action in (hub.read_card, hub.resolve, hub.load):
        with pytest.raises(WeightsError, match=hub.digest(weights)):
            action(weights)
    with pytest.raises(WeightsError, match="tampered"):
        hub.load("jafar_efficientnet_lite0")
    assert len(hub.problems(places / "checkpoints")) == 1


def test_uncarded_and_broken_files_are_skipped_and_said(places, caplog):
    ship(places)
    folder = places / "checkpoints"
    save_file({"a": torch.ones(3)}, folder / "alone.safetensors")
    for name, text in (("broken", "{"), ("list", "[]"), ("old", '{"schema": 0}')):
        save_file({"a": torch.ones(3)}, folder / f"{name}.safetensors")
        (folder / f"{name}.json").write_text(text)
    evil = json.loads((folder / "jafar_efficientnet_lite0.json").read_text())
    save_file({"a": torch.ones(3)}, folder / "evil.safetensors")
    (folder / "evil.json").write_text(json.dumps({**evil, "name": "../../evil"}))
    with caplog.at_level(logging.WARNING):
        assert [row.name for row in hub.discover(folder)] == ["jafar_efficientnet_lite0"]
    assert len(caplog.records) == 5
    assert len(hub.problems(folder)) == 5


def test_a_card_cannot_take_a_published_name(places, caplog):
    ship(places, "anyup_paper", method="anyup", backbone="any")
    with caplog.at_level(logging.WARNING):
        assert hub.checkpoint("anyup_paper").origin == "published"
    assert "carries the name of a published" in caplog.text


def test_the_best_fitting_comes_first(places):
    ship(places)
    ship(places, "jafar_lite0_blocks4", stage="blocks.4", channels=112)
    ship(places, "anyup_lite", method="anyup", backbone="any", channels=None, stage=None)
    ship(
        places,
        "anyup_trained",
        method="anyup",
        backbone="any",
        channels=None,
        stage=None,
        trained_on=["efficientnet_lite0"],
    )

    def names(*wanted):
        return [row.name for row in hub.find(*wanted)]

    assert names("jafar", "efficientnet_lite0", "blocks.5", 192) == ["jafar_efficientnet_lite0"]
    assert names("jafar", "efficientnet_lite0", "blocks.4") == ["jafar_lite0_blocks4"]
    assert names("jafar", "efficientnet_lite0", None, 112) == ["jafar_lite0_blocks4"]
    assert names("jafar", "efficientnet_lite1") == []
    assert names("anyup", "efficientnet_lite0", "blocks.5", 192) == [
        "anyup_trained",
        "anyup_lite",
        "anyup_multi_backbone",
        "anyup_paper",
    ]
    dinov2 = "vit_small_patch14_dinov2.lvd142m"
    assert names("anyup", dinov2)[:2] == ["anyup_multi_backbone", "anyup_paper"]
    assert names("featup", dinov2) == ["featup_dinov2", "featup_dinov2_norm"]
    assert names("jafar", "vit_base_patch16_224.augreg2_in21k_ft_in1k") == [
        "jafar_vit_base_patch16_224"
    ]
    assert names("segmentation", dinov2, None, 384)[:1] == ["dinov2_vits14_ade20k_linear"]
    assert len(names("jafar")) == 16


def test_an_unknown_name_lists_the_choices(places):
    with pytest.raises(UnknownNameError, match="anyup_paper.*naf_release"):
        hub.checkpoint("anyup_papr")
    with pytest.raises(WeightsError, match="no file"):
        hub.resolve("some/where.safetensors")


def test_a_file_put_by_hand_is_found_by_name_only_if_that_is_clear(places):
    folder = places / "checkpoints"
    (folder / "pytorch_model.bin").write_bytes(b"x")  # seven rows have this file name
    (folder / "naf_release.pth").write_bytes(b"x")
    (folder / "loftup_clip.bin").write_bytes(b"x")
    found = [row.name for row in hub.checkpoints() if hub.local_file(row)]
    assert found == ["loftup_clip", "naf_release"]


def test_of_two_trained_here_the_plainly_named_one_is_the_default():
    """What learned from drawn labels lies beside it and is chosen by name."""
    names = [row.name for row in hub.find("jafar", "efficientnet_lite0")]
    assert names[:2] == ["jafar_efficientnet_lite0", "jafar_efficientnet_lite0_labels"]


def test_not_built_methods_are_marked():
    rows = hub.mark_built(CHECKPOINTS, ("anyup", "jafar"))
    assert {row.method for row in rows if not row.built} >= {"loftup", "naf"}
    assert all(row.built for row in rows if row.method == "anyup")


def test_built_is_what_an_upsampler_or_a_kind_of_probe_can_use():
    from explorer.probes import PROBES
    from explorer.upsamplers import UPSAMPLERS

    rows = checkpoint_rows()
    for row in rows:
        assert row.built == (row.method in UPSAMPLERS or row.method in PROBES), row.name
    assert {row.method for row in rows if row.built} > set(PROBES) - {"normals"}
    said = {cells[0]: cells[-1] for cells in checkpoint_table()[1]}
    assert said["nyu13_efficientnet_lite0"] == "yes"  # shipped
    assert said["jafar_probe_voc"] in ("yes", "needs a download")
    assert said["loftup_clip"] == "method not built yet"


UNPINNED = "loftup_clip"  # no digest is listed for it


def test_shipped_pins_win_and_the_lock_file_is_checked(places, monkeypatch):
    row = hub.checkpoint(UNPINNED)
    lock.add_pins({row.key: {"sha256": "aa" * 32, "size": 3, "revision": None, "name": row.name}})
    assert hub.checkpoint(UNPINNED).sha256 == "aa" * 32
    shipped = places / "checkpoints" / lock.LOCK_NAME
    lock.add_pins({row.key: {"sha256": "bb" * 32, "size": 3, "name": row.name}}, shipped)
    assert hub.checkpoint(UNPINNED).sha256 == "bb" * 32
    for action in (hub.resolve, hub.load):
        with pytest.raises(WeightsError, match="remove the pin that is wrong"):
            action(replace(row, sha256="cc" * 32))
    monkeypatch.setenv("EXPLORER_WEIGHTS_LOCK", str(places / "other.json"))
    assert hub.checkpoint(UNPINNED).sha256 is None
    (places / "other.json").write_text("[]")
    with pytest.raises(WeightsError, match="no lock file"):
        hub.checkpoints()


def test_a_pin_against_a_listed_digest_stops_that_row_alone(places, capsys):
    row = hub.checkpoint("naf_release")
    lock.add_pins({row.key: {"sha256": "aa" * 32, "size": 3, "name": row.name}})
    ship(places)
    assert hub.checkpoint("naf_release").sha256 == NAF
    assert "jafar_efficientnet_lite0" in {row.name for row in hub.checkpoints()}
    assert hub.load("jafar_efficientnet_lite0").verified
    assert weights_command("list") == 0 and "naf_release" in capsys.readouterr().out
    torch.save({"a": torch.ones(2)}, places / "naf_release.pth")
    for action in (
        lambda: hub.load("naf_release"),
        lambda: hub.convert(places / "naf_release.pth"),
    ):
        with pytest.raises(WeightsError, match="remove the pin that is wrong"):
            action()


def test_a_file_without_the_listed_digest_is_neither_used_nor_pinned(places, capsys):
    torch.save({"a": torch.ones(2)}, places / "checkpoints" / "naf_release.pth")
    listed = NAF
    with pytest.raises(WeightsError, match=f"{listed} was expected"):
        hub.load("naf_release")
    for words in (["lock"], ["lock", "naf_release", "--force"]):
        assert weights_command(*words) == 1
        assert f"must have {listed}" in capsys.readouterr().out
    assert lock.pins() == {}
    with pytest.raises(WeightsError, match="it was not converted"):
        hub.convert(places / "checkpoints" / "naf_release.pth")


def test_a_converted_copy_must_come_from_the_pinned_file(places):
    row = hub.checkpoint(UNPINNED)
    source = places / f"{UNPINNED}.bin"
    torch.save({"a": torch.ones(2)}, source)
    hub.convert(source)
    assert hub.load(UNPINNED).verified
    lock.add_pins({row.key: {"sha256": "aa" * 32, "name": row.name}})
    with pytest.raises(WeightsError, match="aa" * 32):
        hub.load(UNPINNED)
    with pytest.raises(WeightsError, match="it was not converted"):
        hub.convert(source)


def test_a_converted_copy_must_come_from_the_listed_file(places):
    """A copy converted before its row had a digest is measured against that digest, too."""
    source = places / "naf_release.pth"
    torch.save({"a": torch.ones(2)}, source)
    row, seen = hub.checkpoint("naf_release"), hub.digest(source)
    target = places / "cache" / "converted" / "naf_release.safetensors"
    write_weights(target, {"a": torch.ones(2)})
    hub.write_card(target, converted_card(row, source, seen))
    with pytest.raises(WeightsError, match=f"{NAF} is pinned"):
        hub.load("naf_release")
    hub.write_card(target, converted_card(row, source, NAF))
    assert hub.load("naf_release").label == "converted"


def test_written_weights_are_readable_for_others_and_whole_or_as_they_were(tmp_path, monkeypatch):
    """safetensors' own ``save_file`` makes files that only their owner may read."""
    path = tmp_path / "folder" / "weights.safetensors"
    rows = torch.arange(6.0).reshape(2, 3)
    write_weights(path, {"a": rows.T})
    assert path.stat().st_mode & 0o777 == 0o644
    assert torch.equal(load_file(path)["a"], rows.T)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ExplorerError, match="weights.safetensors cannot be written.*No space"):
        write_weights(path, {"a": torch.zeros(1)})
    assert [entry.name for entry in path.parent.iterdir()] == ["weights.safetensors"]
    assert torch.equal(load_file(path)["a"], rows.T)


def test_convert_says_that_a_file_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="there is no file .*naf_release.pth"):
        hub.convert(str(tmp_path / "naf_release.pth"))
