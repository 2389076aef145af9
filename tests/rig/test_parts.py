# SPDX-License-Identifier: Apache-2.0
"""The builder's steps on shapes with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.rig.chart import border_loops, skin_chart
from lineament.rig.eyes import fit_eyeball, fit_sphere
from lineament.rig.ict_facekit import split_quads
from lineament.rig.regions import contour, inside_polygon
from lineament.rig.simplify import simplify
from lineament.rig.statistics import align_rigidly, expression_spread, identity_statistics

from .conftest import ball


def grid(n: int):
    """[n·n, 3] flat grid and its triangles, normals +z."""
    y, x = np.divmod(np.arange(n * n), n)
    cell = np.arange(n * n).reshape(n, n)[:-1, :-1].reshape(-1)
    quads = np.column_stack([cell, cell + 1, cell + n + 1, cell + n])
    return np.column_stack([x, y, 0.0 * x]).astype(float), split_quads(quads)[0]


def areas(vertices, triangles):
    p = vertices[triangles]
    return 0.5 * np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])


def test_simplified_plane_keeps_its_area_its_corners_and_the_line_between_labels():
    vertices, triangles = grid(13)
    label = (vertices[triangles].mean(1)[:, 0] > 6).astype(int)
    locked = np.array([40, 97])
    kept, faces, labels = simplify(vertices, triangles, 50, np.ones(len(vertices)), label, locked)
    assert len(kept) == 50
    assert set(locked) <= set(kept)
    signed = areas(vertices[kept], faces)[:, 2]
    assert signed.min() > 0
    assert signed.sum() == pytest.approx(144.0)
    assert signed[labels == 1].sum() == pytest.approx(72.0)
    assert {0, 12, 156, 168} <= set(kept)


def test_simplified_ball_stays_closed_and_round():
    vertices, quads = ball(10.0, np.zeros(3), 16, 24)
    triangles = split_quads(quads)[0]
    kept, faces, _ = simplify(vertices, triangles, 120, np.full(len(vertices), 3.0))
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    assert (counts == 2).all()
    assert len(kept) - len(unique) + len(faces) == 2
    p = vertices[kept][faces]
    volume = np.einsum("ij,ij->", p[:, 0], np.cross(p[:, 1], p[:, 2])) / 6.0
    assert volume == pytest.approx(4 / 3 * np.pi * 1000, rel=0.1)


def test_simplify_follows_the_wanted_edge_lengths():
    vertices, triangles = grid(30)
    wanted = np.where(vertices[:, 0] < 15, 1.0, 3.0)
    kept, _, _ = simplify(vertices, triangles, 400, wanted)
    left = (vertices[kept, 0] < 13).sum()
    right = (vertices[kept, 0] > 17).sum()
    assert left > 2.5 * right


def test_chart_of_an_open_ball_is_injective_upright_and_seamed_at_the_back():
    vertices, quads = ball(80.0, np.zeros(3), 20, 32, 140.0)
    triangles = split_quads(quads)[0]
    chart = skin_chart(vertices, triangles, np.ones(len(vertices)))
    np.testing.assert_array_equal(chart.source[chart.triangles], triangles)
    a = chart.uv[chart.triangles[:, 1]] - chart.uv[chart.triangles[:, 0]]
    b = chart.uv[chart.triangles[:, 2]] - chart.uv[chart.triangles[:, 0]]
    area = 0.5 * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
    assert area.min() > 0
    assert area.sum() == pytest.approx(1.0)
    assert (vertices[chart.source[len(vertices) :], 2] < 1e-6).all()
    front, left = np.argmax(vertices[:, 2]), np.argmax(vertices[:, 0])
    assert chart.uv[front, 0] == pytest.approx(0.5, abs=0.05)
    assert chart.uv[left, 0] > 0.6


def test_denser_chart_where_asked():
    vertices, quads = ball(80.0, np.zeros(3), 20, 32, 140.0)
    triangles = split_quads(quads)[0]
    front = vertices[:, 2] > 40
    shares = []
    for density in (1.0, 2.0):
        chart = skin_chart(vertices, triangles, np.where(front, density, 1.0))
        p = np.pad(chart.uv, ((0, 0), (0, 1)))
        shares.append(areas(p, chart.triangles)[front[triangles].all(1), 2].sum())
    assert shares[1] > 1.4 * shares[0]


def test_border_loop_follows_the_triangles():
    _, triangles = grid(3)
    assert border_loops(triangles) == [[0, 1, 2, 5, 8, 7, 6, 3]]


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=3), st.floats(5, 30), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_sphere_is_recovered_from_a_cap(centre, radius, seed):
    arms = np.random.default_rng(seed).normal(size=(60, 3))
    arms[:, 2] = np.abs(arms[:, 2])
    arms /= np.linalg.norm(arms, axis=1, keepdims=True)
    found, size = fit_sphere(np.array(centre) + radius * arms)
    np.testing.assert_allclose(found, centre, atol=1e-6)
    assert size == pytest.approx(radius)


def test_eyeball_moves_and_grows_with_its_sclera():
    sclera, _ = ball(14.0, np.array([30.0, 5.0, 60.0]), 16, 24)
    arms = sclera - [30.0, 5.0, 60.0]
    eye = fit_eyeball(sclera, np.stack([np.tile([1.0, -2.0, 0.5], (len(sclera), 1)), 0.1 * arms]))
    assert eye.radius == pytest.approx(14.0)
    np.testing.assert_allclose(eye.offsets[0], np.tile([1.0, -2.0, 0.5], (len(eye.vertices), 1)), atol=1e-9)
    np.testing.assert_allclose(eye.offsets[1], 0.1 * (eye.vertices - eye.centre), atol=1e-9)
    normal = areas(eye.vertices, eye.triangles)
    assert np.sum(normal * (eye.vertices[eye.triangles].mean(1) - eye.centre), 1).min() > 0
    assert eye.vertices[0, 2] == pytest.approx(74.0)


def test_rotation_and_translation_are_taken_out_and_size_is_kept():
    rng = np.random.default_rng(3)
    target = rng.normal(size=(50, 3)) * 40
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    moved = (1.1 * target @ rotation.T + [5, 6, 7]).astype(np.float32)
    aligned = align_rigidly(moved[None], target, np.ones(50))[0]
    np.testing.assert_allclose(aligned, 1.1 * target - 0.1 * target.mean(0), atol=1e-3)


def test_statistics_recover_the_directions_and_variances_of_the_source():
    rng = np.random.default_rng(5)
    mean = rng.normal(size=(40, 3)) * 50
    stretch = mean * [0.02, 0.0, 0.0]
    squash = mean * [0.0, 0.01, 0.0]
    shift = np.ones_like(mean) * 3.0  # rigid: must vanish
    result = identity_statistics(mean, np.stack([stretch, squash, shift]), np.ones(40), np.ones(40), 8, 800, 1)
    assert result.explained > 0.999
    assert result.mean_shift < 0.05
    strongest = result.components[0]
    wanted = stretch - stretch.mean(0)
    cosine = np.sum(strongest * wanted) / np.linalg.norm(strongest) / np.linalg.norm(wanted)
    assert abs(cosine) > 0.97
    total = np.sum(result.components.astype(float) ** 2)
    alone = np.sum(wanted**2) + np.sum((squash - squash.mean(0)) ** 2)
    assert total == pytest.approx(alone, rel=0.08)


def test_projected_coefficients_have_unit_variance():
    rng = np.random.default_rng(6)
    mean = rng.normal(size=(30, 3)) * 50
    shapes = rng.normal(size=(4, 30, 3))
    result = identity_statistics(mean, shapes, np.ones(30), np.ones(30), 4, 1000, 2)
    people = mean + np.einsum("bk,kvi->bvi", rng.standard_normal((2000, 4)), shapes)
    offsets = align_rigidly(people.astype(np.float32), mean, np.ones(30)) - mean
    basis = result.components.reshape(4, -1)
    gram = basis @ basis.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0.0, atol=1e-3 * gram[0, 0])
    coefficients = offsets.reshape(2000, -1) @ basis.T / np.diag(gram)
    np.testing.assert_allclose(coefficients.std(0), 1.0, atol=0.15)


def test_expression_spread_agrees_with_sampling():
    rng = np.random.default_rng(7)
    count = 200_000
    sampled = np.where(rng.random(count) < 0.35, rng.beta(1.2, 3.0, count), 0.0)
    spread = expression_spread(["jawOpen", "browDown_L", "mouthPucker"])
    assert spread[0] == pytest.approx(sampled.std(), rel=0.02)
    assert spread[1] > spread[2]


def test_contour_passes_through_its_landmarks_and_encloses_its_middle():
    points = np.array([[0, 0, 0], [1, 1, 0], [2, 0, 0], [1, -1, 0]], float)
    curve = contour(points, ((0, 1, 2), (2, 3, 0)))
    assert np.linalg.norm(curve[:, None] - points, axis=2).min(0).max() < 0.02
    inside = inside_polygon(np.array([[1, 0], [3, 0], [1, 2], [1, -0.9]]), curve[:, :2])
    assert inside.tolist() == [True, False, False, True]
