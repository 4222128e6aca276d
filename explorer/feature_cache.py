"""Half-precision feature maps on disk, under a byte limit, safe against kills and full disks."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor


class FeatureCache:
    """Maps a key to a tensor, computing what is missing and keeping it as float16 while there is
    room.

    ``folder=None`` keeps nothing. Entries appear atomically; a damaged one is computed again.
    """

    def __init__(self, folder: str | Path | None, limit_bytes: int = 4 * 2**30):
        self.folder = None if folder is None else Path(folder)
        self.limit = limit_bytes
        self.used = 0
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
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
        part = None
        try:
            path.parent.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
                part = Path(file.name)
            save_file({"features": value.contiguous()}, part)
            os.replace(part, path)
            self.used += size
        except OSError:  # a full disk costs time, not the run
            self.limit = 0
            if part is not None:
                part.unlink(missing_ok=True)


def cached_features(cache: FeatureCache, backbone, key: str, image: Callable[[], Tensor]) -> Tensor:
    """Return (1, C, h, w) features of an image that is only made if the cache does not have
    them.
    """
    seal = f"{backbone.name}:{backbone.stage}:{backbone.digest}:{key}"
    with torch.no_grad():
        return cache.get(seal, lambda: backbone.extract(image()).data)
