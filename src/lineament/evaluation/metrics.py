# SPDX-License-Identifier: Apache-2.0
"""Figures that compare a predicted normal map with the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError
from lineament.geometry.angular import angular_error


def masked_angular_error(predicted: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> NDArray[np.float64]:
    """Angular errors inside a mask.

    Args:
        predicted: Normals [H, W, 3].
        truth: Normals [H, W, 3], same frame.
        mask: [H, W], non-zero where to compare.

    Returns:
        Degrees, [number of pixels in the mask].

    Raises:
        InputError: If shapes differ, or a predicted normal in the mask is not finite.
    """
    a, b, inside = np.asarray(predicted), np.asarray(truth), np.asarray(mask) != 0
    if a.shape != b.shape or a.shape != (*inside.shape, 3):
        raise InputError(f"prediction {a.shape}, truth {b.shape} and mask {inside.shape} do not belong together")
    chosen = a[inside]
    if not np.isfinite(chosen).all():
        raise InputError("the prediction has normals that are not finite numbers")
    return angular_error(chosen, b[inside])


def slope_scale(predicted: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """By which factor the predicted slopes are too flat: a diagnosis of systematically timid normals.

    Slopes are n_x / n_z and n_y / n_z. The factor is the least-squares answer to truth = factor * prediction,
    each pixel weighted by both n_z², so that grazing normals do not dominate: sum(s·t w) / sum(s·s w).

    Args:
        predicted: Normals [H, W, 3].
        truth: Normals [H, W, 3].
        mask: [H, W], non-zero where to compare. Normals that face away are left out.

    Returns:
        A positive factor above one where predictions are too flat; NaN if the prediction has no slope at all.
    """
    inside = (np.asarray(mask) != 0) & (np.asarray(predicted)[..., 2] > 0.05) & (np.asarray(truth)[..., 2] > 0.05)
    p = np.asarray(predicted, dtype=np.float64)[inside]
    t = np.asarray(truth, dtype=np.float64)[inside]
    weight = (p[:, 2] * t[:, 2]) ** 2
    s = p[:, :2] / p[:, 2:]
    u = t[:, :2] / t[:, 2:]
    below = float((weight[:, None] * s * s).sum())
    return float((weight[:, None] * s * u).sum()) / below if below > 1e-12 else float("nan")
