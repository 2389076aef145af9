# SPDX-License-Identifier: Apache-2.0
"""Previews of geometry in NumPy: what a grey surface with these normals looks like under a few lamps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LIGHTS: tuple[tuple[float, float, float], ...] = (
    (0.0, 0.15, 1.0),
    (-0.8, 0.35, 0.6),
    (0.8, 0.35, 0.6),
    (0.0, 0.85, 0.5),
)
"""Directions towards the lamps in the camera frame: front, left, right, above."""

_AMBIENT, _LAMP = 0.06, 0.86


def shade_normals(
    normals: NDArray[np.float32], direction: Sequence[float], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Lambertian shading of a normal map.

    Args:
        normals: H×W×3 unit, camera frame, zero where there is none.
        direction: Towards the lamp, camera frame; any length.
        mask: H×W, what to show; everything with a normal by default.

    Returns:
        H×W uint8, sRGB-encoded, black outside.
    """
    towards = np.asarray(direction, np.float32)
    towards = towards / np.linalg.norm(towards)
    light = _AMBIENT + _LAMP * np.maximum(normals @ towards, 0.0)
    shown = (normals != 0).any(-1) if mask is None else mask
    return np.asarray((light.clip(0, 1) ** (1 / 2.2) * 255 + 0.5) * shown, dtype=np.uint8)


def shading_strip(normals: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Shadings under all `LIGHTS` side by side, H×(4·W)×3 uint8."""
    tiles = [shade_normals(normals, light, mask) for light in LIGHTS]
    return np.repeat(np.concatenate(tiles, axis=1)[..., None], 3, axis=-1)
