"""Pickled checkpoints: converted without executing them, or refused."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import functools
import os
import pathlib
import pickle
import posix
import sys
import types
import typing
import uuid
import zipfile
from collections import OrderedDict, defaultdict

import pytest
import torch
from fake_hub import same

from explorer import weights
from explorer.core import WeightsError
from explorer.weights.pickles import Archive
from explorer.weights.state_dicts import read_state


def write(path, content):
    torch.save(content, path)
    return path


def zip_with(path, data: bytes, extra=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in extra:
            archive.writestr(name, content)
    return path


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def omegaconf():
    """A stand-in for the omegaconf package, there only while a file is written."""
    names = ("omegaconf", "omegaconf.dictconfig", "omegaconf.base", "omegaconf.nodes")
    modules = {name: types.ModuleType(name) for name in names}

    class Metadata:
        def __init__(self, ref_type):
            self.ref_type = ref_type

    class DictConfig(dict):
        def __init__(self, content):
            super().__init__(content)
            self._metadata = Metadata(dict)

        def __reduce__(self):
            return DictConfig, (dict(self),), {"_metadata": self._metadata}, iter([1]), None

        def append(self, _):
            pass

        extend = append

    for cls, name in ((Metadata, "omegaconf.base"), (DictConfig, "omegaconf.dictconfig")):
        cls.__module__, cls.__qualname__ = name, cls.__name__
        setattr(modules[name], cls.__name__, cls)
    sys.modules.update(modules)
    yield DictConfig
    for name in names:
        sys.modules.pop(name, None)


def test_a_training_checkpoint_with_omegaconf_is_read_and_nothing_imported(
    tmp_path, state, omegaconf
):
    parameter = torch.nn.Parameter(torch.randn(4, 4))
    content = {
        "jafar": OrderedDict({**state, "tied": parameter, "turned": state["a.weight"].T}),
        "optimizer_jafar": {
            "state": {0: {"exp_avg": state["a.weight"] + 1}},
            "betas": (0.9, 0.999),
        },
        "cfg": omegaconf({"lr": 1e-3, "backbone": {"name": "vit"}}),
        "epoch": 3,
        "seen": defaultdict(list, {"a": [1]}),
        "sizes": torch.Size([1, 2]),
        "where": torch.device("cpu"),
        "kind": torch.float16,
        "flags": {1, 2},
    }
    path = write(tmp_path / "jafar.pth", content)
    for name in list(sys.modules):
        if name.startswith("omegaconf"):
            del sys.modules[name]
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    read = read_state(path, "jafar")
    expected = {**state, "tied": parameter.detach(), "turned": state["a.weight"].T}
    assert same(read, expected)
    assert all(v.is_contiguous() and not v.requires_grad for v in read.values())
    assert not any(name.startswith("omegaconf") for name in sys.modules)
    assert same(read_state(path, "auto"), expected)


def test_views_of_one_storage_come_out_right(tmp_path):
    base = torch.arange(24.0).reshape(4, 6)
    parts = {"rows": base[1:3], "column": base[:, 2], "scalar": base[0, 5], "none": base[:0]}
    read = read_state(write(tmp_path / "v.pth", {"jafar": parts}), "jafar")
    assert same(read, parts)


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
    + [torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128],
)
def test_every_type_of_element(tmp_path, dtype):
    tensors = {"t": (torch.arange(-3, 4) % 5).to(dtype)}
    assert same(read_state(write(tmp_path / "t.pth", {"anyup": tensors}), "anyup"), tensors)


def test_newer_types_go_through_untyped_storage(tmp_path):
    tensors = {"t": torch.arange(5).to(torch.uint16)}
    assert same(read_state(write(tmp_path / "t.pth", {"anyup": tensors}), "anyup"), tensors)


def test_numpy_scalars_are_shells(tmp_path, state):
    import numpy as np

    content = {"state_dict": {f"decode_head.{k}": v for k, v in state.items()}}
    content["meta"] = {"loss": np.float64(0.3), "kind": np.dtype("int32"), "all": np.arange(3)}
    assert same(read_state(write(tmp_path / "head.pth", content), "head"), state)


BUILTIN_TYPES = (
    *(int, str, bytes, float, bool, complex, list, tuple, dict, set, frozenset, bytearray),
    *(range, slice, object, type, type(None)),
)
DESCRIPTIONS = {  # what a checkpoint may say of its run beside the tensors
    **{f"type {kind.__name__}": kind for kind in BUILTIN_TYPES},
    "an ellipsis": ...,
    "bytes": [b"a\xff", b"", bytearray(b"ab")],
    "numbers": [1j, 10**40, -1, True, decimal.Decimal("1.5"), fractions.Fraction(1, 3)],
    "text": "\u00fc \u2603",
    "sets": [{1}, frozenset({1})],
    "ranges": [range(3), slice(1, 2)],
    "collections": [
        collections.Counter("aab"),
        collections.deque([1], 3),
        collections.UserDict(a=1),
        collections.ChainMap({"a": 1}),
    ],
    "times": [datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(1)],
    "identity": uuid.UUID(int=7),
    "paths": [pathlib.Path("a/b"), pathlib.PurePosixPath("a")],
    "arguments": [types.SimpleNamespace(a=1), argparse.Namespace(b=2)],
    "annotations": [typing.Any, typing.Optional[int], list[int]],  # noqa: UP045
    "torch's own": [torch.Size([1]), torch.device("cpu"), torch.strided, torch.__version__],
    "tensor classes": [torch.Tensor, torch.nn.Parameter],
}


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_of_a_run_are_passed_over_in_every_protocol(tmp_path, state, name, protocol):
    """Protocols 1 and 2 write ``int`` as ``__builtin__.long``: JAFAR's probes are such files."""
    path = tmp_path / "x.pth"
    torch.save({"jafar": state, "about": DESCRIPTIONS[name]}, path, pickle_protocol=protocol)
    assert same(read_state(path, "jafar"), state)


