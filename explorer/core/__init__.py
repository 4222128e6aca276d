"""The plain types, the registry and the errors that everything else uses."""

from explorer.core.devices import pick_device, wait_for
from explorer.core.errors import (
    ExplorerError,
    ImageError,
    NoAttentionError,
    PluginError,
    SizeError,
    UnknownNameError,
    WeightsError,
    WeightsWarning,
    unknown_name,
)
from explorer.core.reading import ONCE, Reading
from explorer.core.registry import Registry
from explorer.core.types import (
    ALIGN,
    Attention,
    Colorbar,
    FeatureMap,
    Panel,
    Role,
    Upsampled,
    Weights,
    Window,
)

__all__ = [
    "ALIGN",
    "ONCE",
    "Attention",
    "Colorbar",
    "ExplorerError",
    "FeatureMap",
    "ImageError",
    "NoAttentionError",
    "Panel",
    "PluginError",
    "Reading",
    "Registry",
    "Role",
    "SizeError",
    "UnknownNameError",
    "Upsampled",
    "Weights",
    "WeightsError",
    "WeightsWarning",
    "Window",
    "pick_device",
    "unknown_name",
    "wait_for",
]
