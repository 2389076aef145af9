# SPDX-License-Identifier: Apache-2.0
"""The outline of an open surface, made smooth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.mesh import Mesh

_PASSES = 12
_LEAST = 0.05  # share of a move below which it is left out


def outline_edges(triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edges [E, 2] that belong to one triangle [T, 3] alone."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    single, count = np.unique(edges, axis=0, return_counts=True)
    return np.asarray(single[count == 1])


def smooth_outline(mesh: Mesh, passes: int = _PASSES) -> Mesh:
    """A surface seen along z whose outline runs smoothly, not in the steps of the pixels that it was made from.

    Where the surface falls away from the viewer a step of one pixel along the outline is many pixels deep, so that the
    outline looks like a saw from the side. Its vertices move towards the middle of their neighbours on it, less far
    where triangles would turn their backs to the viewer; those where two outlines meet stay.

    Args:
        mesh: Triangles counter-clockwise as the viewer sees them.
        passes: How often.

    Returns:
        The same triangles; without texture coordinates, which moved vertices have to get anew.
    """
    edges = outline_edges(mesh.triangles)
    ends, others = np.concatenate([edges, edges[:, ::-1]]).T
    free = np.bincount(ends, minlength=len(mesh.vertices)) == 2
    vertices = mesh.vertices.copy()
    for _ in range(passes):
        middle = np.zeros_like(vertices)
        np.add.at(middle, ends, 0.5 * vertices[others])
        vertices[free] += 0.5 * (middle[free] - vertices[free])
    move, share = vertices - mesh.vertices, free.astype(np.float64)
    facing = _turns(mesh.vertices, mesh.triangles) > 0
    while True:
        vertices = mesh.vertices + share[:, None] * move
        turned = facing & (_turns(vertices, mesh.triangles) <= 0)
        if not turned.any():
            return Mesh(vertices, mesh.triangles)
        corners = np.unique(mesh.triangles[turned])
        share[corners] = np.where(share[corners] > _LEAST, 0.5 * share[corners], 0.0)


def _turns(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    """Twice the signed area [T] of triangles as seen along z."""
    a, b, c = vertices[triangles, :2].transpose(1, 0, 2)
    (x, y), (u, v) = (b - a).T, (c - a).T
    return np.asarray(x * v - y * u)
