"""Which device computes: cuda if there is one, else mps, else cpu."""

from __future__ import annotations

import torch

from explorer.core.errors import ExplorerError


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """Return the device called ``name``, or the best there is: cuda, else mps, else cpu."""
    if name is not None and str(name) != "auto":
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ExplorerError(f"the device {str(name)!r} cannot be used here: {reason}") from None
        return device
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def wait_for(device: torch.device) -> None:
    """Return when everything queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
