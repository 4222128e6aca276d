"""Modules and tensors on a CUDA device, without one: fake tensors refuse to mix devices and to be
read.
"""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from explorer.backbones import BACKBONES
from explorer.core import NoAttentionError
from explorer.probes import PROBES
from explorer.upsamplers import UPSAMPLERS, LinearResampler, Resampler

DEVICE = torch.device("cuda")
SLOW = pytest.mark.slow  # thousands of fake steps


@pytest.fixture
def fake(monkeypatch):
    # The one check that has to read values.
    monkeypatch.setattr("explorer.upsamplers.inputs.check_finite", lambda what, values: None)
    with FakeTensorMode(), torch.no_grad():
        yield


def build(name, **options):
    kind = UPSAMPLERS.get(name)
    with DEVICE:
        return kind(**(kind.options_for(8) | dict(kind.small_options) | options)).eval()


def read_everything(method, image, grid, size):
    features = torch.empty(1, 8, *grid, device=DEVICE)
    made = method.prepare(torch.empty(1, 3, *image, device=DEVICE), features, size)
    rows, cols = torch.tensor([0, 3], device=DEVICE), torch.tensor([1, 2], device=DEVICE)
    weight, bias = torch.empty(3, 8, device=DEVICE), torch.empty(3, device=DEVICE)
    answers = [
        made.features(),
        made.features((2, 5)),
        made.project(weight, bias),
    ]
    # The default stencil differentiates, for which autograd wants a real device.
    if type(made).stencil is not LinearResampler.stencil:
        answers.append(made.pixel(5, 4))
        if method.single_stencil:
            answers.append(made.stencil(5, 4))
    if type(made).sample is not Resampler.sample:  # which looks for the bands that are asked for
        answers.append(made.sample(rows, cols))
    if method.has_attention:
        answers += [made.attention(5, 4).weights, made.attention(5, 4).heads]
    else:
        with pytest.raises(NoAttentionError):
            made.attention(5, 4)
    assert all(answer.device.type == "cuda" for answer in answers)
    assert answers[0].shape == (1, 8, *size) and answers[2].shape == (1, 3, *size)


@pytest.mark.parametrize("size", [(48, 40), (33, 71), pytest.param((230, 190), marks=SLOW)])
@pytest.mark.parametrize("name", UPSAMPLERS.names())
def test_methods_stay_on_their_device_and_read_no_value_from_it(fake, name, size):
    grid = (6, 5) if size[0] < 100 else (29, 24)
    read_everything(build(name), (48, 40), grid, size)


@pytest.mark.parametrize("name", ["anyup", "jafar"])
def test_so_do_the_options_of_attention(fake, name):
    method = build(name, bilinear_heads=1, sigma_cells=1.5)
    read_everything(method, (48, 40), (6, 5), (48, 40))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1"])
def test_embedded_backbones(fake, name):
    with DEVICE:
        backbone = BACKBONES.get(name)(pretrained=False).eval()
    found = backbone.extract(torch.empty(1, 3, 96, 128, device=DEVICE))
    assert found.data.device.type == "cuda" and found.data.shape[1] == backbone.dim


@pytest.mark.parametrize("outputs", [3, 12])  # before and after upsampling
@pytest.mark.parametrize("kind", PROBES.names())
def test_probes(fake, kind, outputs):
    outputs = PROBES.get(kind).fixed_outputs or outputs
    arguments = PROBES.get(kind).arguments({}, outputs)
    probe = PROBES.get(kind)(torch.empty(outputs, 8), torch.empty(outputs), **arguments)
    features = torch.empty(1, 8, 6, 5, device=DEVICE)
    made = build("anyup").prepare(torch.empty(1, 3, 48, 40, device=DEVICE), features, (48, 40))
    found = probe.predict(made)
    assert found.values.device.type == "cuda" and found.values.shape[-2:] == (48, 40)
    assert probe.at(made, 5, 4).shape == (outputs,)


def test_what_reads_a_value_or_mixes_devices_is_noticed(fake):
    """The mode is what makes these tests able to fail."""
    on_device = torch.empty(3, device=DEVICE)
    with pytest.raises(RuntimeError):
        on_device.sum().tolist()
    with pytest.raises(RuntimeError):
        torch.empty(3) + on_device
