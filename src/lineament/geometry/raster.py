# SPDX-License-Identifier: Apache-2.0
"""A small rasteriser in NumPy: which triangle each pixel sees; `lineament.render.raster` is torch's, for batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineament.errors import InputError

_CELLS = 1 << 20
"""Candidate pixels that are looked at together."""


@dataclass(frozen=True)
class Seen:
    """What each pixel of a picture sees of a mesh."""

    triangle: NDArray[np.int64]
    """[H, W] number of the triangle, -1 where there is none."""
    weight: NDArray[np.float64]
    """[H, W, 3] barycentric weights of its corners, in space, not in the picture; zero where there is none."""

    def of(self, values: NDArray[np.floating], triangles: NDArray[np.integer]) -> NDArray[np.float64]:
        """Vertices' values [V, C] at every pixel, [H, W, C]; zero where nothing is seen."""
        corners = values[triangles[self.triangle.clip(0)]]  # [H, W, 3, C]
        return np.asarray((corners * self.weight[..., None]).sum(2))


def rasterize(
    points: NDArray[np.floating],
    triangles: NDArray[np.integer],
    height: int,
    width: int,
    distance: NDArray[np.floating] | None = None,
) -> Seen:
    """Find the nearest triangle at every pixel centre; triangles seen from behind are left out.

    Args:
        points: [V, 3] x (right) and y (down) in pixels, pixel centres at integer + 0.5; z larger is nearer.
        triangles: [T, 3], counter-clockwise seen from outside with y up.
        height: Rows of the picture.
        width: Columns of the picture.
        distance: [V] from the camera along its axis, for perspective; orthography when left out.

    Raises:
        InputError: Points that are not finite.
    """
    if not np.isfinite(points).all():
        raise InputError("a mesh that is drawn has vertices that are not finite")
    corner = np.asarray(points, np.float64)[triangles]  # [T, 3, 3]
    x, y = corner[..., 0], corner[..., 1]
    doubled = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    left, right = np.ceil(x.min(1) - 0.5).clip(0, width), np.floor(x.max(1) - 0.5).clip(-1, width - 1)
    top, bottom = np.ceil(y.min(1) - 0.5).clip(0, height), np.floor(y.max(1) - 0.5).clip(-1, height - 1)
    # With y down, a counter-clockwise triangle has negative area.
    drawn = np.flatnonzero((doubled < 0) & (right >= left) & (bottom >= top))
    wide = (right - left + 1)[drawn].astype(np.int64)
    cells = wide * (bottom - top + 1)[drawn].astype(np.int64)
    inverse = None if distance is None else 1.0 / np.asarray(distance, np.float64)[triangles]
    nearest = np.full(height * width, -np.inf)
    triangle = np.full(height * width, -1, np.int64)
    weight = np.zeros((height * width, 3))
    ends = np.searchsorted(np.cumsum(cells), np.arange(_CELLS, cells.sum() + _CELLS, _CELLS), side="right")
    starts = np.concatenate([[0], ends])
    for first, last in zip(starts, np.concatenate([ends, [len(drawn)]]), strict=True):
        some = slice(int(first), int(last))
        row = np.repeat(np.arange(len(drawn))[some], cells[some])
        if not len(row):
            continue
        cell = np.arange(len(row)) - np.repeat(np.cumsum(cells[some]) - cells[some], cells[some])
        number = drawn[row]
        column = (left[number] + cell % wide[row]).astype(np.int64)
        line = (top[number] + cell // wide[row]).astype(np.int64)
        dx, dy = x[number] - (column + 0.5)[:, None], y[number] - (line + 0.5)[:, None]
        share = dx[:, [1, 2, 0]] * dy[:, [2, 0, 1]] - dx[:, [2, 0, 1]] * dy[:, [1, 2, 0]]
        inside = (share <= 0).all(1)
        number, share, pixel = number[inside], share[inside], (line * width + column)[inside]
        if inverse is not None:
            share = share * inverse[number]
        share = share / share.sum(1, keepdims=True)
        z = corner[..., 2][number]
        near = (share * z).sum(1)
        order = np.argsort(near, kind="stable")  # the nearest of each pixel is written last
        pixel, near, number, share = pixel[order], near[order], number[order], share[order]
        last_of = len(pixel) - 1 - np.unique(pixel[::-1], return_index=True)[1]
        pixel, near, number, share = pixel[last_of], near[last_of], number[last_of], share[last_of]
        better = near > nearest[pixel]
        nearest[pixel[better]], triangle[pixel[better]] = near[better], number[better]
        weight[pixel[better]] = share[better]
    return Seen(triangle.reshape(height, width), weight.reshape(height, width, 3))
