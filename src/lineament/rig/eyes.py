# SPDX-License-Identifier: Apache-2.0
"""Eyeballs of the rig's own topology: rings around the gaze axis, fitted to the source's scleras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

IRIS_RADIUS = 5.9
"""Radius of the human iris, mm (visible diameter 11.7 ± 0.4 mm, Rüfer et al., Cornea 2005)."""

SEGMENTS = 24
# Angles from the gaze axis: dense where the lids leave the ball visible, open at the back of the socket.
RING_DEGREES = (7.0, 15.0, 23.0, 31.0, 40.0, 50.0, 62.0, 78.0, 98.0, 122.0)


@dataclass(frozen=True, eq=False)
class Eyeball:
    """An eyeball that follows the identity as a whole.

    Attributes:
        vertices: [M, 3] on the mean, mm.
        triangles: [F, 3] int32, counter-clockwise seen from outside.
        uv: [M, 2] azimuthal equidistant around the gaze axis, in [0, 1]².
        centre: [3] of the fitted sphere, mm.
        radius: of the fitted sphere, mm.
        offsets: [K, M, 3] per identity shape: the centre moves and the radius changes.
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    uv: NDArray[np.float64]
    centre: NDArray[np.float64]
    radius: float
    offsets: NDArray[np.float64]


def fit_sphere(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Algebraic least-squares sphere.

    Args:
        points: [N, 3], N >= 4, not in one plane.

    Returns:
        centre: [3].
        radius: in the unit of the points.
    """
    p = np.asarray(points, np.float64)
    origin = p.mean(0)
    q = p - origin
    solution = np.linalg.lstsq(np.column_stack([2.0 * q, np.ones(len(q))]), np.sum(q**2, 1), rcond=None)[0]
    centre = solution[:3]
    return centre + origin, float(np.sqrt(solution[3] + centre @ centre))


def fit_eyeball(sclera: NDArray[np.floating], offsets: NDArray[np.floating]) -> Eyeball:
    """Replace a source's sclera, with its cornea, by an eyeball of the rig's own topology.

    Args:
        sclera: [N, 3] vertices of the neutral sclera, mm, gaze along +z.
        offsets: [K, N, 3] their identity shapes.

    Returns:
        The eyeball. Its ball keeps the source's distance from the centre in every direction, so that it
        touches the lids where the source's did and the cornea bulges.
    """
    points = np.asarray(sclera, np.float64)
    centre, radius = fit_sphere(points)
    arms = points - centre
    distances = np.linalg.norm(arms, axis=1)
    normals = arms / distances[:, None]

    directions, triangles, uv = _ring_sphere()
    gap, nearest = cKDTree(normals).query(directions, k=min(4, len(normals)))
    weights = 1.0 / (gap**2 + 1e-4)
    local = np.sum(distances[nearest] * weights, 1) / weights.sum(1)

    # offset · normal = centre shift · normal + radius change, least squares per identity shape
    moved = np.einsum("kni,ni->nk", np.asarray(offsets, np.float64), normals)
    solution = np.linalg.lstsq(np.column_stack([normals, np.ones(len(normals))]), moved, rcond=None)[0]
    shift, growth = solution[:3].T, solution[3]  # [K, 3], [K]
    follow = shift[:, None, :] + growth[:, None, None] * directions * (local / radius)[:, None]
    return Eyeball(centre + directions * local[:, None], triangles, uv, centre, radius, follow)


def _ring_sphere() -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float64]]:
    """Unit directions, triangles and azimuthal coordinates of the rings, the pole on the gaze axis first."""
    polar = np.radians(RING_DEGREES)[:, None]
    turn = np.arange(SEGMENTS)[None] * 2.0 * np.pi / SEGMENTS
    rings = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0.0 * turn], axis=-1)
    directions = np.concatenate([[[0.0, 0.0, 1.0]], rings.reshape(-1, 3)])
    reach = 0.5 * polar / polar.max()
    flat = np.stack([0.5 + reach * np.cos(turn), 0.5 + reach * np.sin(turn)], axis=-1).reshape(-1, 2)
    uv = np.concatenate([[[0.5, 0.5]], flat])
    here = np.arange(SEGMENTS)
    after = (here + 1) % SEGMENTS
    triangles = [np.column_stack([np.zeros_like(here), 1 + here, 1 + after])]
    for ring in range(len(RING_DEGREES) - 1):
        inner, outer = 1 + ring * SEGMENTS, 1 + (ring + 1) * SEGMENTS
        triangles.append(np.column_stack([inner + here, outer + here, outer + after]))
        triangles.append(np.column_stack([inner + here, outer + after, inner + after]))
    return directions, np.concatenate(triangles).astype(np.int32), uv
