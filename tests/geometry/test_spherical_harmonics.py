# SPDX-License-Identifier: Apache-2.0
"""The basis is orthonormal, shading and fitting light undo each other, torch and NumPy agree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.geometry import spherical_harmonics as sh


def sphere_points(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Directions and weights of a product quadrature, exact far beyond order 4."""
    z, weight = np.polynomial.legendre.leggauss(count // 10)
    angle = np.arange(count // 5) * (2 * math.pi / (count // 5))
    ring = np.sqrt(1 - z**2)
    x, y = ring[:, None] * np.cos(angle), ring[:, None] * np.sin(angle)
    points = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], axis=-1)
    return points, np.broadcast_to(weight[:, None] * (2 * math.pi / len(angle)), x.shape)


def test_basis_is_orthonormal_over_the_sphere():
    points, weights = sphere_points()
    functions = sh.basis(points)
    gram = np.einsum("ij,ijk,ijl->kl", weights, functions, functions)
    np.testing.assert_allclose(gram, np.eye(9), atol=1e-12)


def test_order_of_the_coefficients():
    # Along an axis only these functions are non-zero beside (0,0): they pin the order and the signs down.
    x, y, z = (sh.basis(axis) for axis in np.eye(3))
    assert min(x[3], y[1], z[2]) > 0
    assert x[1] == x[2] == y[2] == y[3] == z[1] == z[3] == 0
    assert min(z[6], -x[6], x[8], -y[8]) > 0
    diagonal = 1 / math.sqrt(2)
    assert sh.basis([diagonal, diagonal, 0])[4] > 0.5
    assert sh.basis([0, diagonal, diagonal])[5] > 0.5
    assert sh.basis([diagonal, 0, diagonal])[7] > 0.5


def test_lambertian_convolution_is_the_cosine_lobe():
    """Irradiance of a distant light is the clamped cosine up to what order 2 cannot hold."""
    light = np.array([0.0, 0.6, 0.8])
    points, _ = sphere_points()
    shading = math.pi * sh.shade(points, sh.irradiance(sh.basis(light)))
    cosine = np.maximum(points @ light, 0.0)
    assert np.abs(shading - cosine).max() < 0.1
    assert shading[np.unravel_index(np.argmax(cosine), cosine.shape)] == pytest.approx(1.0, abs=0.07)
    # The projections of max(cos θ, 0) on orders 0, 1 and 2, integrated numerically.
    fine, weights = sphere_points(4000)
    lobe = np.maximum(fine[..., 2], 0.0)
    projected = np.einsum("ij,ij,ijk->k", weights, lobe, sh.basis(fine))
    expected = np.asarray(sh.LAMBERTIAN_CONVOLUTION) * sh.basis([0.0, 0.0, 1.0])
    np.testing.assert_allclose(projected, expected, atol=1e-4)


@given(st.lists(st.floats(-2, 2), min_size=27, max_size=27), st.booleans())
def test_fit_light_undoes_shade(values, with_albedo):
    light = np.array(values).reshape(9, 3)
    points, _ = sphere_points()
    albedo = 0.5 + 0.4 * points[..., :1] ** 2 if with_albedo else np.ones((*points.shape[:2], 1))
    picture = albedo * sh.shade(points, light)
    mask = points[..., 2] > -0.5
    picture[~mask] = 1e6  # must not be looked at
    np.testing.assert_allclose(sh.fit_light(picture, points, albedo[..., 0], mask), light, atol=1e-8)


def test_ridge_shrinks_all_but_the_constant():
    points, _ = sphere_points()
    light = np.array([1.0, 0.5, -0.4, 0.3, 0.2, 0.1, -0.2, 0.3, 0.4])
    picture = sh.shade(points, light)
    mild, strong = (np.linalg.norm(sh.fit_light(picture, points, ridge=r)[1:]) for r in (0.01, 10.0))
    assert strong < 0.1 * mild < np.linalg.norm(light[1:])
    # The same ridge means the same at half the resolution.
    few = sh.fit_light(picture[:, ::2], points[:, ::2], ridge=0.1)
    np.testing.assert_allclose(few, sh.fit_light(picture, points, ridge=0.1), atol=1e-9)


def test_torch_and_numpy_share_the_polynomials():
    torch = pytest.importorskip("torch")
    points, _ = sphere_points()
    ours = sh.polynomials(*np.moveaxis(points, -1, 0))
    theirs = sh.polynomials(*torch.from_numpy(points).unbind(-1))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sh.basis(np.zeros((4, 2))),
        lambda: sh.shade(np.zeros((4, 3)), np.zeros(8)),
        lambda: sh.fit_light(np.zeros((4, 4)), np.zeros((5, 4, 3))),
        lambda: sh.fit_light(np.zeros((4, 4)), np.zeros((4, 4, 3)), mask=np.zeros((4, 4))),
        lambda: sh.fit_light(np.zeros((4, 4)), np.zeros((4, 4, 3)), mask=np.zeros((3, 4))),
    ],
)
def test_wrong_shapes_are_refused(call):
    with pytest.raises(InputError):
        call()
