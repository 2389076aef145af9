# SPDX-License-Identifier: Apache-2.0
"""Jaw landmarks slide to the outline on the side that turns away, and stay elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.geometry.raster import rasterize
from lineament.rig import Rig, load_rig
from lineament.rig.landmarks import sliding_landmarks
from lineament.rig.posing import head_rotation


def seen(rig: Rig, yaw: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Projected vertices (mm), z of their normals, and the landmarks' vertices of the mean head at a yaw."""
    vertices = rig.mean.astype(np.float64) @ head_rotation([0.0, np.radians(yaw), 0.0]).T
    weld = rig.weld()
    normals = vertex_normals(Mesh(vertices, weld[rig.faces].astype(np.int64)))[weld]
    projected = vertices[:, :2] * [1.0, -1.0]
    return projected, normals[:, 2], sliding_landmarks(rig, projected[None], normals[None, :, 2])[0]


def test_candidates_lie_about_their_landmarks() -> None:
    rig = load_rig()
    assert rig.contour.shape[0] == 17
    away = np.linalg.norm(rig.mean[rig.contour] - rig.mean[rig.landmarks[:17], None], axis=-1)
    assert away.max() < 46.0
    assert (rig.contour[:, rig.contour.shape[1] // 2] == rig.landmarks[:17]).all()


def test_a_frontal_face_keeps_its_landmarks() -> None:
    rig = load_rig()
    *_, found = seen(rig, 0.0)
    assert np.array_equal(found[17:], rig.landmarks[17:])
    moved = np.linalg.norm(rig.mean[found] - rig.mean[rig.landmarks], axis=1)
    assert np.median(moved) == 0
    assert moved.max() < 25.0


@pytest.mark.parametrize("yaw", [-40.0, 40.0])
def test_landmarks_of_a_turned_head_lie_on_its_outline(yaw: float) -> None:
    rig = load_rig()
    projected, _, found = seen(rig, yaw)
    assert np.array_equal(found[17:], rig.landmarks[17:])
    slid = [n for n in range(17) if found[n] != rig.landmarks[n]]
    # A head that turns to its left shows its right side: the left side's landmarks slide.
    assert len(slid) >= 4
    assert (np.array(slid) > 7).all() if yaw > 0 else (np.array(slid) < 9).all()
    face = rig.face_part == 0  # what stands behind it is no outline of the face
    points = np.concatenate([projected + 150.0, np.zeros((len(projected), 1))], axis=1)
    vertices = rig.mean.astype(np.float64) @ head_rotation([0.0, np.radians(yaw), 0.0]).T
    points[:, 2] = vertices[:, 2]
    there = rasterize(points, rig.faces[face], 300, 300).triangle >= 0
    for number in slid[1:-1]:
        x, y = projected[found[number]] + 150.0
        around = there[int(y) - 8 : int(y) + 9, int(x) - 8 : int(x) + 9]
        assert 0.05 < around.mean() < 0.95, number  # the outline is near
