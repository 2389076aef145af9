# SPDX-License-Identifier: Apache-2.0
"""Figures that compare a predicted normal map with the truth."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Sparsification:
    """What is left of an error when the pixels that are least sure are left out (Ilg et al. 2018)."""

    removed: NDArray[np.float64]
    """Shares of pixels left out, ascending from 0."""
    error: NDArray[np.float64]
    """Mean error of the rest, the most uncertain pixels left out first."""
    oracle: NDArray[np.float64]
    """The same with the pixels of largest error left out first: no uncertainty can do better."""
    rank_correlation: float
    """Spearman's, between uncertainty and error; 1 is a perfect order, 0 says nothing."""

    @property
    def area(self) -> float:
        """Mean distance between curve and oracle, as a share of the whole error: 0 is perfect."""
        return float(np.mean(self.error - self.oracle) / self.error[0])

    @property
    def area_of_chance(self) -> float:
        """The same for an uncertainty that says nothing."""
        return float(np.mean(self.error[0] - self.oracle) / self.error[0])


def sparsification(errors: ArrayLike, uncertainty: ArrayLike, steps: int = 20) -> Sparsification:
    """Whether an uncertainty is large where the error is large.

    Args:
        errors: Any shape.
        uncertainty: Same shape, any unit.
        steps: How many shares of pixels are left out, evenly spaced from 0.

    Raises:
        InputError: If the shapes differ, there are fewer than two values, or one is not finite.
    """
    from scipy.stats import spearmanr

    e, u = np.asarray(errors, np.float64).ravel(), np.asarray(uncertainty, np.float64).ravel()
    if e.shape != u.shape or e.size < 2 or not (np.isfinite(e).all() and np.isfinite(u).all()):
        raise InputError(f"errors {e.shape} and uncertainties {u.shape} must be as many, two or more, and finite")
    removed = np.arange(steps) / steps
    kept = np.maximum(1, np.round(e.size * (1.0 - removed)).astype(np.int64))

    def curve(order: NDArray[np.int64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = np.cumsum(e[order])[kept - 1] / kept
        return means

    surest, smallest = np.argsort(u, kind="stable"), np.argsort(e, kind="stable")
    return Sparsification(removed, curve(surest), curve(smallest), float(spearmanr(e, u).statistic))
