# SPDX-License-Identifier: Apache-2.0
"""The measure of blur, and the photo that ships."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data
from skimage.measure import blur_effect as reference

from lineament.images.sample import sample_photo
from lineament.images.sharpness import blur_effect


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_blur_is_measured_as_scikit_image_does(sigma: float) -> None:
    grey = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    seen = cv2.GaussianBlur(grey, (0, 0), sigma) if sigma else grey
    assert blur_effect(seen) == pytest.approx(reference(seen), abs=1e-9)
    assert blur_effect(seen.astype(np.float32) / 255) == pytest.approx(reference(seen), abs=1e-5)


def test_an_even_grey_is_all_blur() -> None:
    assert blur_effect(np.full((40, 50), 128, np.uint8)) == 1.0


def test_the_photo_that_ships_is_the_one_that_is_known() -> None:
    assert np.array_equal(sample_photo(), data.astronaut())
