# SPDX-License-Identifier: Apache-2.0
"""Metrics with known answers; framing a picture and undoing it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.evaluation import Framing, masked_angular_error, slope_scale, sparsification


def dome(height: int, width: int, depth: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[1 : -1 : height * 1j, -1 : 1 : width * 1j]
    normals = np.stack([0.6 * depth * x, 0.6 * depth * y, np.ones_like(x)], axis=-1)
    return (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)


def test_only_pixels_in_the_mask_count():
    truth = np.zeros((4, 4, 3))
    truth[..., 2] = 1
    predicted = truth.copy()
    predicted[0, 0] = [0, 1, 1]
    predicted[3, 3] = np.nan
    mask = np.zeros((4, 4))
    mask[0, :2] = 255
    np.testing.assert_allclose(masked_angular_error(predicted, truth, mask), [45, 0])
    with pytest.raises(InputError, match="not finite"):
        masked_angular_error(predicted, truth, np.ones((4, 4)))
    with pytest.raises(InputError, match="do not belong together"):
        masked_angular_error(predicted, truth, np.ones((4, 3)))


@given(st.floats(0.3, 1.5))
def test_slope_scale_finds_the_factor(depth):
    factor = slope_scale(dome(20, 20, depth), dome(20, 20), np.ones((20, 20)))
    assert factor == pytest.approx(1 / depth, rel=1e-4)


def test_slope_scale_of_a_flat_prediction_is_unknown():
    flat = np.broadcast_to([0.0, 0.0, 1.0], (8, 8, 3))
    assert np.isnan(slope_scale(flat, dome(8, 8), np.ones((8, 8))))


@settings(max_examples=25, deadline=None)
@given(st.integers(30, 120), st.integers(30, 120), st.floats(0, 0.6))
def test_normals_return_to_where_they_were(height, width, padding):
    """Normals seen by the predictor as colours come back to the same pixels."""
    framing = Framing(padding)
    truth = dome(height, width)
    image = np.round((truth + 1) * 127.5).astype(np.uint8)
    seen = framing.apply(image, 128)
    assert seen.shape == (128, 128, 3)
    back = framing.undo(seen.astype(np.float32) / 127.5 - 1, height, width)
    np.testing.assert_allclose(np.linalg.norm(back, axis=-1), 1, atol=1e-5)
    inner = np.s_[4:-4, 4:-4]
    error = masked_angular_error(back[inner], truth[inner], np.ones((height - 8, width - 8)))
    assert error.mean() < 0.6
    assert error.max() < 1.5


def test_a_perfect_uncertainty_follows_the_oracle_and_a_useless_one_does_not():
    errors = np.random.default_rng(0).gamma(2.0, 5.0, 4000)
    perfect = sparsification(errors, errors**2)
    assert perfect.rank_correlation == pytest.approx(1.0)
    assert perfect.area == pytest.approx(0.0, abs=1e-9)
    assert perfect.error[0] == pytest.approx(errors.mean())
    assert (np.diff(perfect.error) < 0).all()
    useless = sparsification(errors, np.random.default_rng(1).random(4000))
    assert abs(useless.rank_correlation) < 0.05
    assert useless.area == pytest.approx(useless.area_of_chance, abs=0.03)
    backwards = sparsification(errors, -errors)
    assert backwards.area > useless.area
    with pytest.raises(InputError):
        sparsification(errors, errors[1:])


def test_the_border_is_repeated_and_the_picture_centred():
    image = np.zeros((100, 80, 3), np.uint8)
    image[:, :40] = [200, 0, 0]
    image[0] = [0, 0, 90]
    square = Framing(0.25).apply(image, 150)
    np.testing.assert_array_equal(square[25:125, 35:115], image)
    assert (square[:25] == [0, 0, 90]).all()
    assert (square[60, :35] == [200, 0, 0]).all()
    assert (square[60, 115:] == 0).all()


@pytest.mark.parametrize("padding", [-0.1, 3.0, float("nan")])
def test_impossible_framings_are_refused(padding):
    with pytest.raises(InputError):
        Framing(padding)
