"""What visitors get, as options of the launch; without Gradio, which no help text needs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from explorer.access_policy import AccessPolicy
from explorer.options import MAX_SIZE
from explorer.resources.memory import GIB
from explorer.session import DEFAULT_BUDGET, Session
from explorer.upsamplers.half_precision import EXACT, HALF


@dataclass(frozen=True)
class Serving:
    """How much strangers get: see ``add_arguments``."""

    trust_names: bool = False
    longest: int = 2048
    request_seconds: float = 120.0
    queue: int = 32
    at_once: int = 1
    upload_mb: int = 32
    cache_gb: float = DEFAULT_BUDGET / GIB
    encoders: str = EXACT

    @classmethod
    def of(cls, args: argparse.Namespace) -> Serving:
        """Read the parsed arguments of ``add_arguments``."""
        return cls(**{name: getattr(args, name) for name in cls.__dataclass_fields__})

    def session(self, device: str | None) -> Session:
        """Return the session that all visitors share; nobody's results fill more than half."""
        limits = AccessPolicy(self.trust_names, self.longest)
        budget = int(self.cache_gb * GIB)
        return Session(device, budget, limits=limits, encoders=self.encoders, share=0.5)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what strangers get as command-line arguments, each with its default."""
    usual = Serving()
    options: dict[str, tuple[Any, str]] = {
        "longest": (int, f"largest input and output side in pixels, up to {MAX_SIZE}"),
        "request_seconds": (float, "how long one request may compute"),
        "queue": (int, "how many requests may wait"),
        "at_once": (int, "how many requests compute at the same time"),
        "upload_mb": (int, "largest upload in MB"),
        "cache_gb": (float, "memory for results, in GiB"),
    }
    for name, (kind, text) in options.items():
        default = getattr(usual, name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=kind, default=default, help=f"{text} (default: {default:g})")
    parser.add_argument(
        "--encoders",
        choices=(EXACT, HALF),
        default=usual.encoders,
        help=f"number format of the upsamplers' encoders; {HALF} is for GPUs (default: {EXACT})",
    )
    parser.add_argument(
        "--trust-names",
        action="store_true",
        help="let visitors load any timm model by name and weights by path: only among friends",
    )
