# SPDX-License-Identifier: Apache-2.0
"""Smooth outlines: of a tilted disc, where two outlines meet, and never a triangle seen from behind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.geometry.mesh import depth_to_mesh, triangle_normals
from lineament.geometry.outline import outline_edges, smooth_outline


def test_the_outline_of_a_steep_disc_becomes_round() -> None:
    y, x = np.mgrid[:48, :48] - 23.5
    mesh = depth_to_mesh(-4.0 * x, x**2 + y**2 < 20.0**2)
    smooth = smooth_outline(mesh)
    rim = np.unique(outline_edges(mesh.triangles))
    inner = np.setdiff1d(np.arange(len(mesh.vertices)), rim)
    assert np.array_equal(smooth.vertices[inner], mesh.vertices[inner])

    def roughness(vertices: np.ndarray) -> float:
        return float(np.linalg.norm(vertices[rim, :2] - vertices[rim, :2].mean(0), axis=1).std())

    assert roughness(smooth.vertices) < 0.6 * roughness(mesh.vertices)
    assert smooth.vertices[rim, 2] == pytest.approx(  # still on the plane
        np.polyval(np.polyfit(mesh.vertices[:, 0], mesh.vertices[:, 2], 1), smooth.vertices[rim, 0]), abs=1e-6
    )


def test_corners_that_two_pieces_share_stay() -> None:
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = mask[3:, 3:] = True
    mesh = depth_to_mesh(np.zeros((8, 8)), mask)
    smooth = smooth_outline(mesh)
    shared = np.flatnonzero(np.bincount(outline_edges(mesh.triangles).ravel()) == 4)
    assert len(shared) == 1
    assert np.array_equal(smooth.vertices[shared], mesh.vertices[shared])
    assert not np.array_equal(smooth.vertices, mesh.vertices)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_no_triangle_turns_its_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((14, 14)) > 0.15
    mask[5:7, 5:7] = True
    mesh = depth_to_mesh(random.normal(0, 1, (14, 14)), mask)
    assert (triangle_normals(smooth_outline(mesh))[:, 2] > 0).all()
