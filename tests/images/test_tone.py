# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lineament.images.tone import camera_tones, face_contrast

UNCHANGED = np.arange(256, dtype=np.uint8)


def two_tones(dark: int, light: int, side: int = 40) -> NDArray[np.uint8]:
    picture = np.full((side, side, 3), dark, np.uint8)
    picture[:, side // 2 :] = light
    return picture


def test_contrast_is_the_logarithm_of_light_over_dark() -> None:
    assert face_contrast(two_tones(90, 90)) == 0.0
    assert face_contrast(two_tones(50, 150)) == pytest.approx(np.log(3.0), abs=1e-5)
    assert face_contrast(two_tones(0, 255)) == pytest.approx(np.log(255.0), abs=1e-5)  # black is not minus infinity


def test_contrast_of_floating_point_pictures_is_the_same() -> None:
    picture = two_tones(0, 200)
    assert face_contrast(picture / np.float32(255.0)) == pytest.approx(face_contrast(picture), abs=1e-4)


def test_contrast_is_that_of_the_inner_face() -> None:
    picture = two_tones(100, 100)
    picture[:10], picture[:, :10] = 0, 255  # hair and background
    assert face_contrast(picture) == 0.0


@pytest.mark.parametrize("side", [1, 2, 7])
def test_the_smallest_crops_have_a_contrast(side: int) -> None:
    assert np.isfinite(face_contrast(two_tones(20, 200, side)))


def test_usual_contrast_is_left_alone() -> None:
    assert np.array_equal(camera_tones(0.0), UNCHANGED)
    assert np.array_equal(camera_tones(0.6), UNCHANGED)


def test_linear_light_of_a_usual_face_gets_its_curve_back() -> None:
    photo = two_tones(110, 200)  # a contrast of 0.6
    linear = np.rint(255.0 * (photo / 255.0) ** 2.2).astype(np.uint8)
    found = camera_tones(face_contrast(linear))[linear]
    assert np.abs(found.astype(int) - photo).max() <= 2


@given(st.floats(0.0, 10.0))
def test_tones_rise_and_are_never_darker(contrast: float) -> None:
    tones = camera_tones(contrast).astype(int)
    assert (np.diff(tones) >= 0).all()
    assert (tones >= UNCHANGED).all()
    assert (tones[0], tones[-1]) == (0, 255)
