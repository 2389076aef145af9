# SPDX-License-Identifier: Apache-2.0
"""The face's own chart: without folds, fine, upright and alike on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.rig import Rig, load_rig
from lineament.rig.face_chart import ChartGrid, face_chart


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig()


@pytest.fixture(scope="module")
def grid(rig: Rig) -> ChartGrid:
    return ChartGrid.of(rig, 256)


def test_the_shipped_chart_is_what_the_code_makes(rig: Rig) -> None:
    uv, on_chart = face_chart(rig)
    assert np.array_equal(on_chart, rig.on_chart)
    assert np.abs(uv - rig.face_uv).max() < 1e-4


def test_nothing_is_folded(rig: Rig) -> None:
    corner = rig.face_uv[rig.faces[rig.on_chart]].astype(np.float64)
    first, second = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    assert (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] > 0).all()
    assert corner.min() >= 0.0
    assert corner.max() <= 1.0


def test_the_face_fills_the_square_finely(rig: Rig, grid: ChartGrid) -> None:
    assert grid.inside.mean() > 0.95
    places = grid.of_vertices(rig.mean)
    right, down = np.diff(places, axis=1)[:-1], np.diff(places, axis=0)[:, :-1]
    area = np.linalg.norm(np.cross(right, down), axis=-1)
    whole = grid.inside[:-1, :-1] & grid.inside[1:, 1:]
    assert np.sqrt(np.median(area[whole])) < 0.86  # mm a texel


def test_it_stands_upright_and_is_alike_on_both_sides(rig: Rig) -> None:
    marks = rig.face_uv[rig.landmarks]
    assert (marks[1:16] > 0).all()
    assert np.abs(marks[27:31, 0] - 0.5).max() < 0.03
    assert marks[30, 1] < marks[27, 1]  # the nose's tip is below its bridge
    assert marks[57, 1] < marks[51, 1] < marks[33, 1]  # lips below the nose
    assert marks[8, 1] < 0.06  # the chin
    for left, right in ((36, 45), (48, 54), (31, 35), (19, 24)):
        assert marks[left, 0] + marks[right, 0] == pytest.approx(1.0, abs=0.03)
        assert marks[left, 1] == pytest.approx(marks[right, 1], abs=0.02)


def test_the_grid_knows_its_own_places(rig: Rig, grid: ChartGrid) -> None:
    own = grid.of_vertices(rig.face_uv)
    centres = (np.arange(256) + 0.5) / 256
    wanted = np.stack(np.meshgrid(centres, centres[::-1]), axis=-1)
    assert np.abs(own - wanted)[grid.inside].max() < 1e-4
    assert np.allclose(grid.weight.sum(-1), 1.0, atol=1e-5)


def test_mirrored_texels_lie_opposite(rig: Rig, grid: ChartGrid) -> None:
    places = grid.of_vertices(rig.mean)
    column = (grid.mirror[..., 0] * 256 - 0.5).round().astype(int)
    row = ((1.0 - grid.mirror[..., 1]) * 256 - 0.5).round().astype(int)
    away = np.linalg.norm(places[row, column] - places * [-1.0, 1.0, 1.0], axis=-1)
    assert np.median(away) < 0.6
    assert np.quantile(away, 0.95) < 2.5  # mm: the borders are not alike
