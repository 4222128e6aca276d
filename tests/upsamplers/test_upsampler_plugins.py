"""An upsampler is one file: found, placed and checked by what its class declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugins import contract_tests, plugged_in

from explorer import upsamplers
from explorer.core import ExplorerError, PluginError, Registry
from explorer.upsamplers import UPSAMPLERS, Upsampler

CONTRACT = Path(__file__).parent / "test_contract.py"

# It declares every quirk that a method may have.
GROUPED = '''
import torch
from torch.nn import functional as F

from explorer.core.bibtex import arxiv
from explorer.core import SizeError
from explorer.upsamplers.base import UPSAMPLERS, Resampler, Upsampler


class GroupedResampler(Resampler):
    def __init__(self, values, output_size, gain):
        self.values, self.output_size, self.gain = values, output_size, gain

    def features(self, rows=None):
        start, stop = self.check_rows(rows)
        half = self.values.shape[1] // 2
        smooth = F.interpolate(self.values[:, :half], self.output_size, mode="bilinear")
        blocks = F.interpolate(self.values[:, half:], self.output_size)
        return self.gain * torch.cat([smooth, blocks], dim=1)[:, :, start:stop]

    def project(self, weight, bias=None):
        if weight.shape[1] != self.values.shape[1]:
            raise SizeError("the projection does not fit")
        weight, bias = weight.to(self.values), None if bias is None else bias.to(self.values)
        return F.conv2d(self.features(), weight[:, :, None, None], bias)


@UPSAMPLERS.register("grouped")
class Grouped(Upsampler):
    """Half of the channels smooth, half in blocks."""

    name, title, paper = "grouped", "Grouped", "2601.00002"
    citation = arxiv("somebody2026grouped", "Grouped", "Body, Some", 2026, paper)
    order = 15
    image_gradients = batch_independent = single_stencil = False
    min_grid = 3
    small_options = {"depth": 1}
    other_options = {"shape": "round"}

    def __init__(self, depth: int = 9, shape: str = "square"):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(depth))

    def _prepare(self, guidance, values, output_size):
        light = 2 + guidance.detach().mean().tanh()  # of the whole batch
        return GroupedResampler(values, output_size, light * self.gain.mean())
'''


@pytest.fixture
def grouped(tmp_path):
    with plugged_in(UPSAMPLERS, upsamplers, tmp_path, "grouped", GROUPED) as module:
        yield module.Grouped


def test_a_file_is_found_and_takes_the_place_in_menus_that_it_declares(grouped):
    assert UPSAMPLERS.get("grouped") is grouped
    names = UPSAMPLERS.names()
    assert names.index("nearest") < names.index("grouped") < names.index("bilinear")


def test_the_contract_tests_read_what_is_declared(grouped):
    tried = {test.__name__: test(**given) for test, given in contract_tests(CONTRACT, "grouped")}
    assert len(tried) >= 14
    untrue = {"test_batches_do_not_mix", "test_the_stencil_is_the_row_of_the_linear_map"}
    assert not untrue & set(tried)


@pytest.mark.parametrize(
    ("fact", "value", "broken"),
    [
        ("image_gradients", True, "test_gradients_reach_features_and_image"),
        ("batch_independent", True, "test_batches_do_not_mix"),
        ("single_stencil", True, "test_the_stencil_is_the_row_of_the_linear_map"),
        ("convex", True, "test_convex_methods_stay_within_the_cells"),
        ("has_attention", True, "test_attention_or_one_sentence"),
        ("uses_image", False, "test_the_image_has_a_say_where_that_is_declared"),
        ("agnostic", False, "test_methods_take_any_width_or_say_for_which_they_were_built"),
        ("min_grid", 0, "test_the_smallest_grid_works_and_a_smaller_one_is_a_clear_error"),
        ("other_options", {}, "test_every_constructor_argument_changes_the_settings"),
        ("citation", "Body (2026)", "test_a_citation_is_bibtex_and_found_by_the_methods_name"),
    ],
)
def test_a_false_declaration_breaks_its_contract_test(grouped, monkeypatch, fact, value, broken):
    monkeypatch.setattr(grouped, fact, value)
    tests = {test.__name__: (test, given) for test, given in contract_tests(CONTRACT, "grouped")}
    test, given = tests[broken]
    with pytest.raises((Exception, pytest.fail.Exception)):
        test(**given)


def test_defaults_promise_nothing_that_a_method_must_prove():
    assert not Upsampler.convex and not Upsampler.has_attention
    assert not Upsampler.half_precision and not Upsampler.adjustable_window


def test_the_first_name_of_uses_image_is_still_understood():
    class Old(Upsampler):
        guided = False

    assert not Old.uses_image and Upsampler.uses_image
    assert UPSAMPLERS.get("jbu").guided and not UPSAMPLERS.get("nearest").guided


def test_names_come_by_declared_order_then_by_name_then_as_registered():
    registry = Registry("thing")
    for name, order in (("z", 2), ("second", None), ("b", 1), ("first", None), ("a", 2)):
        registry.register(name)(type(name, (), {} if order is None else {"order": order}))
    assert registry.names() == list(registry) == ["b", "a", "z", "second", "first"]


def test_a_module_that_cannot_be_imported_is_named(tmp_path):
    broken = plugged_in(UPSAMPLERS, upsamplers, tmp_path, "broken", "import no_such_thing")
    with pytest.raises(PluginError, match=r"explorer\.upsamplers\.broken .*no_such_thing"), broken:
        pass
    assert issubclass(PluginError, ExplorerError) and issubclass(PluginError, ImportError)
    before = UPSAMPLERS.names()
    with plugged_in(UPSAMPLERS, upsamplers, tmp_path, "broken", "LEARNED = 1"):  # no method
        assert UPSAMPLERS.names() == before
