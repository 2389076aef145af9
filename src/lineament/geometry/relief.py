# SPDX-License-Identifier: Apache-2.0
"""Relief on a charted surface: how steep a displacement map is, and normals in a surface's tangent frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.normals import normalize

FLAT = 0.02
"""Square of a texel's area, in the square of the surface's unit of area, below which slopes fade out."""


def surface_gradient(position: NDArray[np.floating], height: NDArray[np.floating]) -> NDArray[np.float64]:
    """Gradient of a height along a surface: normals of the surface raised by it are n minus that (Mikkelsen 2010).

    Args:
        position: [S, S, 3] the surface on its chart.
        height: [S, S] along its normal, in the same unit.

    Returns:
        [S, S, 3] vectors in the surface's tangent planes.
    """
    across, down = _differences(position)
    rise_across, rise_down = (each[..., None] for each in _differences(height))
    normal = np.cross(across, down)
    steepest = rise_across * np.cross(down, normal) + rise_down * np.cross(normal, across)
    return np.asarray(steepest / (np.square(normal).sum(-1, keepdims=True) + FLAT))


def _differences(maps: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Changes from column to column and from row to row: central, half of the one-sided at the edges."""
    padded = np.pad(np.asarray(maps, np.float64), [(1, 1), (1, 1), *[(0, 0)] * (maps.ndim - 2)], mode="edge")
    return 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2]), 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])


def vertex_tangents(
    vertices: NDArray[np.floating],
    triangles: NDArray[np.integer],
    uv: NDArray[np.floating],
    normals: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Tangents along u of a mesh's vertices, as glTF has them.

    Args:
        vertices: [V, 3].
        triangles: [T, 3].
        uv: [V, 2] texture coordinates, v up.
        normals: [V, 3] unit.

    Returns:
        [V, 4]: unit vectors across the normals, and the sign of the bitangent, sign · (n × t), which runs along v.
    """
    corner, place = vertices[triangles], uv[triangles]
    (e1, e2), (d1, d2) = ((each[:, 1] - each[:, 0], each[:, 2] - each[:, 0]) for each in (corner, place))
    determinant = d1[:, 0] * d2[:, 1] - d2[:, 0] * d1[:, 1]
    turned = np.sign(determinant)[:, None]
    along_u = turned * (e1 * d2[:, 1:] - e2 * d1[:, 1:])
    along_v = turned * (e2 * d1[:, :1] - e1 * d2[:, :1])
    sums = np.zeros((2, len(vertices), 3))
    for column in range(3):
        for total, each in zip(sums, (along_u, along_v), strict=True):
            np.add.at(total, triangles[:, column], each)
    tangent = sums[0] - normals * (normals * sums[0]).sum(-1, keepdims=True)
    # Where no triangle says anything, any direction across the normal.
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    lost = np.linalg.norm(tangent, axis=1, keepdims=True) < 1e-9
    tangent = normalize(np.where(lost, np.cross(normals, helper), tangent))
    sign = np.where((np.cross(normals, tangent) * sums[1]).sum(-1) < 0.0, -1.0, 1.0)
    return np.concatenate([tangent, sign[:, None]], axis=1)


def in_tangent_frame(
    normals: NDArray[np.floating], smooth: NDArray[np.floating], tangents: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Normals [..., 3] in the frames of smooth normals [..., 3] and tangents [..., 4]: x along u, y along v."""
    n = normalize(smooth)
    t = normalize(tangents[..., :3] - n * (n * tangents[..., :3]).sum(-1, keepdims=True))
    b = np.sign(tangents[..., 3:]) * np.cross(n, t)
    return np.stack([(normals * each).sum(-1) for each in (t, b, n)], axis=-1)
