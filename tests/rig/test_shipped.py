# SPDX-License-Identifier: Apache-2.0
"""The rig that ships: anatomy, orientation, chart, statistics and regions."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.rig import Part, Rig
from lineament.rig.chart import border_loops

MIRROR = np.concatenate(
    [
        np.arange(17)[::-1],  # jaw
        np.arange(17, 27)[::-1],  # brows
        np.arange(27, 31),
        np.arange(31, 36)[::-1],  # nose
        [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40],  # eyes
        [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55],  # outer lips
        [64, 63, 62, 61, 60, 67, 66, 65],  # inner lips
    ]
)


@pytest.fixture(scope="module")
def normals(shipped: Rig):
    return vertex_normals(Mesh(shipped.mean.astype(np.float64), shipped.weld()[shipped.faces]))


def test_landmarks_are_symmetric_and_in_ibug_order(shipped):
    points = shipped.mean[shipped.landmarks]
    np.testing.assert_allclose(points[MIRROR] * [-1, 1, 1], points, atol=0.2)
    assert len(set(shipped.landmarks.tolist())) == 68
    assert (np.diff(points[:17, 0]) > 0).all()  # from the subject's right, image left
    assert (np.diff(points[17:27, 0]) > 0).all()
    assert (np.diff(points[27:31, 1]) < 0).all()  # down the nose
    assert points[37, 1] > points[41, 1]  # upper lid first
    assert points[51, 1] > points[62, 1] > points[66, 1] > points[57, 1]
    assert points[30, 2] == points[:, 2].max()


def test_size_of_a_head_in_millimetres(shipped):
    points = shipped.mean[shipped.landmarks]
    assert 130 < points[16, 0] - points[0, 0] < 165
    assert 55 < shipped.eye_centre[0, 0] - shipped.eye_centre[1, 0] < 70
    ears = [shipped.mean[(shipped.regions["ear"] > 0.5) & (side * shipped.mean[:, 0] > 0)] for side in (1, -1)]
    middle = 0.5 * (ears[0].mean(0) + ears[1].mean(0))
    assert np.abs(middle).max() < 8.0


def test_surfaces_face_outwards(shipped, normals):
    tip = shipped.landmarks[30]
    assert normals[tip, 2] > 0.7
    assert normals[shipped.landmarks[27], 2] > 0.5
    crown = np.argmax(shipped.mean[:, 1])
    assert normals[crown, 1] > 0.9
    for index, part in enumerate((Part.EYE_LEFT, Part.EYE_RIGHT)):
        ball = np.unique(shipped.faces[shipped.face_part == part])
        arms = shipped.mean[ball] - shipped.eye_centre[index]
        length = np.linalg.norm(arms, axis=1)
        np.testing.assert_allclose(length, shipped.eye_radius[index], atol=1.5)
        assert (np.sum(arms * normals[ball], 1) / length).min() > 0.9
    teeth = shipped.mean[shipped.faces[shipped.face_part == Part.TEETH]].astype(np.float64)
    assert np.einsum("ij,ij->", teeth[:, 0], np.cross(teeth[:, 1], teeth[:, 2])) > 0


def test_skin_is_one_disc_that_ends_at_the_neck(shipped):
    skin = np.isin(shipped.face_part, [Part.FACE, Part.SCALP, Part.EAR, Part.NECK])
    first_eye = np.flatnonzero(shipped.part == Part.EYE_LEFT)[0]
    skin |= (shipped.face_part == Part.MOUTH) & (shipped.faces.max(1) < first_eye)
    faces = shipped.weld()[shipped.faces[skin]]
    loops = border_loops(faces)
    assert len(loops) == 1
    assert shipped.mean[loops[0], 1].max() < -120
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1), axis=0)
    assert len(np.unique(faces)) - len(edges) + len(faces) == 1


def test_mesh_is_dense_where_a_face_has_detail(shipped):
    faces = shipped.faces[shipped.face_part == Part.FACE]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    length = np.linalg.norm(shipped.mean[edges[:, 0]] - shipped.mean[edges[:, 1]], axis=1)
    for marks in (slice(31, 36), slice(36, 48), slice(48, 68)):
        near = np.zeros(len(edges), bool)
        for point in shipped.mean[shipped.landmarks[marks]]:
            near |= np.linalg.norm(shipped.mean[edges[:, 0]] - point, axis=1) < 6.0
        assert np.median(length[near]) < 2.5
        assert np.percentile(length[near], 90) < 3.6
    assert 6000 <= shipped.vertex_count <= 8500


def test_skin_chart_is_injective(shipped):
    assert shipped.uv.min() >= 0
    assert shipped.uv.max() <= 1
    first_eye = np.flatnonzero(shipped.part == Part.EYE_LEFT)[0]
    corners = shipped.uv[shipped.faces[shipped.faces.max(1) < first_eye]].astype(np.float64)
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    assert area.min() > 0
    assert area.sum() == pytest.approx(0.86, abs=0.01)
    marks = shipped.uv[shipped.landmarks]
    assert marks[16, 0] > marks[0, 0]
    assert marks[27, 1] > marks[8, 1]


def test_identity_is_standardised_and_explains_the_source(shipped):
    assert float(shipped.metadata["identity_explained_variance"]) > 0.99
    assert 60 <= shipped.identity_count <= 80
    face = shipped.part == Part.FACE
    corners = shipped.faces[shipped.face_part == Part.FACE]
    p = shipped.mean[corners]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1)
    square = (shipped.identity**2).sum(-1)[:, corners].mean(-1) @ (area / area.sum())
    np.testing.assert_allclose(shipped.identity_std, np.sqrt(square), rtol=0.1)
    assert shipped.identity_std[0] > 5 * shipped.identity_std[-1]
    people = np.random.default_rng(0).standard_normal((400, shipped.identity_count))
    width = np.array([np.ptp(v[shipped.landmarks[[0, 16]], 0]) for v in map(shipped.vertices, people)])
    assert 2.0 < width.std() < 12.0
    # Rigid motion was removed: the face's centre hardly moves from person to person.
    centre = np.stack([shipped.vertices(c)[face].mean(0) for c in people[:100]])
    assert centre.std(0).max() < 1.5


def test_expressions_do_what_their_names_say(shipped):
    def points(name: str, weight: float = 1.0):
        weights = np.zeros(shipped.expression_count)
        weights[shipped.expression_names.index(name)] = weight
        return shipped.vertices(None, weights)[shipped.landmarks]

    neutral = shipped.mean[shipped.landmarks]
    assert len(shipped.expression_names) == len(set(shipped.expression_names)) == 47
    assert not any(name.startswith(("eyeLook", "Pupil")) for name in shipped.expression_names)
    assert points("jawOpen")[8, 1] < neutral[8, 1] - 15
    opening = points("eyeBlink_L")[[43, 44], 1] - points("eyeBlink_L")[[47, 46], 1]
    assert opening.max() < 1.5
    np.testing.assert_allclose(points("eyeBlink_L")[36:42], neutral[36:42], atol=1e-3)
    assert points("mouthSmile_R")[48, 1] > neutral[48, 1] + 3
    assert points("browInnerUp_L")[22, 1] > neutral[22, 1] + 2
    assert ((shipped.expression_std > 0.05) & (shipped.expression_std < 0.4)).all()


def test_regions_lie_where_they_should(shipped):
    at = {name: field[shipped.landmarks] for name, field in shipped.regions.items()}
    wanted = {
        "lip",
        "lip_inner",
        "brow_left",
        "brow_right",
        "eye_line",
        "nostril",
        "hairline",
        "beard",
        "ear",
    }
    assert set(shipped.regions) == wanted
    assert np.abs(at["lip"][48:60]).max() < 0.6
    assert (at["lip"][61:64] < -2).all()
    assert at["lip"][30] > 15
    assert np.abs(at["lip_inner"][60:]).max() < 0.6
    assert at["lip_inner"][51] > 2
    assert (at["brow_right"][17:22] < -1).all()
    assert (at["brow_left"][17:22] > 10).all()
    assert (at["brow_left"][22:27] < -1).all()
    assert np.abs(at["eye_line"][36:48]).max() < 0.6
    assert at["nostril"][[31, 32, 34, 35]].max() < 7 < at["nostril"][51]
    assert at["hairline"].max() < 0
    assert shipped.regions["hairline"][np.argmax(shipped.mean[:, 1])] > 30
    middle = (np.abs(shipped.mean[:, 0]) < 6) & (shipped.mean[:, 2] > 60) & (shipped.part <= Part.NECK)
    trichion = shipped.mean[middle][np.argmin(np.abs(shipped.regions["hairline"][middle]))]
    assert 45 < trichion[1] - shipped.mean[shipped.landmarks[[19, 24]], 1].mean() < 75
    assert at["beard"][8] > 0.9
    assert at["beard"][[19, 27, 30, 36, 62]].max() < 0.05
    assert at["ear"].max() < 0.05
    assert shipped.regions["ear"].max() > 0.99
    assert 0 <= shipped.regions["beard"].min() <= shipped.regions["beard"].max() <= 1
    assert (shipped.regions["hairline"][shipped.part == Part.SCALP] > 0).all()
