"""From a checkpoint row to a verified local file, and from the file to a state dict."""

from explorer.weights.cards import discover, problems, read_card, write_card
from explorer.weights.catalogue import checkpoint, checkpoints, find
from explorer.weights.fetch import hub_file
from explorer.weights.loading import Loaded, convert, load, load_state, measure
from explorer.weights.paths import cache_folder, checkpoints_folder, digest
from explorer.weights.published import CHECKPOINTS
from explorer.weights.resolution import local_file, resolve
from explorer.weights.rows import (
    CONVERTED,
    PUBLISHED,
    TRAINED,
    AbsentWeightsError,
    Checkpoint,
    mark_built,
)

__all__ = [
    "CHECKPOINTS",
    "CONVERTED",
    "AbsentWeightsError",
    "PUBLISHED",
    "TRAINED",
    "Checkpoint",
    "Loaded",
    "cache_folder",
    "checkpoint",
    "checkpoints",
    "checkpoints_folder",
    "convert",
    "digest",
    "discover",
    "find",
    "hub_file",
    "load",
    "load_state",
    "local_file",
    "mark_built",
    "measure",
    "problems",
    "read_card",
    "resolve",
    "write_card",
]
