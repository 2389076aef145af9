# SPDX-License-Identifier: Apache-2.0
"""Showing what a detector found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import crop_of_box
from lineament.face.face import Face
from lineament.images.resize import at_most

_BOX, _CROP, _DARK, _HIDDEN = (80, 255, 120), (90, 180, 255), (0, 0, 0), (255, 70, 60)  # RGB


def draw_faces(photo: NDArray[Any], faces: Sequence[Face], longest_side: int = 1600) -> NDArray[np.uint8]:
    """The photo with each face's box, number and score, its landmarks, and the square that the networks would see.

    Args:
        photo: H×W×3 RGB, uint8 or float32 in [0, 1].
        faces: Faces in it; they are numbered in their order, from 1.
        longest_side: A larger photo is shown smaller, pixels.

    Returns:
        H×W×3 uint8: boxes and visible landmarks green, hidden landmarks red, squares blue.
    """
    import cv2

    picture = np.array(at_most(photo, longest_side), order="C")  # a copy: the photo stays as it is
    factor = max(picture.shape[:2]) / max(photo.shape[:2])
    line = max(1, round(max(picture.shape[:2]) / 400))
    for number, face in enumerate(faces, 1):
        crop = crop_of_box(face.box, roll=face.roll) if face.parsing is None else face.parsing.crop
        x, y, w, h = face.box
        box = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
        for corners, colour in ((crop.corners, _CROP), (box, _BOX)):
            shown = np.round(corners * factor).astype(np.int32)
            cv2.polylines(picture, [shown], True, colour, line, cv2.LINE_AA)
        if face.parsing is not None:
            marks = np.round(face.parsing.landmarks * factor).astype(int).tolist()
            for mark, seen in zip(marks, face.parsing.visibility > 0.5, strict=True):
                cv2.circle(picture, mark, line, _BOX if seen else _HIDDEN, -1, cv2.LINE_AA)
        at = (round(x * factor), max(8 * line, round(y * factor) - 4 * line))
        text, size = f"{number}  {face.score:.2f}", 0.4 * line
        for colour, thickness in ((_DARK, 3 * line), (_BOX, line)):
            cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA)
    return picture
