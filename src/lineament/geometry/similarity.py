# SPDX-License-Identifier: Apache-2.0
"""Rigid motions and similarities from points to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Similarity:
    """x ↦ scale · rotation x + translation."""

    scale: float
    rotation: Floats
    """[3, 3]."""
    translation: Floats
    """[3]."""

    def __call__(self, points: ArrayLike) -> Floats:
        """Move points [N, 3]."""
        return np.asarray(self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation)


def fit_similarity(source: ArrayLike, target: ArrayLike, with_scale: bool = True) -> Similarity:
    """The best similarity (or rigid motion) from points to points (Umeyama 1991).

    Args:
        source: [N, 3], N at least 3.
        target: [N, 3].
        with_scale: False keeps the size.

    Raises:
        InputError: Shapes that differ, too few points, or points on a line.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 3 or len(a) < 3:
        raise InputError(f"an alignment needs three points or more twice, got {a.shape} and {b.shape}")
    middle_a, middle_b = a.mean(axis=0), b.mean(axis=0)
    u, s, vt = np.linalg.svd((b - middle_b).T @ (a - middle_a))
    if s[1] < 1e-12 * max(1e-300, s[0]):
        raise InputError("points on a line cannot be aligned")
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * signs) @ vt
    scale = float((s * signs).sum() / ((a - middle_a) ** 2).sum()) if with_scale else 1.0
    return Similarity(scale, rotation, middle_b - scale * rotation @ middle_a)
