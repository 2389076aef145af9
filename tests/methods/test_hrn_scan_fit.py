# SPDX-License-Identifier: Apache-2.0
"""A head of known maps, exported as a scan, moved and with holes, gives its maps back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lineament.errors import DataError
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import Similarity
from lineament.methods.hrn.exact_maps import DeformationFit
from lineament.methods.hrn.scan_fit import FittedScan, fit_scan
from lineament.result.head_detail import raised
from lineament.rig import Part, load_rig
from lineament.rig.face_chart import ChartGrid, chart_vertices, deformed_by

Case = tuple[FittedScan, Mesh, np.ndarray, np.ndarray, Similarity]


@pytest.fixture(scope="module")
def case() -> Case:
    """The fit, the smooth head, its displacement and its landmarks on the scan, and how the scan has been moved."""
    rig, random = load_rig(), np.random.default_rng(4)
    identity, expression = random.normal(size=80) * 0.8, np.zeros(len(rig.expression))
    expression[rig.expression_names.index("jawOpen")] = 0.3
    smooth = ndimage.gaussian_filter(random.normal(size=(64, 64, 3)), (6, 6, 0)).astype(np.float32)
    smooth *= 1.5 / np.abs(smooth).max()
    vertices = rig.vertices(identity, expression).astype(np.float64) + deformed_by(rig, smooth)
    relief = ndimage.gaussian_filter(random.normal(size=(256, 256)), 3.0).astype(np.float32)
    relief *= 1.2 / np.abs(relief).max()  # well above the facets of a mesh of 3 mm triangles
    head = Mesh(vertices, rig.faces.astype(np.int64))
    fine = raised(head, relief)
    # A scanner sees the face and the neck, with holes, from any side, in metres.
    skin = np.isin(rig.face_part, (Part.FACE, Part.NECK)).repeat(16)
    middle = fine.vertices[fine.triangles].mean(1)
    holes = np.zeros(len(middle), bool)
    for vertex in random.choice(chart_vertices(rig), 6):
        holes |= np.linalg.norm(middle - vertices[vertex], axis=1) < 5.0
    assert len(skin) == len(middle)
    kept = skin & ~holes & (middle[:, 2] > 0.0)
    away = Similarity(1e-3, Rotation.from_euler("xyz", [0.4, 1.9, -0.3]).as_matrix(), np.array([0.3, -0.1, 2.0]))
    landmarks = away(vertices[rig.landmarks])
    landmarks[[0, 1, 15, 16]] = np.nan
    scan = Mesh(away(fine.vertices), fine.triangles[kept])
    return fit_scan(scan, landmarks, rig), head, relief, landmarks, away


def test_the_head_is_found_where_it_is(case: Case) -> None:
    fitted, head, _, _, away = case
    assert fitted.motion.scale == pytest.approx(1000.0, rel=0.01)
    own = fitted.motion(away(head.vertices))[chart_vertices(load_rig())]
    off = np.linalg.norm(fitted.vertices[chart_vertices(load_rig())] - own, axis=1)
    assert np.median(off) < 1.0  # along the surface, which tells little of places on it
    assert fitted.distance < 0.2
    weight = fitted.expression[load_rig().expression_names.index("jawOpen")]
    assert weight == pytest.approx(0.3, abs=0.1)


def test_maps_come_back(case: Case) -> None:
    fitted, head, relief, _, away = case
    assert 0.5 < fitted.known.mean() < 0.99
    assert not fitted.displacement[~fitted.known].any()
    # Relief is compared at the same places of the surface: planes do not tell where along it a texel lies.
    grid = ChartGrid.of(load_rig(), 256)
    own, truth = (
        grid.of_vertices(each).reshape(-1, 3) for each in (fitted.vertices, fitted.motion(away(head.vertices)))
    )
    there = cKDTree(truth).query(own)[1].reshape(256, 256)
    high = [each - ndimage.gaussian_filter(each, 5.0) for each in (fitted.displacement, relief.ravel()[there])]
    inner = ndimage.binary_erosion(fitted.known & grid.inside, iterations=6)
    assert np.corrcoef(high[0][inner], high[1][inner])[0, 1] > 0.8
    assert 0.6 < high[0][inner].std() / high[1][inner].std() < 1.2
    assert fitted.deformation.shape == (64, 64, 3)
    assert np.abs(fitted.deformation).max() < 6.0


def test_what_is_unknown_is_smooth() -> None:
    rig = load_rig()
    fit, chart = DeformationFit(rig, 64), chart_vertices(rig)
    offsets = np.zeros((rig.vertex_count, 3))
    offsets[chart] = [1.0, -2.0, 0.5]
    known = np.ones(rig.vertex_count, bool)
    known[chart[rig.mean[chart, 0] > 0]] = False
    offsets[~known] = 50.0
    assert np.allclose(fit(offsets, known)[4:-4, 4:-4], [1.0, -2.0, 0.5], atol=1e-2)


def test_a_scan_needs_landmarks(case: Case) -> None:
    _, head, _, landmarks, _ = case
    with pytest.raises(DataError, match="68 lines"):
        fit_scan(head, landmarks[:7], load_rig())
    few = np.full((68, 3), np.nan)
    few[:5] = 1.0
    with pytest.raises(DataError, match="not by 5"):
        fit_scan(head, few, load_rig())
    far = landmarks * [1.0, 1.0, -1.0]  # of a mirrored face
    with pytest.raises(DataError, match="no head comes near"):
        fit_scan(Mesh(head.vertices * 1e-3 + 9.0, head.triangles), far, load_rig())
