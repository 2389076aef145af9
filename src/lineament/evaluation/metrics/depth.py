# SPDX-License-Identifier: Apache-2.0
"""Figures that compare depth maps, each as its paper defines it.

Depth here is larger where nearer. What a single photo cannot tell (a shift, a scale) is taken out first, differently
from paper to paper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DepthErrorStatistics:
    """The columns of DF2Net's table 2, in the truth's unit."""

    mean: float
    std: float
    median: float
    largest_90: float
    """What ninety per cent of the pixels stay below."""
    count: int


def depth_error_statistics(errors: ArrayLike) -> DepthErrorStatistics:
    """Mean, standard deviation, median and 90 % quantile of absolute errors (DF2Net, section 4.2).

    The paper's words for the last column are "the average 90% largest error"; its values are about twice the mean,
    which a quantile gives and an average over the largest nine tenths would not.

    Raises:
        InputError: No error at all.
    """
    e = np.abs(np.asarray(errors, dtype=np.float64)).ravel()
    if not e.size:
        raise InputError("there is no pixel to compare")
    return DepthErrorStatistics(
        float(e.mean()), float(e.std()), float(np.median(e)), float(np.quantile(e, 0.9)), int(e.size)
    )


def align_depth(
    predicted: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike,
    tolerance: float | None = None,
    iterations: int = 300,
    seed: int = 0,
) -> Floats:
    """Bring a predicted depth onto the truth by RANSAC (Fischler and Bolles 1981), as Pix2Vertex and DF2Net do.

    Two pixels give a scale and a shift; the pair that most pixels agree with is refitted by least squares on those. The
    papers state neither tolerance nor number of iterations; both are ours.

    Args:
        predicted: [H, W], any unit.
        truth: [H, W].
        mask: [H, W], non-zero where to compare.
        tolerance: Residual, in the truth's unit, up to which a pixel agrees; half the truth's median absolute deviation
            by default.
        iterations: Pairs tried.
        seed: Of the choice of pairs.

    Returns:
        The aligned prediction [H, W].

    Raises:
        InputError: Shapes that differ, or fewer than two pixels with numbers in both.
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    inside = np.asarray(mask) != 0
    if not p.shape == t.shape == inside.shape:
        raise InputError(f"prediction {p.shape}, truth {t.shape} and mask {inside.shape} do not belong together")
    inside = inside & np.isfinite(p) & np.isfinite(t)
    x, y = p[inside], t[inside]
    if len(x) < 2:
        raise InputError("fewer than two pixels can be compared")
    allowed = 0.5 * float(np.median(np.abs(y - np.median(y)))) if tolerance is None else tolerance
    random = np.random.default_rng(seed)
    first, second = random.integers(len(x), size=(2, iterations))
    difference = x[first] - x[second]
    usable = np.abs(difference) > 1e-9 * (np.abs(x).max() + 1e-12)
    if not usable.any():  # a flat prediction has no scale
        return p - float(np.median(x)) + float(np.median(y))
    scales = (y[first] - y[second])[usable] / difference[usable]
    shifts = y[first][usable] - scales * x[first][usable]
    # A mirrored shape may agree with a few pixels better than the right one; depth never turns round.
    scales, shifts = scales[scales > 0], shifts[scales > 0]
    subset = random.integers(len(x), size=min(len(x), 4000))
    if not len(scales):
        return p - float(np.median(x)) + float(np.median(y))
    agreeing = (np.abs(scales[:, None] * x[subset] + shifts[:, None] - y[subset]) <= allowed).sum(axis=1)
    best = int(agreeing.argmax())
    kept = np.abs(scales[best] * x + shifts[best] - y) <= allowed
    if kept.sum() >= 2 and float(np.ptp(x[kept])) > 0:
        scale, shift = np.polyfit(x[kept], y[kept], 1)
    else:
        scale, shift = scales[best], shifts[best]
    return np.asarray(scale * p + shift)


def scale_invariant_depth_error(predicted: ArrayLike, truth: ArrayLike, mask: ArrayLike) -> float:
    """SIDE (Eigen, Puhrsch and Fergus 2014; as Unsup3D and L2R report it, times 100).

    With Δ the difference of the logarithms of both distances, √(mean Δ² - (mean Δ)²).

    Args:
        predicted: [H, W] distances from the camera, positive.
        truth: [H, W] likewise.
        mask: [H, W], non-zero where to compare.

    Raises:
        InputError: Shapes that differ, an empty mask, or distances in it that are not positive.
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    inside = np.asarray(mask) != 0
    if not p.shape == t.shape == inside.shape or not inside.any():
        raise InputError(f"prediction {p.shape}, truth {t.shape} and mask {inside.shape} do not belong together")
    p, t = p[inside], t[inside]
    if not ((p > 0).all() and (t > 0).all()):
        raise InputError("a scale-invariant error needs distances from the camera, which are positive")
    return float(np.std(np.log(p) - np.log(t)))


def depth_correlation(predicted: ArrayLike, truth: ArrayLike) -> float:
    """3DFAW's figure (DepthNet, Moniz et al. 2018; Unsup3D; L2R's table 5): the sum over landmarks of correlations.

    For every landmark the depths of all photos are correlated (Pearson) with the true ones, and the coefficients'
    absolute values are summed, so that a perfect answer gives the number of landmarks, 66, and so does a mirrored one.

    Args:
        predicted: [photos, landmarks], larger nearer.
        truth: [photos, landmarks], likewise.

    Raises:
        InputError: Shapes that differ, or fewer than two photos.
    """
    p, t = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if p.shape != t.shape or p.ndim != 2 or len(p) < 2:
        raise InputError(f"depths must be [photos, landmarks] of two photos or more, got {p.shape} and {t.shape}")
    p, t = p - p.mean(axis=0), t - t.mean(axis=0)
    below = np.sqrt((p * p).sum(axis=0) * (t * t).sum(axis=0))
    return float(np.where(below > 1e-12, np.abs((p * t).sum(axis=0)) / np.maximum(below, 1e-12), 0.0).sum())
