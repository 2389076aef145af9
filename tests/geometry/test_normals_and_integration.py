# SPDX-License-Identifier: Apache-2.0
"""Depth to normals and back, held to planes, spheres and ellipsoids."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.geometry import Perspective, angular_error, depth_to_normals, normalize, normals_to_depth

from .shapes import ellipsoid

METHODS = ("poisson", "least_squares")
radii = st.tuples(*[st.floats(40, 120)] * 3)
slopes = st.floats(-2, 2)


@given(slopes, slopes)
def test_a_plane_is_exact_even_at_borders_and_holes(p, q):
    v, u = np.mgrid[:12, :15] + 0.5
    depth = p * u - q * v  # rises by p to the right and by q upwards
    mask = np.ones(depth.shape, dtype=bool)
    mask[4:7, 5:9] = False
    normals = depth_to_normals(depth, mask)
    expected = np.array([-p, -q, 1.0]) / np.sqrt(p * p + q * q + 1)
    np.testing.assert_allclose(normals[mask], np.broadcast_to(expected, (mask.sum(), 3)), atol=1e-5)
    assert not normals[~mask].any()
    for method in METHODS:
        back = normals_to_depth(normals, mask, method)
        np.testing.assert_allclose(back[mask], (depth - depth[mask].mean())[mask], atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(radii)
def test_normals_of_an_ellipsoid(shape):
    depth, truth, mask = ellipsoid(64, shape)
    error = angular_error(depth_to_normals(depth), truth)[1:-1, 1:-1][mask[1:-1, 1:-1]]
    assert error.mean() < 0.2


@settings(max_examples=15, deadline=None)
@given(radii, st.sampled_from(METHODS))
def test_depth_of_an_ellipsoid_and_round_trip(shape, method):
    depth, truth, mask = ellipsoid(64, shape)
    recovered = normals_to_depth(truth, mask, method)
    assert recovered.dtype == np.float32
    assert abs(float(recovered[mask].mean())) < 1e-3
    relief = np.ptp(depth[mask])
    assert np.abs(recovered - (depth - depth[mask].mean()))[mask].max() < 0.01 * relief + 0.02
    again = angular_error(depth_to_normals(recovered, mask), truth)[mask]
    assert again.mean() < 0.5


def test_perspective_sphere():
    camera = Perspective(300.0, (48.0, 48.0))
    centre, radius = np.array([0.0, 0.0, -60.0]), 8.0
    v, u = np.mgrid[:96, :96] + 0.5
    rays = np.stack([(u - 48) / 300, (48 - v) / 300, -np.ones_like(u)], axis=-1)
    a, b, c = (rays**2).sum(-1), rays @ centre, centre @ centre - radius**2
    root = b * b - a * c
    mask = root > 6.0
    distance = (b - np.sqrt(np.maximum(root, 0))) / a
    points = rays * distance[..., None]
    truth = (points - centre) / radius
    error = angular_error(depth_to_normals(points[..., 2], mask, camera), truth)[mask]
    assert mask.sum() > 2000
    assert error.mean() < 0.3
    # Taking it for orthographic in the same units is wrong, so the camera matters.
    assert angular_error(depth_to_normals(points[..., 2], mask), truth)[mask].mean() > 5


def test_parts_of_a_mask_have_zero_mean_each():
    depth, truth, mask = ellipsoid(80, (60, 60, 60))
    mask[:, 38:42] = False
    recovered = normals_to_depth(truth, mask)
    left = mask.copy()
    left[:, 40:] = False
    for part in (left, mask & ~left):
        assert abs(float(recovered[part].mean())) < 1e-3
        assert np.abs(recovered - (depth - depth[part].mean()))[part].max() < 0.05


def test_steep_noise_hurts_weighted_least_squares_less():
    depth, truth, mask = ellipsoid(64, (60, 60, 60), rim=0.8)
    corrupted = truth.copy()
    corrupted[30:33, 20:44] = normalize([0.99, 0.1, 0.02])
    errors = [
        np.abs(normals_to_depth(corrupted, mask, method) - (depth - depth[mask].mean()))[mask].mean()
        for method in METHODS
    ]
    assert errors[1] < 0.25 * errors[0]


def test_large_maps_take_little_time():
    depth, truth, mask = ellipsoid(256, (120, 120, 120))
    mask[100:104, :140] = False
    start = time.perf_counter()
    recovered = normals_to_depth(truth, mask, "least_squares")
    assert time.perf_counter() - start < 1.5
    assert np.abs(recovered - (depth - depth[mask].mean()))[mask].max() < 0.1


def test_degenerate_masks():
    normals = np.broadcast_to([0.0, 0.0, 1.0], (8, 8, 3))
    assert not normals_to_depth(normals, np.zeros((8, 8))).any()
    one = np.zeros((8, 8))
    one[3, 4] = 1
    assert not normals_to_depth(normals, one).any()
    assert not depth_to_normals(np.ones((8, 8)), one).any()
    hole = np.ones((8, 8))
    hole[2, 2] = np.nan
    found = depth_to_normals(hole)
    assert not found[2, 2].any()
    np.testing.assert_allclose(found[2, 3], [0, 0, 1])


def test_normalize_leaves_nothing_at_zero():
    np.testing.assert_allclose(normalize([[3.0, 0.0, 4.0], [0.0, 0.0, 0.0]]), [[0.6, 0, 0.8], [0, 0, 0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda: depth_to_normals(np.zeros((3, 3, 1))),
        lambda: depth_to_normals(np.zeros((3, 3)), np.zeros((2, 3))),
        lambda: normals_to_depth(np.zeros((3, 3))),
        lambda: normals_to_depth(np.zeros((3, 3, 3)), np.zeros((3, 2))),
        lambda: normals_to_depth(np.zeros((3, 3, 3)), method="magic"),
    ],
)
def test_wrong_input_is_refused(call):
    with pytest.raises(InputError):
        call()
