"""sRGB, linear light and OKLab (Ottosson, 2020), where equal steps look equal; and dichromacy."""

from __future__ import annotations

import numpy as np

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES, _FROM_LAB = np.linalg.inv(_TO_CONES), np.linalg.inv(_TO_LAB)

# What each deficiency makes of linear RGB (Machado, Oliveira and Fernandes, 2009).
DICHROMACY = {
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def rgb_to_linear(rgb: np.ndarray) -> np.ndarray:
    """Return linear light (..., 3) in [0, 1] of sRGB (..., 3) in [0, 255]."""
    srgb = np.asarray(rgb, float) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_oklab(linear: np.ndarray) -> np.ndarray:
    """Return OKLab (..., 3) of linear light (..., 3)."""
    return np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T


def oklab_to_linear(lab: np.ndarray) -> np.ndarray:
    """Return linear light (..., 3) of OKLab (..., 3), outside [0, 1] if no screen can show it."""
    return (np.asarray(lab, float) @ _FROM_LAB.T) ** 3 @ _FROM_CONES.T


def rgb_to_oklab(rgb: np.ndarray) -> np.ndarray:
    """Return OKLab (..., 3) of sRGB (..., 3) in [0, 255]."""
    return linear_to_oklab(rgb_to_linear(rgb))


def oklab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Return sRGB (..., 3) uint8 of OKLab (..., 3); what the screen cannot show is clipped."""
    linear = np.clip(oklab_to_linear(lab), 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def seen_oklab(rgb: np.ndarray) -> dict[str, np.ndarray]:
    """Return what readers see of sRGB (..., 3) in [0, 255]: OKLab by "normal" and by deficiency."""
    linear = rgb_to_linear(rgb)
    seen = {name: np.clip(linear @ matrix.T, 0, 1) for name, matrix in DICHROMACY.items()}
    return {name: linear_to_oklab(part) for name, part in ({"normal": linear} | seen).items()}
