"""What every registered upsampler promises, whatever it computes."""

import functools
import inspect

import pytest
import torch
from torch.nn import functional as F

from explorer.citations import cite
from explorer.core import ExplorerError, FeatureMap, NoAttentionError, SizeError, UnknownNameError
from explorer.estimates import gpu_seconds, upsampling_bytes
from explorer.upsamplers import UPSAMPLERS, LinearResampler
from explorer.upsamplers import half_precision as precision
from explorer.upsamplers.jbu import JointBilateral

NAMES = UPSAMPLERS.names()


def declaring(**facts):
    """The methods whose classes declare all of these."""
    kinds = {name: UPSAMPLERS.get(name) for name in NAMES}
    return [n for n in NAMES if all(getattr(kinds[n], k) == v for k, v in facts.items())]


LINEAR = declaring(linear=True, single_stencil=True)  # one stencil per pixel says everything
SIZES = [((48, 40), None), ((50, 38), (33, 71)), ((48, 64), (31, 47)), ((64, 48), (96, 72))]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def small(name, channels=8):
    """Constructor arguments of a cheap instance."""
    kind = UPSAMPLERS.get(name)
    return kind.options_for(channels) | dict(kind.small_options)


def build(name, channels=7, seed=0):
    torch.manual_seed(seed)
    method = UPSAMPLERS.get(name)(**small(name, channels)).eval()
    for parameter in method.parameters():  # zero-initialised parts would hide mistakes
        if parameter.dim() > 0:
            parameter.data.add_(torch.randn_like(parameter) * 0.1)
    return method.requires_grad_(False)


