# SPDX-License-Identifier: Apache-2.0
"""Metrics on cases with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut

from lineament.errors import InputError, UsageError, WeightsError
from lineament.evaluation.metrics.depth import (
    align_depth,
    depth_correlation,
    depth_error_statistics,
    scale_invariant_depth_error,
)
from lineament.evaluation.metrics.surface_distance import (
    chamfer_distance,
    facescape_normal_error,
    mean_normal_error,
    moved,
    refine_alignment,
    rolled,
    scan_to_mesh_distance,
    unroll,
)
from lineament.evaluation.metrics.texture import (
    FaceRecogniser,
    identity_similarity,
    recogniser_crop,
    structural_similarity,
)
from lineament.evaluation.protocols.depths import as_distance
from lineament.evaluation.protocols.scoring import RunningAngles
from lineament.evaluation.systems.stored import landmarks_of
from lineament.face import detect_faces
from lineament.geometry.angular import angular_error_statistics
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import fit_similarity
from lineament.images.maps import Axes

from ..datasets import files


def sphere(radius: float = 60.0, shift: tuple[float, float, float] = (0.0, 0.0, 0.0), rings: int = 40) -> Mesh:
    vertices, triangles = files.sphere_mesh(radius, rings, front=False)
    return Mesh(vertices + np.array(shift), triangles)


def rotation(degrees: float, axis: int) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    turned[[i, i, j, j], [i, j, i, j]] = [c, -s, s, c]
    return turned


def test_depth_statistics_of_a_ramp() -> None:
    found = depth_error_statistics(np.linspace(-10, 10, 20001))
    assert (found.mean, found.median, found.largest_90) == pytest.approx((5.0, 5.0, 9.0), abs=1e-3)
    assert found.std == pytest.approx(10 / np.sqrt(12), abs=1e-3)
    with pytest.raises(InputError):
        depth_error_statistics([])


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 20.0), st.floats(-100.0, 100.0))
def test_ransac_undoes_scale_and_shift_in_spite_of_outliers(scale: float, shift: float) -> None:
    depth, _, mask = files.sphere_map()
    predicted = (depth - shift) / scale
    predicted[20:28, 10:20] += 1000.0  # a wrong nose
    aligned = align_depth(predicted, depth, mask)
    right = mask.copy()
    right[20:28, 10:20] = False
    assert np.abs(aligned - depth)[right].max() < 0.05


def test_ransac_never_turns_a_face_inside_out() -> None:
    depth, _, mask = files.sphere_map()
    aligned = align_depth(-depth, depth, mask)
    assert np.corrcoef(aligned[mask], depth[mask])[0, 1] <= 0 or np.ptp(aligned[mask]) == 0
    flat = align_depth(np.zeros_like(depth), depth, mask)
    assert np.ptp(flat[mask]) == 0
    with pytest.raises(InputError):
        align_depth(depth, depth, np.zeros_like(mask))


def test_scale_invariant_error_ignores_scale_and_knows_a_log_deviation() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.9, 1.1, (50, 50))
    mask = np.ones_like(truth)
    assert scale_invariant_depth_error(3.0 * truth, truth, mask) == pytest.approx(0.0, abs=1e-12)
    off = np.where(np.arange(50) % 2 == 0, 0.1, -0.1)
    assert scale_invariant_depth_error(truth * np.exp(off), truth, mask) == pytest.approx(0.1)
    with pytest.raises(InputError, match="positive"):
        scale_invariant_depth_error(-truth, truth, mask)


@pytest.mark.parametrize("unit", ["pixels", "pixels away", "distances", "distances times 40"])
def test_depths_of_any_unit_and_sign_become_distances(unit: str) -> None:
    random = np.random.default_rng(4)
    relief = random.uniform(-30.0, 30.0, (40, 40))  # pixels, larger nearer, median about zero
    pixel = 2 * np.tan(np.radians(5)) / 170
    relief -= np.median(relief)
    true = 1.05 * (1.0 - pixel * relief)  # distances, the face 1.05 away
    given = {"pixels": relief + 9.0, "pixels away": -relief, "distances": true, "distances times 40": 40.0 * true}[unit]
    inside = np.ones((40, 40), bool)
    assert np.allclose(as_distance(given, -true, inside, pixel), true / 1.05, atol=1e-9)


def test_depth_correlation_counts_landmarks() -> None:
    truth = np.random.default_rng(1).normal(size=(30, 66))
    assert depth_correlation(2.0 * truth + 5.0, truth) == pytest.approx(66.0)
    assert depth_correlation(-truth, truth) == pytest.approx(66.0)  # absolute values are summed
    assert depth_correlation(np.zeros_like(truth), truth) == 0.0
    with pytest.raises(InputError):
        depth_correlation(truth[:1], truth[:1])


@settings(max_examples=25, deadline=None)
@given(st.floats(-180, 180), st.integers(0, 2), st.floats(0.2, 5.0), st.booleans())
def test_similarities_are_recovered(degrees: float, axis: int, scale: float, with_scale: bool) -> None:
    points = np.random.default_rng(2).normal(size=(7, 3))
    scale = scale if with_scale else 1.0
    target = scale * points @ rotation(degrees, axis).T + np.array([3.0, -2.0, 1.0])
    found = fit_similarity(points, target, with_scale)
    assert np.allclose(found(points), target, atol=1e-9)
    assert found.scale == pytest.approx(scale)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)


def test_points_on_a_line_are_refused() -> None:
    line = np.outer(np.arange(4.0), [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="line"):
        fit_similarity(line, line)
    with pytest.raises(InputError, match="three points"):
        fit_similarity(line[:2], line[:2])


def test_spheres_of_other_radii_are_their_difference_apart() -> None:
    assert chamfer_distance(sphere(60.0), sphere(63.0)) == pytest.approx(3.0, abs=0.15)
    assert scan_to_mesh_distance(sphere(66.0).vertices, sphere(60.0)) == pytest.approx(6.0, abs=0.2)
    assert chamfer_distance(sphere(), sphere()) == pytest.approx(0.0, abs=1e-9)


def test_normals_of_a_turned_sphere_are_turned() -> None:
    assert np.degrees(mean_normal_error(sphere(), sphere(61.0))) < 1.0
    tilted = moved(sphere(), fit_similarity(np.eye(3), np.eye(3) @ rotation(0, 0).T, False))
    assert np.degrees(mean_normal_error(sphere(), tilted)) < 1.0
    with pytest.raises(InputError, match="too far"):
        mean_normal_error(sphere(), sphere(shift=(1000.0, 0.0, 0.0)), largest_distance=5.0)


def test_the_benchmarks_normal_error_is_that_of_shifted_normals() -> None:
    a, b = np.zeros((4, 4, 3)), np.zeros((4, 4, 3))
    a[..., 2], b[..., 0] = 1.0, 1.0  # ninety degrees apart
    shifted = np.arccos(np.array([1, 1, 2]) @ np.array([2, 1, 1]) / 6)
    assert facescape_normal_error(a, b, np.ones((4, 4))) == pytest.approx(shifted)


def test_a_sphere_unrolls_to_its_radius_and_back() -> None:
    mesh = sphere(80.0)
    found = unroll(mesh, 64)
    height = np.linspace(150, -150, 64)
    expected = np.sqrt(np.maximum(80.0**2 - height**2, 0))
    seen = np.isfinite(found.radius)
    assert seen.any(axis=1)[[20, 32, 43]].all()
    assert not seen[0].any()
    assert np.abs(found.radius - expected[:, None])[seen & (np.abs(height) < 60)[:, None]].max() < 1.0
    again = rolled(found.radius, seen)
    assert scan_to_mesh_distance(again.vertices, mesh).max() < 0.5
    outward = found.normals[32] @ np.eye(3)
    assert (outward[:, 2][[0, -1]] < -0.9).all()  # columns begin at the back
    with pytest.raises(InputError, match="overlap"):
        rolled(found.radius, np.zeros_like(seen))


def _bump(mesh: Mesh, height: float) -> Mesh:
    v = mesh.vertices
    near = np.exp(-((v[:, 0] - 20) ** 2 + (v[:, 1] + 10) ** 2 + (v[:, 2] - 55) ** 2) / 200)
    return Mesh(v * (1 + height * near[:, None]), mesh.triangles)


def test_icp_finds_a_small_motion() -> None:
    mesh = _bump(sphere(), 0.15)
    wanted = rotation(4, 0)
    points = mesh.vertices @ wanted.T + np.array([1.0, -0.5, 0.7])
    own = mesh.vertices[files.LANDMARKS]
    found = refine_alignment(mesh, points, own, own @ wanted.T + np.array([1.0, -0.5, 0.7]))
    assert np.abs(found(mesh.vertices) - points).max() < 0.3
    assert found.scale == 1.0


def test_structural_similarity_of_a_picture_with_itself_is_one() -> None:
    picture = np.random.default_rng(3).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 10:30] = True
    assert structural_similarity(picture, picture) == pytest.approx(1.0)
    corrupted = picture.copy()
    corrupted[:5] = 0
    assert structural_similarity(corrupted, picture, mask) == pytest.approx(1.0)  # the damage is outside
    assert structural_similarity(255 - picture, picture, mask) < 0.1
    with pytest.raises(InputError):
        structural_similarity(picture, picture[:-1])


def test_identity_needs_a_network_and_views(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    pool = helper.make_node("GlobalAveragePool", ["face"], ["vector"])
    given = helper.make_tensor_value_info("face", TensorProto.FLOAT, [1, 3, 16, 16])
    out = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph([pool], "mean colour", [given], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, tmp_path / "r.onnx")
    recogniser = FaceRecogniser(tmp_path / "r.onnx")
    red, cyan = (np.zeros((20, 20, 3), np.uint8) for _ in range(2))
    red[..., 0], cyan[..., 1:] = 255, 255
    assert identity_similarity(recogniser, red, [red, red]) == pytest.approx(1.0)
    assert identity_similarity(recogniser, red, [red, cyan]) == pytest.approx(0.0, abs=1e-6)
    photo = astronaut()
    crop = recogniser_crop(photo)
    (face,) = detect_faces(crop)
    marks = face.landmarks
    five = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), marks[48], marks[54]])
    published = np.array([[38.29, 51.70], [73.53, 51.50], [41.55, 92.37], [70.73, 92.20]])  # insightface, face_align.py
    assert crop.shape == (112, 112, 3)
    assert np.abs(five - published).max() < 6.0
    with pytest.raises(InputError, match="no view"):
        identity_similarity(recogniser, red, [])
    with pytest.raises(WeightsError, match="there is no file"):
        FaceRecogniser(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_text("nonsense")
    with pytest.raises(WeightsError, match="no ONNX graph"):
        FaceRecogniser(tmp_path / "bad.onnx")


def test_running_statistics_are_those_of_all_errors_at_once() -> None:
    random = np.random.default_rng(4)
    parts = [random.uniform(0, 60, size) for size in (100, 7, 2000)]
    running = RunningAngles()
    for part in parts:
        running.add(part)
    whole = angular_error_statistics(np.concatenate(parts))
    mean, std, *shares = running.summary()
    assert (mean, std) == pytest.approx((whole.mean, whole.std))
    assert shares == pytest.approx([100 * whole.below_20, 100 * whole.below_25, 100 * whole.below_30], abs=0.3)


@pytest.mark.parametrize(("text", "ours"), [("+x+y+z", [1, 2, 3]), ("+x-y-z", [1, -2, -3]), ("+z+y+x", [3, 2, 1])])
def test_axes_say_what_channels_hold(text: str, ours: list[int]) -> None:
    assert Axes(text).to_ours(np.float32([[[1, 2, 3]]]))[0, 0].tolist() == ours


@pytest.mark.parametrize("text", ["xyz", "+x+y", "+x+x+z", "+x+y+w"])
def test_impossible_axes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="axes"):
        Axes(text)


def test_landmarks_come_as_places_vertices_or_barycentric(tmp_path: Path) -> None:
    mesh = sphere()
    assert landmarks_of(np.array([[3], [5]]), mesh, tmp_path).tolist() == mesh.vertices[[3, 5]].tolist()
    rows = np.array([[0, 1, 2, 0.2, 0.3, 0.5]])
    expected = 0.2 * mesh.vertices[0] + 0.3 * mesh.vertices[1] + 0.5 * mesh.vertices[2]
    assert np.allclose(landmarks_of(rows, mesh, tmp_path), expected)
    with pytest.raises(InputError, match="must hold rows"):
        landmarks_of(np.array([[1e6]]), mesh, tmp_path)
