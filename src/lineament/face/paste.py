# SPDX-License-Identifier: Apache-2.0
"""A face's parse at the photo's own resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.face.face import FaceReading
from lineament.face.parse import FACE_CLASSES

_FOREHEAD = 0.5  # height of the forehead over the brows, of the face below them
_MARGIN = 0.04  # share of the crop's side by which the face's region is widened: ears stand out of the landmarks
_SPECK = 0.001  # share of the crop's area below which a hole is a mistake
_PIECE = 0.03  # share of the largest piece's area from which another one is no shred
_SOFT = 0.006  # sigma of the blur that smoothes the outline, of the crop's side
_THREAD = 0.05  # share of the crop's side below which a connection is a thread


def paste_parse(reading: FaceReading, height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What each pixel of the photo shows, and where the face is.

    Args:
        reading: The face.
        height: The photo's rows.
        width: The photo's columns.

    Returns:
        H×W of `MaskClass`, other outside the crop; and H×W, the large pieces of skin, eyes, mouth, brows and teeth from
        the chin to the hairline.
    """
    crop, parse = reading.crop, np.zeros((height, width), np.uint8)
    mask = np.zeros((height, width), bool)
    top = crop.place(height, width)[1]
    covered = crop.covers(height, width)
    piece = _main_pieces(reading.parse[..., list(FACE_CLASSES)].sum(-1) * face_region(reading))
    for place in crop.strips(height, width):
        rows = place[0]
        inside = covered[rows.start - top : rows.stop - top]
        shares = crop.paste(reading.parse, height, width, rows)
        parse[place] = shares.argmax(-1) * inside
        mask[place] = (crop.paste(piece, height, width, rows) > 0.5) & inside
    return parse, mask


def face_region(reading: FaceReading) -> NDArray[np.bool_]:
    """Where the face can be in the crop, S×S: the landmarks' hull and the forehead above it, a little widened.

    Skin goes on below the chin, where collars and shadows are easily taken for it.
    """
    import cv2

    points = reading.crop.to_crop(reading.landmarks)
    brows, chin = points[17:27], points[8]
    forehead = brows - np.array([0.0, _FOREHEAD * (chin[1] - brows[:, 1].mean())])
    hull = cv2.convexHull(np.concatenate([points, forehead]).round().astype(np.int32))
    region = np.zeros(reading.parse.shape[:2], np.uint8)
    cv2.fillConvexPoly(region, hull, 1)
    side = round(2 * _MARGIN * len(region)) | 1
    return np.asarray(cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0)


def _main_pieces(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face's probability S×S with everything set to zero that does not hang together with its large pieces.

    Shreds between strands of hair and stray pixels of the background hang on threads, if at all: an opening cuts them.
    The frame of a pair of glasses parts the forehead and the eyes from the cheeks: these pieces are large.
    """
    import cv2

    side = max(3, round(_THREAD * len(probability)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx((probability > 0.5).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return probability
    areas = stats[1:, cv2.CC_STAT_AREA]
    pieces = 1 + np.flatnonzero(areas >= _PIECE * areas.max())
    near = cv2.dilate(np.isin(labels, pieces).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=2)
    kept = probability * near
    count, labels, stats, _ = cv2.connectedComponentsWithStats((kept <= 0.5).astype(np.uint8), connectivity=4)
    specks = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] < _SPECK * kept.size]
    kept[np.isin(labels, specks)] = 1.0
    return np.asarray(cv2.GaussianBlur(kept, (0, 0), _SOFT * len(kept)), dtype=np.float32)
