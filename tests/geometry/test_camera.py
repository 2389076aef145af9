# SPDX-License-Identifier: Apache-2.0
"""Cameras: projecting and unprojecting undo each other, and agree with their matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineament.errors import InputError
from lineament.geometry import Perspective, ScaledOrthography, pixel_centres

coordinates = st.floats(-50, 50)
cameras = st.one_of(
    st.builds(ScaledOrthography, st.floats(0.1, 10), st.tuples(coordinates, coordinates)),
    st.builds(Perspective, st.floats(10, 2000), st.tuples(coordinates, coordinates)),
)


@given(cameras, coordinates, coordinates, st.floats(-900, -1))
def test_round_trip_and_matrix(camera, x, y, z):
    point = np.array([x, y, z])
    pixel = camera.project(point)
    np.testing.assert_allclose(camera.unproject(pixel, z), point, atol=1e-6, rtol=1e-9)
    homogeneous = camera.matrix() @ np.append(point, 1.0)
    np.testing.assert_allclose(homogeneous[:2] / homogeneous[2], pixel, atol=1e-6, rtol=1e-9)


def test_axes_point_right_and_up():
    for camera in (ScaledOrthography(2.0, (10, 20)), Perspective(100.0, (10, 20))):
        middle, right, up = camera.project([[0, 0, -50], [1, 0, -50], [0, 1, -50]])
        np.testing.assert_allclose(middle, [10, 20])
        np.testing.assert_allclose(right, [12, 20])
        np.testing.assert_allclose(up, [10, 18])


def test_field_of_view():
    camera = Perspective.from_field_of_view(90.0, height=100, width=200)
    assert camera.focal_length == pytest.approx(100.0)
    assert camera.centre == (100.0, 50.0)
    assert camera.field_of_view(200) == pytest.approx(90.0)
    np.testing.assert_allclose(camera.project([-1.0, 0.0, -1.0]), [0.0, 50.0], atol=1e-9)


def test_pixel_centres_are_at_halves():
    centres = pixel_centres(2, 3)
    assert centres.shape == (2, 3, 2)
    np.testing.assert_allclose(centres[1, 2], [2.5, 1.5])


@pytest.mark.parametrize(
    "call",
    [
        lambda: ScaledOrthography(0.0),
        lambda: Perspective(-1.0, (0, 0)),
        lambda: Perspective(float("nan"), (0, 0)),
        lambda: Perspective.from_field_of_view(180.0, 10, 10),
        lambda: Perspective(10.0, (0, 0)).project([0.0, 0.0, 1.0]),
        lambda: Perspective(10.0, (0, 0)).unproject([0.0, 0.0], 0.0),
    ],
)
def test_impossible_cameras_and_points_are_refused(call):
    with pytest.raises(InputError):
        call()
