# SPDX-License-Identifier: Apache-2.0
"""Unit length, and the normals of a depth map."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError
from lineament.geometry.camera import Camera, ScaledOrthography, pixel_centres


def normalize(vectors: ArrayLike, epsilon: float = 1e-12) -> NDArray[np.float64]:
    """Scale vectors to unit length.

    Args:
        vectors: [..., 3].
        epsilon: Vectors shorter than this become zero, not noise.

    Returns:
        [..., 3] of unit length, or zero.
    """
    given = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(given, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.where(length > epsilon, given / np.maximum(length, epsilon), 0.0)
    return unit


def depth_to_normals(
    depth: ArrayLike,
    mask: ArrayLike | None = None,
    camera: Camera | None = None,
) -> NDArray[np.float32]:
    """Normals of the surface that a depth map describes, from each pixel's four neighbours.

    The normal is the sum of the four cross products of neighbouring differences, right x up, up x left, left
    x down and down x right (the four surrounding pixels of DF2Net, section 3.2), scaled to unit length. That
    sum equals (right - left) x (up - down), which is what is computed. Where a neighbour is outside the mask,
    the difference on the other side stands in for it, so borders keep a one-sided normal.

    Args:
        depth: [H, W], the z coordinate in the camera frame, larger is nearer. In pixels unless `camera` says
            otherwise.
        mask: [H, W], non-zero where depth is known; everywhere when left out. Pixels that are not finite are
            left out.
        camera: The camera in whose units depth is; scaled orthography of one unit per pixel when left out.

    Returns:
        Unit normals [H, W, 3] float32, camera frame (x right, y up, z towards the viewer). Zero outside the
        mask, and where a pixel has no neighbour in a row or no neighbour in a column.

    Raises:
        InputError: If the shapes are wrong.
    """
    z, known = known_depth(depth, mask)
    camera = camera or ScaledOrthography()
    # Unknown pixels take a depth that any camera can unproject; they enter no difference.
    filler = float(z[known].mean()) if known.any() else 0.0
    points = camera.unproject(pixel_centres(*z.shape), np.where(known, z, filler))  # [H, W, 3]
    across, have_row = _span(points, known, axis=1)  # right - left
    down, have_column = _span(points, known, axis=0)  # down - up
    normals = normalize(np.cross(across, -down))
    normals[~(known & have_row & have_column)] = 0.0
    return normals.astype(np.float32)


def known_depth(depth: ArrayLike, mask: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A depth map [H, W], and where it is finite and inside the mask, if there is one.

    Raises:
        InputError: If the shapes are wrong.
    """
    z = np.asarray(depth, dtype=np.float64)
    if z.ndim != 2:
        raise InputError(f"depth must be [H, W], got the shape {z.shape}")
    known = np.isfinite(z)
    if mask is not None:
        given = np.asarray(mask)
        if given.shape != z.shape:
            raise InputError(f"mask {given.shape} and depth {z.shape} differ in shape")
        known &= given != 0
    return z, known


def _span(
    points: NDArray[np.float64], known: NDArray[np.bool_], axis: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Next minus previous point along an axis, one-sided (doubled) where one of the two is unknown."""
    step = np.zeros_like(points)
    linked = np.zeros(known.shape, dtype=bool)
    front: list[slice] = [slice(None), slice(None)]
    back: list[slice] = [slice(None), slice(None)]
    front[axis], back[axis] = slice(None, -1), slice(1, None)
    here, valid = tuple(front), tuple(back)
    step[here] = points[valid] - points[here]
    linked[here] = known[here] & known[valid]
    before = np.zeros_like(points)
    linked_before = np.zeros_like(linked)
    before[valid] = step[here]
    linked_before[valid] = linked[here]
    ahead = np.where(linked[..., None], step, before)
    behind = np.where(linked_before[..., None], before, step)
    return ahead + behind, linked | linked_before
