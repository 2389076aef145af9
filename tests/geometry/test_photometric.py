# SPDX-License-Identifier: Apache-2.0
"""Photometric stereo recovers rendered ellipsoids, shadows and highlights included."""

from __future__ import annotations

import numpy as np
import pytest

from lineament.errors import InputError
from lineament.geometry import angular_error, photometric_stereo, robust_photometric_stereo

from .shapes import ellipsoid

FOUR = np.array([[0.5, 0.5, 0.7], [-0.5, 0.5, 0.7], [-0.5, -0.5, 0.7], [0.5, -0.5, 0.7]])


def render(normals: np.ndarray, albedo: np.ndarray, lights: np.ndarray) -> np.ndarray:
    return albedo * np.maximum(np.einsum("hwc,nc->nhw", normals, lights), 0.0)


def test_four_lights_are_exact_without_shadow():
    _, normals, mask = ellipsoid(48, (60, 60, 30), rim=0.35)
    albedo = np.where(mask, 0.6, 0.3)
    images = render(normals, albedo, FOUR)
    assert images[:, mask].min() > 0
    answer = photometric_stereo(images, FOUR)
    assert angular_error(answer.normals, normals)[mask].max() < 0.05
    np.testing.assert_allclose(answer.albedo[mask], albedo[mask], rtol=1e-3)
    assert (answer.lights == 4).all()
    assert answer.residual[mask].max() < 1e-3


def test_a_shadowed_light_is_left_out():
    _, normals, mask = ellipsoid(64, (40, 40, 40), rim=0.75)
    images = render(normals, np.full(mask.shape, 0.7), FOUR)
    images[1, 20:40, 20:40] = 0.0  # a cast shadow
    shadow = np.zeros_like(mask)
    shadow[20:40, 20:40] = True
    kept = photometric_stereo(images, FOUR)
    naive = photometric_stereo(images, FOUR, shadow_tolerance=None)
    assert angular_error(naive.normals, normals)[shadow].mean() > 10
    assert angular_error(kept.normals, normals)[shadow].max() < 0.1
    assert (kept.lights[shadow] == 3).all()
    attached = mask & (images.min(axis=0) <= 0)
    assert attached.sum() > 400
    assert angular_error(kept.normals, normals)[attached].max() < 4  # what the tolerance lets through
    strict = photometric_stereo(images, FOUR, shadow_tolerance=0.002)
    assert angular_error(strict.normals, normals)[attached].max() < 0.3


def test_robust_solution_with_highlights_shadows_and_noise():
    random = np.random.default_rng(0)
    _, normals, mask = ellipsoid(40, (30, 30, 30), rim=0.8)
    lights = np.stack([random.uniform(-0.6, 0.6, 24), random.uniform(-0.6, 0.6, 24), np.ones(24)], axis=1)
    lights /= np.linalg.norm(lights, axis=1, keepdims=True)
    images = 120.0 * render(normals, np.ones(mask.shape), lights)
    half = lights + np.array([0, 0, 1])
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    images += 100.0 * np.maximum(np.einsum("hwc,nc->nhw", normals, half), 0) ** 400
    images[:3, :, :15] = 0.0
    images += random.normal(0, 0.5, images.shape)
    plain = robust_photometric_stereo(images, lights, iterations=0)
    robust = robust_photometric_stereo(images, lights)
    assert angular_error(plain.normals, normals)[mask].mean() > 3
    assert angular_error(robust.normals, normals)[mask].mean() < 1


def test_invalid_intensities_are_not_looked_at():
    _, normals, mask = ellipsoid(24, (30, 30, 30), rim=0.5)
    lights = np.concatenate([FOUR, [[0.0, 0.0, 1.0]]])
    images = render(normals, np.ones(mask.shape), lights)
    valid = np.ones(images.shape, dtype=bool)
    images[2], valid[2] = 1e4, False
    valid[:, 0, 0] = False
    valid[:2, 0, 0] = True
    answer = robust_photometric_stereo(images, lights, valid)
    assert angular_error(answer.normals, normals)[mask].max() < 0.1
    assert answer.lights[0, 0] == 2
    assert not answer.normals[0, 0].any()
    assert np.isinf(answer.residual[0, 0])
    assert (answer.lights.ravel()[1:] == 4).all()


@pytest.mark.parametrize(
    ("images", "lights"),
    [
        (np.ones((3, 2, 2)), FOUR),
        (np.ones((2, 2, 2)), FOUR[:2]),
        (np.ones((3, 2, 2)), np.array([[1, 0, 1], [-1, 0, 1], [0, 0, 1]])),
    ],
)
def test_lights_that_cannot_answer_are_refused(images, lights):
    with pytest.raises(InputError):
        photometric_stereo(images, lights)


def test_valid_of_another_shape_is_refused():
    with pytest.raises(InputError, match="differ in shape"):
        robust_photometric_stereo(np.ones((4, 2, 2)), FOUR, np.ones((4, 2, 3)))
