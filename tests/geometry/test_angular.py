# SPDX-License-Identifier: Apache-2.0
"""Angles with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.geometry import angular_error, angular_error_statistics


@given(st.floats(0, 180), st.floats(0.01, 100), st.floats(0, 6.28))
def test_a_turned_vector(degrees, length, around):
    angle = np.radians(degrees)
    turned = length * np.array([np.sin(angle) * np.cos(around), np.sin(angle) * np.sin(around), np.cos(angle)])
    assert angular_error(turned, [0, 0, 2.0]) == pytest.approx(degrees, abs=1e-9)


def test_tiny_angles_keep_their_digits():
    assert angular_error([1e-9, 0, 1], [0, 0, 1]) == pytest.approx(np.degrees(1e-9), rel=1e-6)


def test_an_empty_normal_counts_as_ninety_degrees():
    np.testing.assert_allclose(angular_error([[0, 0, 0], [0, 0, -1]], [0, 0, 1]), [90, 180])


def test_statistics():
    metrics = angular_error_statistics([[0.0, 10.0], [20.0, 22.0], [26.0, 42.0]])
    assert (metrics.mean, metrics.median, metrics.count) == (20.0, 21.0, 6)
    assert metrics.std == pytest.approx(np.sqrt((400 + 100 + 0 + 4 + 36 + 484) / 6))
    assert (metrics.below_20, metrics.below_25, metrics.below_30) == (2 / 6, 4 / 6, 5 / 6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: angular_error(np.ones(2), np.ones(3)),
        lambda: angular_error(np.ones((2, 3)), np.ones((4, 3))),
        lambda: angular_error_statistics([]),
        lambda: angular_error_statistics([1.0, np.nan]),
    ],
)
def test_what_cannot_be_compared_is_refused(call):
    with pytest.raises(InputError):
        call()
