# SPDX-License-Identifier: Apache-2.0
"""Showing what a finder found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.face.crop import crop_of_box
from lineament.face.find import Face
from lineament.images.scale import at_most

_BOX, _CROP, _DARK = (80, 255, 120), (90, 180, 255), (0, 0, 0)  # RGB


def draw_faces(photo: NDArray[Any], faces: Sequence[Face], longest_side: int = 1600) -> NDArray[np.uint8]:
    """The photo with each face's box, number and score, and the square that the networks would see.

    Args:
        photo: H×W×3 RGB, uint8 or float32 in [0, 1].
        faces: Faces in it; they are numbered in their order, from 1.
        longest_side: A larger photo is shown smaller, pixels.

    Returns:
        H×W×3 uint8.
    """
    import cv2

    picture = np.array(at_most(photo, longest_side), order="C")  # a copy: the photo stays as it is
    factor = max(picture.shape[:2]) / max(photo.shape[:2])
    line = max(1, round(max(picture.shape[:2]) / 400))
    for number, face in enumerate(faces, 1):
        crop = crop_of_box(face.box)
        _rectangle(picture, (crop.left, crop.top, crop.side, crop.side), factor, _CROP, line)
        _rectangle(picture, face.box, factor, _BOX, line)
        at = (round(face.box[0] * factor), max(8 * line, round(face.box[1] * factor) - 4 * line))
        text, size = f"{number}  {face.score:.2f}", 0.4 * line
        for colour, thickness in ((_DARK, 3 * line), (_BOX, line)):
            cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
    return picture


def _rectangle(
    picture: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    factor: float,
    colour: tuple[int, int, int],
    line: int,
) -> None:
    import cv2

    x, y, w, h = (v * factor for v in box)
    cv2.rectangle(picture, (round(x), round(y)), (round(x + w), round(y + h)), colour, line, cv2.LINE_AA)
