# SPDX-License-Identifier: Apache-2.0
"""Smaller and plainer versions of photos."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_uint8(photo: NDArray[Any]) -> NDArray[np.uint8]:
    """A photo as uint8: itself, or floating point in [0, 1] rounded to it."""
    return photo if photo.dtype == np.uint8 else np.rint(photo * 255).astype(np.uint8)


def resized_square(square: NDArray[Any], side: int) -> NDArray[Any]:
    """A square picture or map with another number of pixels: averaged where there are fewer, else interpolated."""
    import cv2

    how = cv2.INTER_AREA if len(square) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side, side), interpolation=how), square.dtype)


def at_most(photo: NDArray[Any], longest_side: float) -> NDArray[np.uint8]:
    """A photo H×W×3 as uint8, averaged down where its longer side has more pixels than that."""
    import cv2

    height, width = photo.shape[:2]
    factor = longest_side / max(height, width)
    if factor < 1.0:
        shape = (max(1, round(width * factor)), max(1, round(height * factor)))
        photo = np.asarray(cv2.resize(photo, shape, interpolation=cv2.INTER_AREA))
    return to_uint8(photo)