def test_a_python_2_name_is_no_way_around_the_list(tmp_path):
    for module, name in (("__builtin__", "raw_input"), ("__builtin__", "reduce"), ("os", "popen2")):
        data = b"\x80\x02" + op(name, module) + b"."
        with pytest.raises(WeightsError, match="nothing in it was executed"):
            Archive(zip_with(tmp_path / "x.pth", data))
    python3 = b"\x80\x03" + op("long", "__builtin__") + b"."  # no file of protocol 3 says this
    with pytest.raises(WeightsError, match="__builtin__.long"):
        Archive(zip_with(tmp_path / "x.pth", python3))


def test_dictionaries_of_other_classes_are_read(tmp_path, state):
    for kind in (dict, OrderedDict, functools.partial(defaultdict, list)):
        content = {"state_dict": kind({f"decode_head.{k}": v for k, v in state.items()})}
        assert same(read_state(write(tmp_path / "h.pth", content), "head"), state)


def test_a_tensor_with_attributes_is_read_without_them(tmp_path):
    tagged = torch.arange(6.0)
    tagged.note = "kept elsewhere"
    path = write(tmp_path / "t.pth", {"jafar": {"a": tagged}})
    assert same(read_state(path, "jafar"), {"a": torch.arange(6.0)})


def attacks(marker):
    command = f"touch {marker}"
    return {
        "os.system": Evil(os.system, command),
        "posix.system": Evil(posix.system, command),
        "eval": Evil(eval, f"open({str(marker)!r}, 'w')"),
        "exec": Evil(exec, f"open({str(marker)!r}, 'w')"),
        "getattr": Evil(getattr, "a", "upper"),
        "import": Evil(__import__, "os"),
        "open": Evil(open, str(marker), "w"),
        "torch.load": Evil(torch.load, str(marker)),
        "storage bytes": Evil(torch.storage._load_from_bytes, b"x"),
        "hub": Evil(torch.hub.load, "a/b", "c"),
        "module": Evil(torch.nn.Linear, 1, 1),
        "partial": Evil(functools.partial, os.system, command),
    }


@pytest.mark.parametrize("name", attacks("x"))
@pytest.mark.parametrize("transform", ["jafar", "featup", "head", "auto", "state_dict", "loftup"])
def test_an_evil_pickle_is_refused_and_not_executed(tmp_path, state, name, transform):
    marker = tmp_path / "executed"
    content = {"jafar": state, "state_dict": {"upsampler.a": state["b"]}, "cfg": None}
    content["cfg"] = attacks(marker)[name]
    path = write(tmp_path / "evil.pth", content)
    with pytest.raises(WeightsError) as raised:
        read_state(path, transform)
    assert not marker.exists()
    assert "nothing in it was executed" in str(raised.value)


def test_the_refusal_names_what_it_found(tmp_path, state):
    path = write(tmp_path / "evil.pth", {"jafar": state, "x": Evil(os.system, "true")})
    with pytest.raises(WeightsError, match="posix.system"):
        read_state(path, "jafar")


def test_an_evil_file_is_not_run_through_load_or_convert(places, state):
    marker = places / "executed"
    path = places / "checkpoints" / "jafar_vit_base_patch16_224.pth"
    write(path, {"jafar": state, "cfg": attacks(marker)["os.system"]})
    for action in (weights.load, weights.load_state, weights.convert):
        with pytest.raises(WeightsError, match="refused"):
            action("jafar_vit_base_patch16_224")
        with pytest.raises(WeightsError, match="refused"):
            action(path)
    assert not marker.exists() and not (places / "cache" / "converted").exists()


