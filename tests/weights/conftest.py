from __future__ import annotations

import io

import pytest
import torch
from fake_hub import FakeHub

from explorer.weights import fetch, github_release, network


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Empty folders for checkpoints, our cache and the Hub's."""
    from huggingface_hub import constants

    for name in ("EXPLORER_WEIGHTS_REPO", "EXPLORER_WEIGHTS_LOCK", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXPLORER_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("EXPLORER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(network, "_DOWN", {})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


@pytest.fixture
def server(places, monkeypatch):
    """A Hub on loopback that huggingface_hub takes for the real one."""
    from huggingface_hub import constants

    hub = FakeHub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(fetch, "PAUSES", (0.01, 0.01))
    monkeypatch.setattr(github_release, "PAUSES", (0.01, 0.01, 0.01))
    yield hub
    hub.close()


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(40, 30, generator=generator),
        "b": torch.arange(5),
        "half": torch.randn(3, generator=generator).half(),
    }


@pytest.fixture
def pickled():
    """Return what torch.save writes for an object."""

    def save(content) -> bytes:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    return save
