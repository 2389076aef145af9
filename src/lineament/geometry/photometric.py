# SPDX-License-Identifier: Apache-2.0
"""Photometric stereo: normals and albedo from photos of one face under known distant lights.

The surface is taken to be Lambertian, I = ρ max(n · l, 0), with light directions l in the camera frame (x to
the image's right, y up, z towards the viewer), whose length is the light's strength (Woodham, "Photometric
method for determining surface orientation from multiple images", Optical Engineering 1980).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

Floats = NDArray[np.float32]

CAUCHY_TUNING = 2.385
"""Scale of the Cauchy weight 1 / (1 + (r / (2.385 σ))²): 95 % efficiency on Gaussian noise (Holland and
Welsch)."""
MAD_TO_STANDARD_DEVIATION = 1.4826
_CHUNK = 65536  # pixels solved at once, which bounds memory for large photos


@dataclass(frozen=True)
class PhotometricStereo:
    """What photometric stereo says of every pixel."""

    normals: Floats
    """Unit normals [..., 3], camera frame; zero where no answer was possible."""
    albedo: Floats
    """ρ [...] in the units of the images."""
    residual: Floats
    """Weighted root mean square of I - ρ n · l over ρ [...], a ratio; infinite where no answer was
    possible."""
    lights: NDArray[np.int32]
    """How many lights were usable [...]."""


def photometric_stereo(
    images: ArrayLike,
    lights: ArrayLike,
    shadow_tolerance: float | None = 0.05,
) -> PhotometricStereo:
    """Least squares from a few lights, four in the Photoface device, with a choice for shadows.

    Four lights over-determine the three unknowns, so a pixel that does not fit betrays a shadow (or a
    highlight); there, the darkest light is left out and the others are solved again (Barsky and Petrou, "The
    4-source photometric stereo technique", PAMI 2003; Photoface: Zafeiriou et al., CVPR Workshops 2011).

    Args:
        images: Linear intensities [N, ...], N at least 3.
        lights: Directions [N, 3], camera frame; their length is the strength.
        shadow_tolerance: Relative residual above which the darkest light is left out; None never leaves one
            out.

    Returns:
        Normals, albedo, relative residual of the final choice, and how many lights it used.

    Raises:
        InputError: If shapes disagree, or the lights lie in one plane.
    """
    intensities, directions = _checked(images, lights)
    shape = intensities.shape[1:]
    flat = intensities.reshape(len(directions), -1)
    weights = np.ones_like(flat)
    solved = _weighted_solution(flat, weights, directions)
    if shadow_tolerance is not None and len(directions) > 3:
        doubtful = np.flatnonzero(_relative_residual(flat, weights, directions, solved) > shadow_tolerance)
        darkest = flat[:, doubtful].argmin(axis=0)
        weights[darkest, doubtful] = 0.0
        solved[doubtful] = _weighted_solution(flat[:, doubtful], weights[:, doubtful], directions)
    return _answer(flat, weights, directions, solved, shape)


def robust_photometric_stereo(
    images: ArrayLike,
    lights: ArrayLike,
    valid: ArrayLike | None = None,
    iterations: int = 12,
    noise: float = 0.0,
) -> PhotometricStereo:
    """Iteratively reweighted least squares with Cauchy weights, for many lights.

    Shadows, highlights and interreflections are what the weights turn down. The scale of each pixel's
    residuals is their median absolute value, renewed in every iteration.

    Args:
        images: Linear intensities [N, ...].
        lights: Directions [N, 3], camera frame; their length is the strength.
        valid: Which intensities may be used, [N, ...] boolean (neither black nor saturated, say); all when
            left out.
        iterations: Reweighting steps.
        noise: Standard deviation of the images' own noise, in their units; the scale never gets smaller, so
            that a few intensities that happen to agree cannot outvote the others.

    Returns:
        Normals, albedo, relative residual and the number of valid lights of each pixel. Pixels with fewer
        than three valid lights get no answer.

    Raises:
        InputError: If shapes disagree, or the lights lie in one plane.
    """
    intensities, directions = _checked(images, lights)
    shape = intensities.shape[1:]
    flat = intensities.reshape(len(directions), -1)
    allowed = np.ones(flat.shape, dtype=bool)
    if valid is not None:
        allowed = np.asarray(valid, dtype=bool)
        if allowed.shape != intensities.shape:
            raise InputError(f"valid {allowed.shape} and images {intensities.shape} differ in shape")
        allowed = allowed.reshape(flat.shape)
    floor = max(noise, 1e-4 * float(np.abs(flat).max(initial=0.0)), 1e-9)
    chunks = [slice(start, start + _CHUNK) for start in range(0, flat.shape[1], _CHUNK)]
    parts = [_reweighted(flat[:, part], allowed[:, part], directions, iterations, floor) for part in chunks]
    solved = np.concatenate([part[0] for part in parts])
    weights = np.concatenate([part[1] for part in parts], axis=1)
    answer = _answer(flat, weights, directions, solved, shape)
    count = allowed.sum(axis=0, dtype=np.int32).reshape(shape)
    empty = count < 3
    return PhotometricStereo(
        normals=np.where(empty[..., None], np.float32(0), answer.normals),
        albedo=np.where(empty, np.float32(0), answer.albedo),
        residual=np.where(empty, np.float32(np.inf), answer.residual),
        lights=count,
    )


def _checked(images: ArrayLike, lights: ArrayLike) -> tuple[Floats, Floats]:
    intensities = np.asarray(images, dtype=np.float32)
    directions = np.asarray(lights, dtype=np.float32)
    if directions.ndim != 2 or directions.shape[1] != 3 or intensities.shape[:1] != directions.shape[:1]:
        raise InputError(f"images must be [N, ...] and lights [N, 3], got {intensities.shape} and {directions.shape}")
    singular = np.linalg.svd(directions, compute_uv=False)
    if len(directions) < 3 or singular[2] < 1e-3 * singular[0]:
        raise InputError(
            f"{len(directions)} lights do not span space: photometric stereo needs three or more that do not "
            "lie in one plane"
        )
    return intensities, directions


def _weighted_solution(flat: Floats, weights: Floats, directions: Floats) -> Floats:
    """Minimise sum_i w_i (I_i - g · l_i)² per pixel: [N, P] to g = ρ n, [P, 3]."""
    products = (directions[:, :, None] * directions[:, None, :]).reshape(-1, 9)  # [N, 9]
    matrices = (weights.T @ products).reshape(-1, 3, 3)  # [P, 3, 3]
    # A hair of damping keeps pixels with no usable light solvable; they are told apart by their count of
    # lights.
    damping = np.float32(1e-6) * (1.0 + np.trace(matrices, axis1=1, axis2=2))
    matrices = matrices + damping[:, None, None] * np.eye(3, dtype=np.float32)
    right = (weights * flat).T @ directions  # [P, 3]
    solution: Floats = np.linalg.solve(matrices, right[..., None])[..., 0]
    return solution


def _reweighted(
    flat: Floats, allowed: NDArray[np.bool_], directions: Floats, iterations: int, floor: float
) -> tuple[Floats, Floats]:
    """IRLS on a chunk of pixels: g [P, 3] and the last weights [N, P]."""
    weights = allowed.astype(np.float32)
    solved = _weighted_solution(flat, weights, directions)
    middle = np.maximum(allowed.sum(axis=0) - 1, 0)[None] // 2  # [1, P]
    for _ in range(iterations):
        distance = np.abs(flat - directions @ solved.T)  # [N, P]
        ordered = np.sort(np.where(allowed, distance, np.inf), axis=0)
        median = np.take_along_axis(ordered, middle, axis=0)[0]
        scale = np.maximum(MAD_TO_STANDARD_DEVIATION * np.where(np.isfinite(median), median, 0.0), floor)
        weights = (allowed / (1.0 + (distance / (CAUCHY_TUNING * scale)) ** 2)).astype(np.float32)
        solved = _weighted_solution(flat, weights, directions)
    return solved, weights


def _relative_residual(flat: Floats, weights: Floats, directions: Floats, solved: Floats) -> Floats:
    """Weighted root mean square of I - g · l over the length of g per pixel, [P]."""
    squares = (weights * (flat - directions @ solved.T) ** 2).sum(axis=0)
    spread = np.sqrt(squares / np.maximum(weights.sum(axis=0), 1e-6))
    relative: Floats = (spread / np.maximum(np.linalg.norm(solved, axis=1), 1e-9)).astype(np.float32)
    return relative


def _answer(
    flat: Floats, weights: Floats, directions: Floats, solved: Floats, shape: tuple[int, ...]
) -> PhotometricStereo:
    albedo = np.linalg.norm(solved, axis=1)
    known = albedo > 1e-9
    normals = np.where(known[:, None], solved / np.maximum(albedo, 1e-9)[:, None], 0.0)
    residual = _relative_residual(flat, weights, directions, solved)
    return PhotometricStereo(
        normals=normals.reshape(*shape, 3).astype(np.float32),
        albedo=albedo.reshape(shape).astype(np.float32),
        residual=np.where(known, residual, np.inf).reshape(shape).astype(np.float32),
        lights=(weights > 0).sum(axis=0, dtype=np.int32).reshape(shape),
    )