def op(name, module="builtins"):
    return b"c" + f"{module}\n{name}\n".encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02"
        + op("OrderedDict", "collections")
        + b"](K\x01K\x02\x86e\x85R.",  # called with a list
        b"\x80\x02(i" + b"os\nsystem\n.",  # INST
        b"\x80\x02(" + op("list") + b"o.",  # OBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02K\x01)R.",  # calling a number
        b"\x80\x02" + op("FloatStorage", "torch") + b")R.",  # calling a storage type
        b"\x80\x02r\xff\xff\xff\x7f.",  # memo index 2^31 with nothing on the stack
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # a string of 2 GB that isn't there
        b"\x80\x02]" + b"0" * 50 + b".",
        b"",
        b"garbage",
    ],
)
def test_crafted_pickles_are_refused_quickly(tmp_path, data):
    with pytest.raises(WeightsError):
        Archive(zip_with(tmp_path / "x.pth", data))


def test_a_huge_memo_index_costs_nothing(tmp_path):
    # The C unpickler would allocate 2^31 pointers for these few bytes.
    archive = Archive(zip_with(tmp_path / "x.pth", b"\x80\x02K\x01r\xff\xff\xff\x7f."))
    assert archive.content == 1


def test_attributes_cannot_be_planted(tmp_path):
    # BUILD on whatever find_class returned must leave no trace for the next file.
    for target in (op("OrderedDict", "collections"), op("_rebuild_tensor_v2", "torch._utils")):
        data = b"\x80\x02" + target + b"}X\x04\x00\x00\x00evilK\x01sb."
        with pytest.raises(WeightsError):
            read_state(zip_with(tmp_path / "x.pth", data), "jafar")
    assert not hasattr(OrderedDict, "evil")
    data = b"\x80\x02" + op("float32", "torch") + b"}X\x04\x00\x00\x00evilK\x01sb."
    with pytest.raises(WeightsError):
        read_state(zip_with(tmp_path / "x.pth", data), "jafar")
    assert not hasattr(torch.float32, "evil")


