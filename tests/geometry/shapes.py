# SPDX-License-Identifier: Apache-2.0
"""Surfaces with closed-form depth and normals, sampled at pixel centres."""

from __future__ import annotations

import numpy as np


def ellipsoid(
    size: int, radii: tuple[float, float, float], rim: float = 0.9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth, normals and mask of an ellipsoid with radii in pixels, up to `rim` of its outline."""
    v, u = np.mgrid[:size, :size] + 0.5
    x, y = u - size / 2, size / 2 - v
    a, b, c = radii
    inside = (x / a) ** 2 + (y / b) ** 2
    z = c * np.sqrt(np.maximum(1 - inside, 1e-9))
    normals = np.stack([x / a**2, y / b**2, z / c**2], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return z, normals, inside < rim**2
