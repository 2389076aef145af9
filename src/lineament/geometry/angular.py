# SPDX-License-Identifier: Apache-2.0
"""Angles between predicted and true normals, and the metrics that normal-estimation papers report of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

THRESHOLDS = (20.0, 25.0, 30.0)
"""Degrees below which shares are reported (tables of SfSNet, HFFNE and Cas-FNE)."""


def angular_error(predicted: ArrayLike, truth: ArrayLike) -> NDArray[np.float64]:
    """Angle between vectors, whatever their length.

    The arc tangent of the cross product's length over the dot product is used, since the arc cosine of the
    dot product alone loses half its digits near zero.

    Args:
        predicted: Vectors [..., 3].
        truth: Vectors [..., 3], same frame, broadcastable.

    Returns:
        Degrees in [0, 180], [...]. A vector of length zero says nothing and counts as 90°, so that leaving
        pixels empty can never lower an error.

    Raises:
        InputError: If the last axis is not of length 3 or the shapes do not fit.
    """
    a = np.asarray(predicted, dtype=np.float64)
    b = np.asarray(truth, dtype=np.float64)
    if not a.ndim or not b.ndim or a.shape[-1] != 3 or b.shape[-1] != 3:
        raise InputError(f"normals must end in an axis of 3, got the shapes {a.shape} and {b.shape}")
    try:
        a, b = np.broadcast_arrays(a, b)
    except ValueError:
        raise InputError(f"normals of the shapes {a.shape} and {b.shape} cannot be compared") from None
    dot = a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    z = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    sine = np.sqrt(x * x + y * y + z * z)
    degrees: NDArray[np.float64] = np.degrees(np.arctan2(sine, dot))
    empty = ~np.any(a, axis=-1) | ~np.any(b, axis=-1)
    return np.where(empty, 90.0, degrees)


@dataclass(frozen=True)
class AngularErrorStatistics:
    """What papers report of a set of angular errors."""

    mean: float
    """Mean, degrees."""
    std: float
    """Standard deviation over the same pixels, degrees."""
    median: float
    """Median, degrees."""
    below_20: float
    """Share below 20°, in [0, 1]."""
    below_25: float
    """Share below 25°, in [0, 1]."""
    below_30: float
    """Share below 30°, in [0, 1]."""
    count: int
    """How many errors there were."""


def angular_error_statistics(errors: ArrayLike) -> AngularErrorStatistics:
    """Mean, standard deviation, median and the shares below 20°, 25° and 30°.

    Args:
        errors: Degrees, any shape.

    Returns:
        The metrics over all of them.

    Raises:
        InputError: If there is no error at all, or one is not a finite number.
    """
    values = np.asarray(errors, dtype=np.float64).ravel()
    if values.size == 0:
        raise InputError("there are no pixels to compare: the mask is empty")
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} of {values.size} angular errors are not finite")
    shares = [float(np.mean(values < threshold)) for threshold in THRESHOLDS]
    return AngularErrorStatistics(
        mean=float(values.mean()),
        std=float(values.std()),
        median=float(np.median(values)),
        below_20=shares[0],
        below_25=shares[1],
        below_30=shares[2],
        count=int(values.size),
    )