def tampered(source, target, change):
    """Copy a torch zip, changing members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target


def test_a_tensor_that_reaches_beyond_its_data_is_refused(tmp_path):
    path = write(tmp_path / "x.pth", {"jafar": {"a": torch.ones(100)}})
    short = lambda n, c: c[:40] if n.endswith("data/0") else c  # noqa: E731
    with pytest.raises(WeightsError, match="reaches beyond"):
        read_state(tampered(path, tmp_path / "short.pth", short), "jafar")
    gone = lambda n, c: None if n.endswith("data/0") else c  # noqa: E731
    with pytest.raises(WeightsError, match="damaged"):
        read_state(tampered(path, tmp_path / "gone.pth", gone), "jafar")


def test_an_expanded_tensor_cannot_fill_the_memory(tmp_path):
    huge = torch.ones(1).expand(2**20, 2**20)
    path = write(tmp_path / "x.pth", {"jafar": {"a": huge}})
    with pytest.raises(WeightsError, match="reaches beyond"):
        read_state(path, "jafar")


def test_compressed_legacy_script_and_cut_off_files_are_refused(tmp_path, state):
    with pytest.raises(WeightsError, match="compressed"):
        packed = zip_with(tmp_path / "z.pth", pickle.dumps({}), compression=zipfile.ZIP_DEFLATED)
        read_state(packed, "jafar")
    legacy = tmp_path / "legacy.pth"
    torch.save({"jafar": state}, legacy, _use_new_zipfile_serialization=False)
    for transform in ("jafar", "state_dict"):
        with pytest.raises(WeightsError, match="zip format"):
            read_state(legacy, transform)
    script = zip_with(tmp_path / "s.pth", pickle.dumps({}), [("archive/constants.pkl", b"")])
    with pytest.raises(WeightsError, match="torch.save"):
        read_state(script, "jafar")
    whole = write(tmp_path / "w.pth", {"jafar": state}).read_bytes()
    for share in (0.1, 0.5, 0.99):
        cut = tmp_path / "cut.pth"
        cut.write_bytes(whole[: int(len(whole) * share)])
        for transform in ("jafar", "state_dict"):
            with pytest.raises(WeightsError):
                read_state(cut, transform)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_give_a_sentence_or_tensors(tmp_path, state, seed):
    generator = torch.Generator().manual_seed(seed)
    whole = bytearray(write(tmp_path / "w.pth", {"jafar": state, "epoch": 3}).read_bytes())
    for _ in range(5):
        at = int(torch.randint(len(whole), (), generator=generator))
        whole[at] ^= int(torch.randint(1, 256, (), generator=generator))
    path = tmp_path / "damaged.pth"
    path.write_bytes(whole)
    try:
        read = read_state(path, "jafar")
    except WeightsError:
        return
    assert all(isinstance(v, torch.Tensor) for v in read.values())


def test_plain_state_dicts_load_and_others_are_refused(tmp_path, state):
    assert same(read_state(write(tmp_path / "p.pth", state), "state_dict"), state)
    assert same(read_state(write(tmp_path / "p.bin", state), "loftup"), state)
    assert same(read_state(write(tmp_path / "p.pth", state), "auto"), state)
    with pytest.raises(WeightsError, match="something else than tensors"):
        read_state(write(tmp_path / "n.pth", {"a": state["b"], "epoch": 3}), "state_dict")
    with pytest.raises(WeightsError, match="has no 'jafar' dictionary; it holds: anyup, epoch"):
        read_state(write(tmp_path / "a.pth", {"anyup": state, "epoch": 3}), "jafar")
    with pytest.raises(WeightsError, match="list"):
        read_state(write(tmp_path / "l.pth", [state["b"]]), "auto")
    (tmp_path / "x.npz").write_bytes(b"x")
    with pytest.raises(WeightsError, match="no file of weights"):
        read_state(tmp_path / "x.npz")
    (tmp_path / "x.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(WeightsError, match="no readable safetensors"):
        read_state(tmp_path / "x.safetensors")


def test_each_published_layout_gets_the_modules_names(tmp_path):
    t = torch.ones(2)
    featup = {
        "upsampler.up1.range_temp": t,
        "upsampler.fixup_proj.1.weight": t,
        "model.1.norm.weight": t,
        "model.0.model.cls_token": t,
        "scale_net.net.weight": t,
        "downsampler.blur": t,
        "upsampler.downsampler.x": t,
    }
    path = write(tmp_path / "f.ckpt", {"state_dict": featup, "epoch": 1})
    names = {"up1.range_temp", "fixup_proj.1.weight", "channelnorm.norm.weight"}
    assert set(read_state(path, "featup")) == names == set(read_state(path, "auto"))
    loftup = {
        "upsampler.ca_transformer.norm.weight": t,
        "model.1.norm.bias": t,
        "model.0.x": t,
    }
    path = write(tmp_path / "l.ckpt", {"state_dict": loftup})
    names = {"upsampler.ca_transformer.norm.weight", "channelnorm.norm.bias"}
    assert set(read_state(path, "loftup")) == names == set(read_state(path, "auto"))
    head = {"decode_head.conv_seg.weight": t, "decode_head.bn.running_mean": t}
    path = write(tmp_path / "h.pth", {"meta": {}, "state_dict": head})
    assert set(read_state(path, "head")) == {"conv_seg.weight", "bn.running_mean"}
    path = write(tmp_path / "p.pth", {"model_state_dict": {"weight": t, "bias": t}, "task": "seg"})
    assert set(read_state(path, "head")) == {"weight", "bias"} == set(read_state(path, "auto"))


def test_convert_writes_safetensors_that_take_the_rows_place(places, state):
    name = "jafar_vit_base_patch14_dinov2.lvd142m"
    source = write(places / f"{name}.pth", {"jafar": state, "epoch": 1})
    out = weights.convert(source)
    assert out == places / "cache" / "converted" / f"{name}.safetensors"
    card = weights.read_card(out)
    assert card["origin"] == "converted" and card["source"]["sha256"] == weights.digest(source)
    loaded = weights.load(name)
    assert same(loaded.state, state) and loaded.verified and loaded.label == "converted"
    row = weights.checkpoint(name)
    assert row.statistics == "backbone" and row.licence == "Apache-2.0" and row.url
    assert weights.find("jafar", "vit_base_patch14_dinov2.lvd142m")[0].path == out
    assert [r.name for r in weights.checkpoints()].count(name) == 1


def test_convert_needs_to_know_whose_file_it_is(places, state):
    source = write(places / "mine.pth", {"jafar": state})
    with pytest.raises(WeightsError, match="--row"):
        weights.convert(source)
    row = weights.checkpoint("jafar_vit_base_patch16_224.dino")
    out = weights.convert(source, places / "out", row=row)
    assert out.name == "jafar_vit_base_patch16_224.dino.safetensors"


def test_archive_lists_without_reading_tensors(tmp_path, state):
    content = Archive(write(tmp_path / "x.pth", {"jafar": state, "epoch": 7})).content
    assert content["epoch"] == 7 and content["jafar"]["a.weight"].shape == (40, 30)
