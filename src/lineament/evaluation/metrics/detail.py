# SPDX-License-Identifier: Apache-2.0
"""Normals parted by a blur into shape and detail, and how far each agrees with the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.errors import InputError
from lineament.geometry import angular_error
from lineament.geometry.normals import normalize

Floats = NDArray[np.float32]

BLUR = 0.015
"""Sigma of the blur that parts shape from detail, of the canonical crop's side."""


@dataclass(frozen=True)
class ShapeAndDetail:
    """How estimated normals compare with true ones."""

    shape_error: float
    """Mean angular error of the shapes (both blurred), degrees."""
    correlation: float
    """Pearson's correlation of the details (n_x and n_y less the shape's), -1 to 1; 0 where one has none."""
    strength: float
    """Standard deviation of the estimate's detail in that of the truth's."""


def part_normals(normals: Floats, mask: NDArray[np.bool_], sigma: float) -> tuple[Floats, Floats]:
    """Normals blurred over a mask, and what is left of n_x and n_y.

    Args:
        normals: [H, W, 3] unit.
        mask: [H, W], where they count; the blur mixes in nothing from outside.
        sigma: Of the blur, pixels.

    Returns:
        The shape [H, W, 3] unit, and the detail [H, W, 2].
    """
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    smooth = [ndimage.gaussian_filter(normals[..., i] * mask, sigma) / np.maximum(weight, 1e-3) for i in range(3)]
    blurred = np.stack(smooth, axis=-1)
    return normalize(blurred).astype(np.float32), (normals - blurred)[..., :2]


def compare_shape_and_detail(normals: Floats, truth: Floats, mask: NDArray[np.bool_], sigma: float) -> ShapeAndDetail:
    """Compare the shape and the detail of normals with the truth's.

    Args:
        normals: [H, W, 3] unit.
        truth: [H, W, 3] unit, same frame.
        mask: [H, W], where they are compared.
        sigma: Of the blur between shape and detail, pixels; see `BLUR`.

    Raises:
        InputError: Shapes that differ, or an empty mask.
    """
    if normals.shape != truth.shape or normals.shape != (*mask.shape, 3):
        raise InputError(f"normals {normals.shape} and {truth.shape} and a mask {mask.shape} do not fit together")
    if not mask.any():
        raise InputError("there are no pixels to compare: the mask is empty")
    (shape, detail), (true_shape, true_detail) = (part_normals(n, mask, sigma) for n in (normals, truth))
    a, b = detail[mask].ravel().astype(np.float64), true_detail[mask].ravel().astype(np.float64)
    spread, true_spread = float(a.std()), float(b.std())
    has_detail = min(spread, true_spread) > 1e-6
    return ShapeAndDetail(
        shape_error=float(angular_error(shape, true_shape)[mask].mean()),
        correlation=float(np.corrcoef(a, b)[0, 1]) if has_detail else 0.0,
        strength=spread / true_spread if true_spread > 1e-6 else float("nan"),
    )
