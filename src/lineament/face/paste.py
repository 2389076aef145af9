# SPDX-License-Identifier: Apache-2.0
"""A face's parse at the photo's own resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.face.face import FaceReading
from lineament.face.parse import FACE_CLASSES

_STRIP_ROWS = 256
_THREAD = 0.05  # share of the crop's side below which a connection is a thread


def paste_parse(reading: FaceReading, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What each pixel of the photo shows, and where the face is.

    Goes strip by strip, so that a large photo needs little memory.

    Args:
        reading: The face.
        height: The photo's rows.
        width: The photo's columns.

    Returns:
        H×W of `MaskClass`, other outside the crop; and H×W, the main connected piece of skin, eyes, mouth, brows and
        teeth.
    """
    crop, parse = reading.crop, np.zeros((height, width), np.uint8)
    mask = np.zeros((height, width), bool)
    x, y, w, h = crop.place(height, width)
    covered = crop.covers(height, width)
    piece = _main_piece(reading.parse[..., list(FACE_CLASSES)].sum(-1))
    for first in range(y, y + h, _STRIP_ROWS):
        rows = slice(first, min(first + _STRIP_ROWS, y + h))
        place, inside = (rows, slice(x, x + w)), covered[rows.start - y : rows.stop - y]
        shares = crop.paste(reading.parse, height, width, rows)
        parse[place] = shares.argmax(-1) * inside
        mask[place] = (crop.paste(piece, height, width, rows) > 0.5) & inside
    mask &= np.isin(parse, FACE_CLASSES)
    return parse, mask


def _main_piece(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face's probability S×S with everything set to zero that does not hang together with its main piece.

    Shreds between strands of hair and stray pixels of the background hang on threads, if at all: an opening cuts them.
    """
    import cv2

    side = max(3, round(_THREAD * len(probability)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx((probability > 0.5).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return probability
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    near = cv2.dilate((labels == largest).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    return np.asarray(probability * near, dtype=np.float32)
