"""On what a report was made: versions and machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import torch

from explorer import __version__

PACKAGES = ("torch", "timm", "numpy", "scikit-learn", "accelerate", "safetensors", "pillow")


def versions() -> dict[str, str]:
    """Return the versions of Python, this program and what computes for it."""
    found = {"python": platform.python_version(), "explorer": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine(device: torch.device, processes: int = 1) -> dict[str, object]:
    """Return the processor, its cores, the threads used, the device and the processes."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "processes": processes,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
