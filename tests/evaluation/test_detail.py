# SPDX-License-Identifier: Apache-2.0
"""Normals parted into shape and detail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lineament.errors import InputError
from lineament.evaluation.metrics.detail import compare_shape_and_detail, part_normals
from lineament.geometry import depth_to_normals

SIDE = 96
SIGMA = 4.0


def waves(amplitude: float, shift: float = 0.0) -> NDArray[np.float32]:
    """Normals of a bowl with ripples of 8 pixels, which a blur of 4 pixels takes away."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return depth_to_normals(-0.004 * (x**2 + y**2) + amplitude * np.sin(2 * np.pi * (x + y + shift) / 8))


def mask() -> NDArray[np.bool_]:
    """The inside of the picture."""
    inside = np.zeros((SIDE, SIDE), bool)
    inside[8:-8, 8:-8] = True
    return inside


def test_a_blur_parts_ripples_from_the_bowl() -> None:
    shape, detail = part_normals(waves(0.3), mask(), SIGMA)
    inner = np.s_[20:-20, 20:-20]
    bowl = waves(0.0)
    assert np.abs(shape - bowl)[inner].max() < 0.02
    np.testing.assert_allclose(detail[inner], (waves(0.3) - bowl)[inner][..., :2], atol=0.03)


def test_the_truth_itself_has_no_error() -> None:
    found = compare_shape_and_detail(waves(0.3), waves(0.3), mask(), SIGMA)
    assert found.shape_error == pytest.approx(0.0, abs=1e-3)
    assert found.correlation == pytest.approx(1.0)
    assert found.strength == pytest.approx(1.0)


def test_detail_is_judged_by_its_place_and_its_strength_apart() -> None:
    weak = compare_shape_and_detail(waves(0.1), waves(0.3), mask(), SIGMA)
    assert weak.correlation > 0.95
    assert 0.3 < weak.strength < 0.4
    opposite = compare_shape_and_detail(waves(0.3, shift=4.0), waves(0.3), mask(), SIGMA)
    assert opposite.correlation < -0.9
    assert opposite.shape_error < 1.0
    elsewhere = compare_shape_and_detail(waves(0.3, shift=2.0), waves(0.3), mask(), SIGMA)
    assert abs(elsewhere.correlation) < 0.2


def test_an_estimate_without_detail_has_no_correlation() -> None:
    flat = np.zeros((SIDE, SIDE, 3), np.float32)
    flat[..., 2] = 1.0
    found = compare_shape_and_detail(flat, waves(0.3), mask(), SIGMA)
    assert found.correlation == 0.0
    assert found.strength < 1e-4


def test_nothing_from_outside_the_mask_counts() -> None:
    estimate = waves(0.3)
    estimate[~mask()] = [1.0, 0.0, 0.0]
    found = compare_shape_and_detail(estimate, waves(0.3), mask(), SIGMA)
    assert found.shape_error == pytest.approx(0.0, abs=1e-3)
    assert found.correlation == pytest.approx(1.0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        compare_shape_and_detail(waves(0.3), waves(0.3), np.zeros((SIDE, SIDE), bool), SIGMA)
    with pytest.raises(InputError, match="do not fit"):
        compare_shape_and_detail(waves(0.3), waves(0.3), mask()[1:], SIGMA)
