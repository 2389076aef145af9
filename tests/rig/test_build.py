# SPDX-License-Identifier: Apache-2.0
"""The builder on a small head made by the tests, from both forms of the source."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from lineament.errors import LineamentError
from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.rig import Part, load_rig
from lineament.rig.build import build_from_path, build_rig
from lineament.rig.chart import border_loops
from lineament.rig.ict_facekit import FaceKitError, read_ict_facekit, read_obj_faces, split_quads


@pytest.fixture(scope="module")
def built(head_npz):
    return build_rig(read_ict_facekit(head_npz), target_vertices=1300, samples=200)


def test_folder_and_npz_hold_the_same_model(head_npz, head_folder):
    from_npz, from_folder = read_ict_facekit(head_npz), read_ict_facekit(head_folder.parent)
    np.testing.assert_allclose(from_npz.vertices, from_folder.vertices, atol=1e-4)
    np.testing.assert_allclose(from_npz.identity, from_folder.identity, atol=1e-4)
    np.testing.assert_allclose(from_npz.expression, from_folder.expression, atol=1e-4)
    np.testing.assert_array_equal(from_npz.triangles, from_folder.triangles)
    np.testing.assert_array_equal(from_npz.landmarks, from_folder.landmarks)
    assert from_npz.expression_names == from_folder.expression_names
    for name in from_npz.materials:
        np.testing.assert_array_equal(from_npz.with_material(name), from_folder.with_material(name))


def test_build_from_path_writes_a_rig_that_loads(head_folder, tmp_path):
    rig = build_from_path(head_folder, tmp_path / "deep" / "rig.safetensors")
    again = load_rig(tmp_path / "deep" / "rig.safetensors")
    np.testing.assert_array_equal(again.faces, rig.faces)
    assert "MIT License" in again.metadata["notice"]


def test_landmarks_stay_at_their_exact_place(built, small_head):
    wanted = 10.0 * small_head.vertices[small_head.landmarks]
    kept = built.mean[built.landmarks]
    np.testing.assert_allclose(kept - kept[0], wanted - wanted[0], atol=1e-3)  # only the origin moves


def test_gaze_shapes_are_left_out_and_the_others_kept_exactly(built):
    assert built.expression_names == ("jawOpen", "mouthSmile_L")
    moved = np.abs(built.expression[0]).max(1) > 0
    np.testing.assert_allclose(built.expression[0][moved], [[0.0, -5.0, 0.0]] * moved.sum(), atol=1e-5)
    eyes = np.isin(built.part, [Part.EYE_LEFT, Part.EYE_RIGHT])
    assert not moved[eyes].any()


def test_skin_keeps_vertices_of_the_source_and_faces_outwards(built, small_head):
    centre = built.mean[built.landmarks[0]] - 10.0 * small_head.vertices[small_head.landmarks[0]]
    skin = built.part <= Part.NECK
    assert skin.sum() < 750 < 48 * 19
    arms = built.mean[skin] - centre
    np.testing.assert_allclose(np.linalg.norm(arms, axis=1), 90.0, atol=1e-3)
    welded = Mesh(built.mean.astype(np.float64), built.weld()[built.faces])
    normals = vertex_normals(welded)[built.weld()][skin]
    assert np.median(np.sum(arms * normals, axis=1)) > 89.0
    assert np.sum(arms * normals, axis=1).min() > 60.0


def test_eyeballs_follow_the_identity_as_a_whole(built):
    left = built.part == Part.EYE_LEFT
    np.testing.assert_allclose(np.linalg.norm(built.mean[left] - built.eye_centre[0], axis=1), 15.0, atol=0.2)
    assert built.eye_centre[0, 0] > 0 > built.eye_centre[1, 0]
    for seed in range(3):
        coefficients = np.random.default_rng(seed).standard_normal(built.identity_count)
        ball = built.vertices(coefficients)[left]
        towards = built.mean[left] - built.eye_centre[0]
        design = np.column_stack([towards.reshape(-1), np.tile(np.eye(3), (left.sum(), 1))])
        fit, residual = np.linalg.lstsq(design, ball.reshape(-1), rcond=None)[:2]
        assert np.sqrt(residual[0] / left.sum()) < 0.35
        assert 0.7 < fit[0] < 1.3


def test_every_piece_is_there_and_borders_are_right(built):
    assert {Part.FACE, Part.EYE_LEFT, Part.EYE_RIGHT, Part.MOUTH, Part.TEETH} <= set(built.part)
    for part in (Part.MOUTH, Part.TEETH):
        assert not border_loops(built.faces[built.face_part == part])
    welded = built.weld()[built.faces]
    loops = border_loops(welded[built.face_part <= Part.NECK])
    assert len(loops) == 1
    assert built.mean[loops[0], 1].max() < built.mean[built.landmarks[8], 1]


def test_building_twice_gives_the_same_rig(head_npz, built):
    again = build_rig(read_ict_facekit(head_npz), target_vertices=1300, samples=200)
    np.testing.assert_array_equal(again.faces, built.faces)
    np.testing.assert_array_equal(again.identity, built.identity)


def test_split_quads_keeps_orientation_and_parent():
    triangles, parent = split_quads(np.array([[0, 1, 2, 3], [4, 5, 6, -1]]))
    assert triangles.tolist() == [[0, 1, 2], [4, 5, 6], [0, 2, 3]]
    assert parent.tolist() == [0, 1, 0]


@pytest.mark.parametrize("line", ["f 1 2", "f 1 2 3 4 5", "f a b c"])
def test_bad_faces_are_refused(tmp_path, line):
    path = tmp_path / "bad.obj"
    path.write_text(f"v 0 0 0\n{line}\n")
    with pytest.raises(FaceKitError, match=r"bad\.obj"):
        read_obj_faces(path)


def test_bad_sources_are_refused(tmp_path, head_folder):
    with pytest.raises(LineamentError, match="does not exist"):
        read_ict_facekit(tmp_path / "nowhere")
    with pytest.raises(FaceKitError, match=r"generic_neutral_mesh\.obj"):
        read_ict_facekit(tmp_path)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(FaceKitError, match=r"text\.npz"):
        read_ict_facekit(tmp_path / "text.npz")
    np.savez(tmp_path / "empty.npz", vertices=np.zeros((4, 3)))
    with pytest.raises(FaceKitError, match="lacks the array 'faces'"):
        read_ict_facekit(tmp_path / "empty.npz")
    broken = tmp_path / "kit"
    shutil.copytree(head_folder, broken)
    (broken / "identity001.obj").write_text("v 0 0 0\n")
    with pytest.raises(FaceKitError, match="1 vertices"):
        read_ict_facekit(broken)
    for file in broken.glob("identity*.obj"):
        file.unlink()
    with pytest.raises(FaceKitError, match="no identity shapes"):
        read_ict_facekit(broken)
    (broken / "vertex_indices.json").write_text("{")
    with pytest.raises(FaceKitError, match=r"vertex_indices\.json"):
        read_ict_facekit(broken)
