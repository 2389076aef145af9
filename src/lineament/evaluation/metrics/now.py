# SPDX-License-Identifier: Apache-2.0
"""NoW's distance of a scan to a mesh (Sanyal et al. 2019, "Learning to Regress 3D Face Shape and Expression from an
Image without 3D Supervision"; facts of its protocol are of github.com/soubhiksanyal/now_evaluation).

The scan is cut to a ball around the nose. The mesh is aligned by seven landmarks with scale, then by the distance
itself, with scale again. What counts is the distance of every remaining point of the scan to the mesh.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.meshes import nearest_on_mesh
from lineament.errors import InputError
from lineament.evaluation.metrics.surface_distance import moved, scan_to_mesh_distance
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import Similarity, fit_similarity

Floats = NDArray[np.float64]

NOW_LANDMARKS = [36, 39, 42, 45, 33, 48, 54]
"""Of the 68: corners of the eyes from the right one's outer to the left one's, below the nose, corners of the mouth, in
the order of NoW's files."""

_UPWARDS = 0.3  # of the way from below the nose to its bridge, where the ball's middle lies
_RADIUS = 1.4  # of the mean of the outer eye corners' distance and the nose's length
_ITERATIONS = 200
_SETTLED = 1e-7  # relative change of the mean squared distance at which the alignment ends


def now_distances(mesh: Mesh, own_landmarks: Floats, scan: Mesh, landmarks: Floats) -> Floats:
    """Distances of the scan's points around the nose to an aligned mesh, [N], in the scan's unit.

    Args:
        mesh: The prediction, in any frame and size.
        own_landmarks: [7, 3] on it, in NoW's order (`NOW_LANDMARKS`).
        scan: The truth.
        landmarks: [7, 3] on the scan.

    Raises:
        InputError: Other numbers of landmarks, or no point of the scan around the nose.
    """
    for name, points in (("the prediction", own_landmarks), ("the scan", landmarks)):
        if points.shape != (len(NOW_LANDMARKS), 3):
            raise InputError(f"NoW's seven landmarks are needed of {name}, not {len(points)}")
    points = around_nose(scan.vertices, landmarks)
    placed = moved(mesh, fit_similarity(own_landmarks, landmarks))
    return scan_to_mesh_distance(points, moved(placed, refined(placed, points)))


def around_nose(points: Floats, landmarks: Floats) -> Floats:
    """The points of a scan [N, 3] that NoW looks at.

    Args:
        points: Of the scan.
        landmarks: [7, 3] on it.

    Raises:
        InputError: There are none.
    """
    outer_right, inner_right, inner_left, outer_left, below = landmarks[:5]
    bridge = 0.5 * (inner_right + inner_left)
    middle = below + _UPWARDS * (bridge - below)
    radius = _RADIUS * 0.5 * (np.linalg.norm(outer_right - outer_left) + np.linalg.norm(bridge - below))
    near: Floats = points[np.linalg.norm(points - middle, axis=1) <= radius]
    if len(near) == 0:
        raise InputError("the scan has no point around the nose that its landmarks name")
    return near


def refined(mesh: Mesh, points: Floats) -> Similarity:
    """The similarity that minimises the mean squared distance of points [N, 3] to a mesh, from where it lies.

    Alternating nearest places and the best similarity ends where the gradient of that distance is zero.
    """
    scale, rotation, translation = 1.0, np.eye(3), np.zeros(3)
    before = np.inf
    for _ in range(_ITERATIONS):
        current = Similarity(scale, rotation, translation)
        nearest, _, _ = nearest_on_mesh(points, moved(mesh, current))
        step = fit_similarity(nearest, points)
        error = float(((step(nearest) - points) ** 2).sum(axis=1).mean())
        scale, rotation = step.scale * scale, step.rotation @ rotation
        translation = step(translation[None])[0]
        if abs(before - error) <= _SETTLED * error:
            break
        before = error
    return Similarity(scale, rotation, translation)
