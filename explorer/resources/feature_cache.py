"""Half-precision feature maps on disk, under a byte limit, safe against kills and full disks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from explorer.core import ALIGN
from explorer.files.atomic import OutputError, write_atomically


class FeatureCache:
    """Maps a key to a tensor, computing what is missing and keeping it as float16 while there is
    room.

    ``folder=None`` keeps nothing. The folder is made with the first entry. Entries appear
    atomically; a damaged one is computed again.
    """

    def __init__(self, folder: str | Path | None, limit_bytes: int = 4 * 2**30):
        self.folder = None if folder is None else Path(folder)
        self.limit = limit_bytes
        self.used = 0
        if self.folder is not None:
            self.used = sum(p.stat().st_size for p in self.folder.glob("*/*.safetensors"))

    def get(self, key: str, compute: Callable[[], Tensor]) -> Tensor:
        """Return the tensor for ``key`` as float32, rounded to float16 whether it was cached or
        not.
        """
        if self.folder is None:
            return compute().half().float()
        name = hashlib.sha256(key.encode()).hexdigest()
        path = self.folder / name[:2] / f"{name}.safetensors"
        if path.exists():
            try:
                return load_file(path)["features"].float()
            except (SafetensorError, OSError, KeyError):
                path.unlink(missing_ok=True)
        value = compute().half()
        self._keep(path, value)
        return value.float()

    def _keep(self, path: Path, value: Tensor) -> None:
        size = value.numel() * 2
        if self.used + size > self.limit:
            return
        try:
            write_atomically(path, save({"features": value.contiguous()}), durable=False)
            self.used += size
        except OutputError:  # a full disk costs time, not the run
            self.limit = 0


def cached_features(
    cache: FeatureCache, backbone, key: str, image: Callable[[], Tensor], align: bool = ALIGN
) -> Tensor:
    """Return (1, C, h, w) features of an image that is only made if the cache does not have
    them.
    """
    moves = "".join(f":{move}" for move in backbone.alignment(align))
    digest = f"{backbone.name}:{backbone.stage}:{backbone.digest}{moves}:{key}"
    with torch.no_grad():
        return cache.get(digest, lambda: backbone.extract(image(), align).data)
