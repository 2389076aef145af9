# SPDX-License-Identifier: Apache-2.0
"""NoW's and REALY's distances on spheres, whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lineament.datasets.now import NoW
from lineament.errors import InputError
from lineament.evaluation.metrics.now import around_nose, now_distances, refined
from lineament.evaluation.metrics.realy import REGIONS, by_absolute_size, regional_error
from lineament.evaluation.protocols.meshes import measure_now
from lineament.evaluation.systems.stored import read_landmarks
from lineament.geometry.mesh import Mesh
from tests.datasets import files
from tests.evaluation.test_measuring_systems import Known


def placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points turned, made three times as large and moved."""
    return 3.0 * Rotation.from_euler("xyz", [20, -35, 10], degrees=True).apply(points) + [4.0, -7.0, 90.0]


def fine_sphere(radius: float, rings: int = 90) -> Mesh:
    """A sphere whose triangles lie within a thousandth of the radius of it."""
    polar = np.linspace(0.0, np.pi, rings + 1)[:, None]
    round_ = np.linspace(0.0, 2 * np.pi, 2 * rings, endpoint=False)[None]
    points = np.stack([np.sin(polar) * np.cos(round_), np.sin(polar) * np.sin(round_), np.cos(polar) + 0 * round_], -1)
    row, column = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    after = (column + 1) % (2 * rings)
    a, b = row * 2 * rings + column, row * 2 * rings + after
    c, d = a + 2 * rings, b + 2 * rings
    upper, lower = np.stack([a, c, b], -1), np.stack([b, c, d], -1)
    triangles = np.concatenate([upper[1:].reshape(-1, 3), lower[:-1].reshape(-1, 3)])  # none without area at the poles
    return Mesh(radius * points.reshape(-1, 3), triangles)


def test_size_and_pose_do_not_count_and_shape_does() -> None:
    landmarks = files.face_landmarks()
    scan = fine_sphere(float(np.linalg.norm(landmarks[0])))
    same = now_distances(Mesh(placed(scan.vertices), scan.triangles), placed(landmarks), scan, landmarks)
    assert same.max() < 1e-3 * 60
    # Every second point of the scan stands out by 2 mm: the best sphere lies half-way, 1 mm from all.
    alternating = np.where(np.arange(len(scan.vertices)) % 2, 1.0, -1.0)
    rough = scan.vertices * (1.0 + alternating / np.linalg.norm(scan.vertices, axis=1).max())[:, None]
    found = now_distances(scan, landmarks, Mesh(rough, scan.triangles), landmarks)
    assert found.mean() == pytest.approx(1.0, abs=0.05)


def test_the_distance_itself_refines_the_alignment() -> None:
    scan = fine_sphere(60.0)
    larger = Mesh(1.1 * scan.vertices + [3.0, -2.0, 4.0], scan.triangles)
    found = refined(larger, scan.vertices)
    assert np.linalg.norm(found(larger.vertices), axis=1) == pytest.approx(60.0, abs=0.1)


def test_the_scan_is_cut_to_the_nose() -> None:
    landmarks = files.face_landmarks()
    # From below the nose 0.3 of the way to the bridge; 1.4 times the mean of 60 mm and the nose's length.
    bridge = 0.5 * (landmarks[1] + landmarks[2])
    middle = landmarks[4] + 0.3 * (bridge - landmarks[4])
    radius = 0.7 * (60.0 + np.linalg.norm(bridge - landmarks[4]))
    points = middle + radius * np.array([[0.99, 0, 0], [1.01, 0, 0], [0, 0, -0.99], [0, -1.01, 0]])
    assert np.array_equal(around_nose(points, landmarks), points[[0, 2]])
    with pytest.raises(InputError, match="no point around the nose"):
        around_nose(points + 500.0, landmarks)


def test_each_challenge_of_now_has_a_row(tmp_path: Path) -> None:
    vertices, triangles = files.sphere_mesh()
    landmarks = files.face_landmarks()
    system = Known(mesh=Mesh(placed(vertices), triangles), landmarks=placed(landmarks))
    measured = measure_now(NoW(files.now(tmp_path)), system)
    assert [label for label, _ in measured.rows] == ["", "multiview_neutral", "selfie"]
    assert measured.rows[0][1] == pytest.approx((0.0, 0.0, 0.0), abs=1e-3)


def test_a_region_is_aligned_by_its_own_landmarks_and_its_mean_distance_counts() -> None:
    scan = fine_sphere(60.0)
    direction = np.random.default_rng(0).normal(size=(85, 3)) * [0.6, 0.6, 0.1] + [0.0, 0.0, 1.0]
    landmarks = 60.0 * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    front = scan.vertices[scan.vertices[:, 2] > 45.0]
    alternating = np.where(np.arange(len(front)) % 4 == 0, 3.0, -1.0)  # mean distance 1.5, root mean square 1.73
    region = Mesh(front * (1.0 + alternating / 60.0)[:, None], np.array([[0, 1, 2]]))
    found = regional_error(Mesh(placed(scan.vertices), scan.triangles), placed(landmarks), region, landmarks, "nose")
    assert found == pytest.approx(1.5, abs=0.05)
    # A landmark of the cheeks (76) matters to the cheeks alone.
    wrong = landmarks.copy()
    wrong[76] += [0.0, 0.0, 300.0]
    smooth = Mesh(front, np.array([[0, 1, 2]]))
    nose, cheek = (regional_error(scan, wrong, smooth, landmarks, name) for name in ("nose", "cheek"))
    assert nose < 0.1
    assert cheek > 0.5
    with pytest.raises(InputError, match="85 landmarks"):
        regional_error(scan, landmarks[:68], smooth, landmarks, "nose")


def test_the_seven_landmarks_alone_set_the_size() -> None:
    points = np.random.default_rng(1).normal(size=(7, 3))
    motion = by_absolute_size(points, placed(points))
    assert np.allclose(motion(points), placed(points))
    assert motion.scale == pytest.approx(3.0)
    # The ratio of sums of absolute coordinates, not the least squares' scale: a shrunken copy keeps its mean size.
    noisy = points.copy()
    noisy[0] *= 4.0
    rigid = by_absolute_size(points, noisy)
    turned = (points - points.mean(0)) @ rigid.rotation.T
    assert rigid.scale == pytest.approx(np.abs(noisy - noisy.mean(0)).sum() / np.abs(turned).sum())


def test_regions_are_realys() -> None:
    assert set(REGIONS) == {"nose", "mouth", "forehead", "cheek"}
    assert [len(REGIONS[name].landmarks) for name in ("nose", "mouth", "forehead", "cheek")] == [11, 14, 22, 27]


def test_landmarks_of_realys_form_are_read(tmp_path: Path) -> None:
    mesh = Mesh(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]), np.array([[0, 1, 2], [1, 3, 2]]))
    path = tmp_path / "HIFI3D.txt"
    path.write_text(json.dumps([[0, 0.2, 0.3], [1, 1.0, 0.0]]))  # triangle, w0, w1: the third is what is left
    assert np.allclose(read_landmarks(path, mesh), [[0.3, 0.5, 0.0], [1.0, 0.0, 0.0]])
    path.write_text(json.dumps([[2, 0.2, 0.3]]))
    with pytest.raises(InputError, match="names triangles"):
        read_landmarks(path, mesh)