def inputs(channels=7, batch=2, image=(48, 40), grid=(6, 5)):
    torch.manual_seed(1)
    return torch.rand(batch, 3, *image), torch.randn(batch, channels, *grid)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("image_size, output_size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_shape_dtype_and_determinism(name, image_size, output_size, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    method = build(name).to(device)
    image, features = (x.to(device) for x in inputs(image=image_size))
    found = method(image, features, output_size)
    assert found.shape == (2, 7, *(output_size or image_size))
    assert found.dtype == torch.float32 and found.isfinite().all() and found.device.type == device
    assert torch.equal(found, method(image, features, output_size))
    wrapped = FeatureMap(features, "somebody", image_size)
    assert torch.equal(found, method(image, wrapped, output_size))


FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
# AnyUp's description of random features is a product of many small numbers
TOLERANCE = {torch.float64: 1e-4, torch.float16: 0.1, torch.bfloat16: 1.0, torch.float32: 0.02}


@pytest.mark.parametrize("module_dtype", FLOATS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_any_float_type_goes_in_and_the_features_type_comes_out(name, dtype, module_dtype):
    image, features = inputs()
    reference = build(name)(image, features, (40, 52))
    method = build(name).to(module_dtype)
    resampler = method.prepare(image.to(dtype), features.to(dtype), (40, 52))
    found = resampler.features()
    rows, cols = torch.arange(3), torch.arange(3)
    for other in (
        found,
        resampler.features((3, 5)),
        resampler.project(torch.randn(2, 7), torch.randn(2)),
        resampler.sample(rows, cols),
        resampler.pixel(2, 3),
    ):
        assert other.dtype == dtype and other.isfinite().all()
    assert method(image, features.to(dtype)).dtype == dtype
    computed = module_dtype if method.trained else torch.promote_types(dtype, torch.float32)
    error = (found.double() - reference.double()).abs().max()
    assert error < max(TOLERANCE[computed], 0.03 if dtype.itemsize == 2 else 0)
    if name in LINEAR and method.convex:
        sums = 1e-5 if computed.itemsize > 2 else 1e-2
        assert abs(resampler.stencil(3, 4).sum().item() - 1) < sums


def test_another_window_keeps_the_features_type():
    image, features = inputs(batch=1)
    method = build("anyup")
    made = method.prepare(image, features.half()).with_window(0.3, "window ±0.3")
    method.window_ratio = 0.3
    assert made.features().dtype == torch.float16 and "0.3" in made.note()
    assert torch.equal(made.features(), method.prepare(image, features.half()).features())


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_features_keep_their_gradients(name):
    image, features = inputs(batch=1)
    features = features.half().requires_grad_()
    build(name).prepare(image, features, (48, 40)).features().float().square().sum().backward()
    assert features.grad.dtype == torch.float16 and features.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_values_that_are_no_finite_numbers_are_refused_with_how_many_and_where(name):
    method = build(name)
    image, features = inputs()
    for value in (float("nan"), float("inf"), -float("inf")):
        spoilt = features.clone()
        spoilt[1, 4, 2, 3] = spoilt[1, 5, 2, 3] = spoilt[1, 6, 5, 0] = value
        with pytest.raises(ExplorerError) as caught:
            method(image, spoilt)
        said = str(caught.value)
        assert "features hold 3 values" in said and "at 2 of 60 positions" in said
        assert "batch entry 1, channel 4, row 2, column 3" in said
    dark = image.clone()
    dark[0, 2, 7, 9] = float("nan")
    with pytest.raises(ExplorerError, match="image holds 1 values .* row 7, column 9"):
        method(dark, features)
    largest = torch.full_like(features, torch.finfo(torch.float32).max)  # finite; its sum is not
    method.prepare(image, largest)
    for whole in (features.long(), features.bool()):
        with pytest.raises(ExplorerError, match="features must hold floating-point numbers"):
            method(image, whole)


@pytest.mark.parametrize("name", NAMES)
def test_trained_means_having_parameters(name):
    kind = UPSAMPLERS.get(name)
    assert kind.trained == bool(list(build(name).parameters())) == build(name).trained


def test_a_method_need_not_declare_that_it_is_trained():
    class Forgetful(JointBilateral):
        def __init__(self, width: int = 4):
            super().__init__()
            self.scale = torch.nn.Linear(width, width)

    class Demanding(Forgetful):
        def __init__(self, width):  # cannot be built to be asked
            super().__init__(width)

    assert Forgetful.trained and Forgetful().trained and Demanding.trained
    assert not JointBilateral.trained and not JointBilateral().trained


GUESSES = {bool: lambda v: not v, int: lambda v: v + 8, float: lambda v: v + 0.5}


def constructor_arguments():
    """Every constructor argument of every method."""
    for name in NAMES:
        _, *arguments = inspect.signature(UPSAMPLERS.get(name).__init__).parameters.values()
        for argument in arguments:
            others = UPSAMPLERS.get(name).other_options
            if others.get(argument.name, ...) != argument.default:  # else there is no other value
                yield name, argument.name, argument.default


def another_value(kind, argument, value):
    """A valid value that is not this one, as the class declares or by its type."""
    if argument in kind.other_options:
        return kind.other_options[argument]
    assert type(value) in GUESSES, f"{kind.__name__}.other_options lacks another {argument}"
    return GUESSES[type(value)](value)


@pytest.mark.parametrize("name, argument, default", list(constructor_arguments()))
def test_every_constructor_argument_changes_the_settings(name, argument, default):
    kind, options = UPSAMPLERS.get(name), small(name)
    value = another_value(kind, argument, options.get(argument, default))
    base, changed = kind(**options), kind(**(options | {argument: value}))
    assert base.settings_digest == kind(**options).settings_digest
    assert changed.settings_digest != base.settings_digest
    assert changed.settings[argument] == value


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_set_on_an_instance_changes_the_settings(name):
    method = build(name)
    seen = {method.settings_digest}
    method.mean = (0.1, 0.2, 0.3)
    seen.add(method.settings_digest)
    method.own_setting = torch.tensor([1.0, 2.0])
    seen.add(method.settings_digest)
    method.own_setting = torch.tensor([1.0, 2.5])
    seen.add(method.settings_digest)
    seen.add(method.train().settings_digest)
    part = next(iter(method.children()), None)
    if part is not None:
        part.own_setting = 3
        seen.add(method.settings_digest)
    assert len(seen) == (6 if part is not None else 5)
    method.origin = method.checkpoint = method.digest = "of somebody"  # names, no settings
    assert method.settings_digest in seen


def test_the_settings_digest_is_computed_once_but_follows_every_change(monkeypatch):
    method = build("anyup")
    first = method.settings_digest
    with monkeypatch.context() as patched:
        patched.setattr("explorer.upsamplers.settings.freeze", None)  # not asked again
        assert method.settings_digest == first
    method.image_encoder[0].stride = (2, 2)
    changed = method.settings_digest
    method.image_encoder[0].stride = (1, 1)
    assert changed != first == method.settings_digest
    method.sizes = [1, 2]
    listed = method.settings_digest
    method.sizes.append(3)  # the same object as before
    assert method.settings_digest != listed
    del method.sizes
    assert method.settings_digest == first
    method.query_encoder = torch.nn.Identity()
    assert method.settings_digest != first


@pytest.mark.parametrize("image_size, output_size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_projection_equals_the_convolution_of_the_features(name, image_size, output_size):
    image, features = inputs(image=image_size)
    resampler = build(name).prepare(image, features, output_size)
    weight, bias = torch.randn(3, 7), torch.randn(3)
    literal = F.conv2d(resampler.features(), weight[:, :, None, None], bias)
    assert (resampler.project(weight, bias) - literal).abs().max() < 2e-5
    assert (resampler.project(weight) - (literal - bias[:, None, None])).abs().max() < 2e-5


@pytest.mark.parametrize("name", NAMES)
def test_bands_of_rows_equal_the_whole(name):
    image, features = inputs()
    for size in ((48, 40), (64, 50), (96, 80)):
        resampler = build(name).prepare(image, features, size)
        whole = resampler.features()
        for rows in ((0, 1), (size[0] - 1, size[0]), (5, 23), (0, size[0])):
            assert (resampler.features(rows) - whole[:, :, rows[0] : rows[1]]).abs().max() < 1e-5
        with pytest.raises(SizeError):
            resampler.features((3, size[0] + 1))


@pytest.mark.parametrize("image_size, output_size", SIZES)
@pytest.mark.parametrize("name", LINEAR)
def test_the_stencil_is_the_row_of_the_linear_map(name, image_size, output_size):
    image, features = inputs(image=image_size)
    resampler = build(name).prepare(image, features, output_size)
    height, width = resampler.output_size
    mapped = resampler.apply(resampler.values)  # without FeatUp's channel mixing
    for row, col in ((0, 0), (height - 1, width - 1), (height // 2, 3), (7, width - 2)):
        for batch in (0, 1):
            weights = resampler.stencil(row, col, batch)
            assert weights.shape == resampler.grid
            pixel = torch.einsum("hw,chw->c", weights, features[batch])
            assert (pixel - mapped[batch, :, row, col]).abs().max() < 1e-5
            if UPSAMPLERS.get(name).convex:
                assert weights.min() >= 0 and abs(weights.sum().item() - 1) < 1e-5


@pytest.mark.parametrize("name", LINEAR)
def test_the_stencil_that_follows_from_apply_is_the_methods_own(name):
    """It is what unit cells become at the pixel, by the map of the batch entry asked for."""
    resampler = build(name).prepare(*inputs(), (33, 47))
    stencil = functools.partial(LinearResampler.stencil, resampler)
    units = torch.eye(30).view(1, 30, 6, 5).expand(2, -1, -1, -1)
    carried = resampler.apply(units)
    for row, col, batch in ((0, 0, 0), (32, 46, 1), (17, 3, 1), (17, 3, 0)):
        derived, own = stencil(row, col, batch), resampler.stencil(row, col, batch)
        assert derived.shape == resampler.grid and (derived - own).abs().max() < 1e-5
        assert (derived.flatten() - carried[batch, :, row, col]).abs().max() < 1e-5
        with torch.no_grad():
            assert torch.equal(stencil(row, col, batch), derived) and not derived.requires_grad
    for query in ((33, 0, 0), (0, 47, 0), (0, 0, 2)):
        with pytest.raises(SizeError):
            stencil(*query)


class Blend(LinearResampler):
    """The least a linear method has to write: its map, here another one for every batch entry."""

    def apply(self, values, rows=None):
        start, stop = self.check_rows(rows)
        share = torch.arange(1.0, len(values) + 1).to(values)[:, None, None, None] / 4
        smooth = F.interpolate(values, self.output_size, mode="bilinear")
        return torch.lerp(F.interpolate(values, self.output_size), smooth, share)[:, :, start:stop]


def test_a_resampler_with_nothing_but_apply_answers_everything():
    _, features = inputs()
    made = Blend(features, [31, 47])
    whole = made.features()
    assert made.output_size == (31, 47) and whole.shape == (2, 7, 31, 47)
    places = torch.tensor([0, 30, 12]), torch.tensor([46, 0, 11])
    picked = whole[:, :, places[0], places[1]].transpose(1, 2)
    assert torch.allclose(made.sample(*places), picked, atol=1e-6)
    for batch in (0, 1):
        assert torch.allclose(made.pixel(12, 11, batch), whole[batch, :, 12, 11], atol=1e-5)
        weights = made.stencil(12, 11, batch)
        assert abs(weights.sum().item() - 1) < 1e-6 and not weights.requires_grad
        mapped = torch.einsum("hw,chw->c", weights, features[batch])
        assert torch.allclose(mapped, whole[batch, :, 12, 11], atol=1e-5)
    assert not torch.allclose(made.stencil(12, 11, 0), made.stencil(12, 11, 1))
    assert made.nbytes() == features.nbytes


@pytest.mark.parametrize("name", declaring(convex=True))
def test_convex_methods_stay_within_the_cells(name):
    image, features = inputs()
    found = build(name)(image, features, (60, 44)).flatten(2)
    cells = features.flatten(2)
    assert (found.amax(2) <= cells.amax(2) + 1e-5).all()
    assert (found.amin(2) >= cells.amin(2) - 1e-5).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_features_and_image(name):
    method = build(name)
    image, features = inputs(batch=1)
    image.requires_grad_(), features.requires_grad_()
    resampler = method.prepare(image, features, (48, 40))
    resampler.project(torch.randn(2, 7)).square().sum().backward()
    assert features.grad.isfinite().all() and features.grad.abs().sum() > 0
    assert (image.grad is not None and bool(image.grad.abs().sum() > 0)) == (
        method.uses_image and method.image_gradients
    )


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_image_has_a_say_where_that_is_declared(name):
    method = build(name)
    image, features = inputs()
    changed = method(1 - image, features, (48, 40))
    assert torch.equal(changed, method(image, features, (48, 40))) != method.uses_image


@pytest.mark.parametrize("name", declaring(batch_independent=True))
def test_batches_do_not_mix(name):
    method = build(name)
    image, features = inputs()
    together = method(image, features, (48, 40))
    for b in range(2):
        alone = method(image[b : b + 1], features[b : b + 1], (48, 40))
        assert (together[b : b + 1] - alone).abs().max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
def test_attention_or_one_sentence(name):
    method = build(name)
    resampler = method.prepare(*inputs(), (48, 40))
    if method.has_attention:
        found = resampler.attention(11, 9, 1)
        assert abs(found.weights.sum().item() - 1) < 1e-5
        assert torch.allclose(found.heads.mean(0), found.weights)
        assert found.query == (11, 9)
    else:
        with pytest.raises(NoAttentionError, match="stencil"):
            resampler.attention(11, 9)
    with pytest.raises((SizeError, NoAttentionError)):
        resampler.attention(48, 0)
    with pytest.raises(SizeError if name in LINEAR else NoAttentionError):
        resampler.stencil(0, 40)


@pytest.mark.parametrize("name", declaring(adjustable_window=True))
def test_a_window_can_be_set_afterwards(name):
    method = build(name)
    resampler = method.prepare(*inputs(), (48, 40))
    narrow = resampler.with_window(0.01, "set here")
    assert narrow.note() == "set here" and method.window_ratio != 0.01
    seen = [(made.attention(11, 9).weights > 0).sum() for made in (narrow, resampler)]
    assert seen[0] < seen[1]
    whole = resampler.with_window(method.window_ratio, "as it was")
    assert torch.equal(whole.features(), resampler.features())


@pytest.mark.parametrize("name", NAMES)
def test_shapes_that_do_not_belong_together(name):
    method = build(name)
    image, features = inputs()
    for bad in ((image[:, :2], features), (image, features[:1]), (image[0], features)):
        with pytest.raises(SizeError):
            method(*bad)
    with pytest.raises(SizeError):
        method(image, features, (0, 5))
    with pytest.raises(SizeError):
        method.prepare(image, features).project(torch.randn(3, 8))


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_methods_take_any_width_or_say_for_which_they_were_built(name):
    method = build(name, channels=9)
    if method.agnostic:
        assert method(*inputs()).shape == (2, 7, 48, 40)
    else:
        with pytest.raises(SizeError, match="9 channels"):
            method(*inputs())


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_smallest_grid_works_and_a_smaller_one_is_a_clear_error(name):
    method = build(name)
    least = method.min_grid
    for grid in ((least, 5), (6, least)):
        found = method(*inputs(grid=grid))
        assert found.shape == (2, 7, 48, 40) and found.isfinite().all()
    if least > 1:
        with pytest.raises(SizeError, match=f"at least {least}x{least}"):
            method(*inputs(grid=(least - 1, 4)))


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_grows_with_the_output(name):
    small, large = (upsampling_bytes(name, 7, (6, 5), (side, side)) for side in (512, 1024))
    assert small < large and gpu_seconds(1, [name], 448, 4000) > gpu_seconds(1, [], 448, 4000)
    assert small == upsampling_bytes(UPSAMPLERS.get(name), 7, (6, 5), (512, 512))


@pytest.mark.parametrize("name", declaring(half_precision=True))
@torch.no_grad()
def test_half_precision_of_encoders_stays_close(name):
    method = build(name)
    image, features = inputs()
    exact = method(image, features, (48, 40))
    half = precision.prepare(method, image, features, (48, 40), precision.HALF).features()
    assert torch.cosine_similarity(exact, half, dim=1).mean() > 0.99
    assert half.dtype == torch.float32 and not torch.equal(exact, half)


@pytest.mark.parametrize("name", NAMES)
def test_a_citation_is_bibtex_and_found_by_the_methods_name(name):
    kind = UPSAMPLERS.get(name)
    entry = f"{kind.citation}\n\n" if kind.citation else ""
    assert cite(name) == cite(f"{kind.title} (trained here)") == entry
    assert kind.paper in kind.citation or not kind.citation


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_interpolations_are_torchs_own(mode):
    image, features = inputs()
    corners = {} if mode == "nearest" else {"align_corners": False}
    expected = F.interpolate(features, (33, 57), mode=mode, **corners)
    assert torch.equal(UPSAMPLERS.create(mode)(image, features, (33, 57)), expected)


def test_bilateral_equals_its_definition():
    image, features = inputs(batch=1)
    method = JointBilateral(radius=1, sigma_spatial=0.7, sigma_range=0.2)
    found = method(image, features)
    small = F.interpolate(image, (6, 5), mode="bilinear", antialias=True, align_corners=False)
    for row, col in ((0, 0), (17, 22), (47, 39)):
        y, x = (row + 0.5) * 6 / 48, (col + 0.5) * 5 / 40
        total, norm = torch.zeros(7), 0.0
        for i in range(int(y) - 1, int(y) + 2):
            for j in range(int(x) - 1, int(x) + 2):
                ci, cj = min(max(i, 0), 5), min(max(j, 0), 4)
                far = (i + 0.5 - y) ** 2 + (j + 0.5 - x) ** 2
                differ = (image[0, :, row, col] - small[0, :, ci, cj]).square().sum().item()
                weight = torch.tensor(-far / (2 * 0.49) - differ / (2 * 0.04)).exp().item()
                total, norm = total + weight * features[0, :, ci, cj], norm + weight
        assert (found[0, :, row, col] - total / norm).abs().max() < 1e-5


def test_paper_feature_layer_ignores_channel_order_and_the_released_does_not():
    _, features = inputs(channels=11)
    order = torch.randperm(11)
    differ = {}
    for reading in ("paper", "released"):
        torch.manual_seed(3)
        layer = UPSAMPLERS.create("anyup", qk_dim=16, feature_layer=reading).key_features_encoder[0]
        with torch.no_grad():
            differ[reading] = (layer(features) - layer(features[:, order])).abs().max()
    assert differ["paper"] < 1e-6 < 1e-4 < differ["released"]


@torch.no_grad()
def test_a_least_window_in_cells_widens_those_of_small_grids_only():
    torch.manual_seed(0)
    published = UPSAMPLERS.create("anyup", qk_dim=16)
    ours = UPSAMPLERS.create("anyup", qk_dim=16, window_cells=2)
    ours.load_state_dict(published.state_dict())
    image = torch.rand(1, 3, 56, 56)
    for cells, widths in ((7, {4, 5}), (28, {5, 6, 7})):
        features = torch.randn(1, 8, cells, cells)
        made = [method.prepare(image, features, (56, 56)) for method in (published, ours)]
        narrow, wide = (one.attention(28, 28) for one in made)
        window = wide.window
        assert window.row1 - window.row0 in widths
        assert torch.equal(narrow.weights, wide.weights) == (cells == 28)
        assert "at least 2 cells" in made[1].remark and "least" not in made[0].remark
    open_wide = UPSAMPLERS.create("anyup", qk_dim=16, window_ratio=0, window_cells=2)
    assert open_wide.prepare(image, features, (56, 56)).is_global


@pytest.mark.parametrize("method", ["jafar", "anyup"])
@pytest.mark.parametrize(("plain", "sigma"), [(0, 1.5), (1, 0.0), (2, 0.7)])
@torch.no_grad()
def test_bilinear_heads_and_a_gaussian_in_cells_are_part_of_every_reading(method, plain, sigma):
    """Literally: each learned head times a Gaussian, made to sum to one, and bilinear heads."""
    torch.manual_seed(0)
    options = {"qk_dim": 16} | ({"v_dim": 6} if method == "jafar" else {"window_ratio": 0.0})
    published = UPSAMPLERS.create(method, **options)
    ours = UPSAMPLERS.create(method, **options, bilinear_heads=plain, sigma_cells=sigma)
    ours.load_state_dict(published.state_dict())
    image, features, size = torch.rand(1, 3, 24, 32), torch.randn(1, 6, 3, 4), (12, 16)
    theirs, mine = (m.prepare(image, features, size) for m in (published, ours))
    bilinear = UPSAMPLERS.create("bilinear").prepare(image, features, size)
    literal = torch.empty(1, 6, *size)
    for row in range(size[0]):
        for col in range(size[1]):
            heads = theirs.attention(row, col).heads
            if sigma:
                down = (row + 0.5) / 4 - 0.5 - torch.arange(3)
                across = (col + 0.5) / 4 - 0.5 - torch.arange(4)
                far = down.square()[:, None] + across.square()
                heads = heads * (-far / (2 * sigma**2)).exp()
                heads = heads / heads.sum(dim=(1, 2), keepdim=True)
            heads = torch.cat([heads, bilinear.stencil(row, col).expand(plain, -1, -1)])
            seen = mine.attention(row, col)
            torch.testing.assert_close(seen.heads, heads)
            torch.testing.assert_close(mine.stencil(row, col), heads.mean(dim=0))
            literal[0, :, row, col] = (heads.mean(dim=0) * features[0]).sum(dim=(1, 2))
    torch.testing.assert_close(mine.features(), literal)
    torch.testing.assert_close(mine.features((5, 9)), literal[:, :, 5:9])
    torch.testing.assert_close(mine.apply(features[:, :1]), literal[:, :1])  # fused
    rows, cols = torch.arange(12), torch.arange(12) + 2
    torch.testing.assert_close(mine.sample(rows, cols), literal[:, :, rows, cols].transpose(1, 2))
    assert ("heads bilinear" in mine.note()) == (plain > 0)
    assert ("Gaussian" in mine.note()) == (sigma > 0)
    assert ours.settings_digest != published.settings_digest  # so that caches tell them apart


@torch.no_grad()
def test_the_window_takes_in_what_bilinear_heads_read():
    torch.manual_seed(0)
    anyup = UPSAMPLERS.create("anyup", qk_dim=16, window_ratio=0.01, bilinear_heads=1)
    made = anyup.prepare(torch.rand(1, 3, 32, 32), torch.randn(1, 5, 4, 4), (32, 32))
    seen = made.attention(13, 20)
    window = seen.window
    inside = seen.weights[window.row0 : window.row1, window.col0 : window.col1]
    torch.testing.assert_close(inside.sum(), torch.tensor(1.0))
    assert (window.row1 - window.row0) * (window.col1 - window.col0) == 4


def test_options_below_zero_are_refused():
    for option in ("bilinear_heads", "sigma_cells"):
        with pytest.raises(ValueError, match="0 or more"):
            UPSAMPLERS.create("jafar", **{option: -1})


@pytest.mark.parametrize("reading", ["paper", "released"])
def test_streaming_the_feature_layer_changes_nothing(reading, monkeypatch):
    from explorer.upsamplers import anyup

    layer = anyup.FeatureAgnostic(24, 5, reading)
    x = torch.randn(2, 37, 6, 5)
    with torch.no_grad():
        whole = layer(x)
        responses = layer.responses(x, 0, 37)  # (B, C, M, h, w)
        flat = responses.flatten(1, 2)
        if reading == "paper":
            literal = responses.softmax(2).mean(1)
        else:
            literal = flat.unflatten(1, (24, 37)).softmax(1).mean(2)
        monkeypatch.setattr(anyup, "CHUNK_BYTES", 40_000)
        streamed = layer(x)
    assert (whole - literal).abs().max() < 1e-6
    assert (streamed - literal).abs().max() < 1e-6


def test_blocks_of_any_size_give_the_same_attention(monkeypatch):
    from explorer.upsamplers import attention

    image, features = inputs()
    for name in ("anyup", "jafar"):
        resampler = build(name).prepare(image, features, (70, 52))
        whole = resampler.features()
        monkeypatch.setattr(attention, "BLOCK_BYTES", 20_000)
        assert (resampler.features() - whole).abs().max() < 1e-6
        monkeypatch.undo()


def test_featup_bands_with_large_kernels_equal_the_kept_ones(monkeypatch):
    from explorer.upsamplers import featup

    image, features = inputs()
    method = build("featup")
    kept = method(image, features, (96, 80))
    monkeypatch.setattr(featup, "KEEP_BYTES", 0)
    monkeypatch.setattr(featup, "BAND_BYTES", 30_000)
    assert (method(image, features, (96, 80)) - kept).abs().max() < 1e-6


def test_featup_with_norm_lives_in_its_own_space():
    method = UPSAMPLERS.create("featup", feat_dim=7, norm=True).eval()
    assert method.space == "normalised"
    assert "channelnorm.norm.weight" in method.state_dict()
    assert method(*inputs()).shape == (2, 7, 48, 40)


def test_unknown_and_duplicate_names():
    with pytest.raises(UnknownNameError, match="anyup.*") as caught:
        UPSAMPLERS.create("no_such_method")
    assert "bilinear" in str(caught.value)
    with pytest.raises(ExplorerError, match="twice"):
        UPSAMPLERS.register("bilinear")
