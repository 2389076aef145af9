# SPDX-License-Identifier: Apache-2.0
"""Where in a photo a face is: one region without holes, from the chin to the hairline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.annotations.parsing import UNDER_GLASSES
from lineament.face.face import FaceParsing
from lineament.face.paste import FaceRegion

_FOREHEAD = 0.53  # height of the forehead over the brows, of the face below them
_FULL = 0.7  # exponent of the forehead's arch: 1 is an ellipse, less is fuller at the temples
_ARCH = 15  # points of it
_MARGIN = 0.04  # share of the crop's side by which the face's region is widened
_EAR = 0.2  # how far ears stand out of the landmarks, of the face's width
_SOFT = 0.008  # sigma of the blur that smooths the outline, of the crop's side
_THREAD = 0.05  # share of the crop's side below which a connection is a thread


def region_of(parsing: FaceParsing, crop: FaceCrop, height: int, width: int, ears: bool = False) -> FaceRegion:
    """What each pixel around a face shows, and where the face is.

    Args:
        parsing: The face.
        crop: The square that was read, seen at any size.
        height: The photo's rows.
        width: The photo's columns.
        ears: Whether ears belong to the face.
    """
    read = parsing.crop
    covered = read.covers(height, width)
    top = read.place(height, width)[1]
    parse, mask = np.zeros(covered.shape, np.uint8), np.zeros(covered.shape, bool)
    piece = face_share(parsing, height, width, ears)
    for rows, _ in read.strips(height, width):
        here = slice(rows.start - top, rows.stop - top)
        shares = read.paste(parsing.parse, height, width, rows)
        parse[here] = shares.argmax(-1) * covered[here]
        mask[here] = (read.paste(piece, height, width, rows) > 0.5) & covered[here]
    return FaceRegion(crop, height, width, parse, mask, piece)


def face_share(parsing: FaceParsing, height: int, width: int, ears: bool = False) -> NDArray[np.float32]:
    """How much of each pixel of a parsed crop is face, S×S from 0 to 1; 0 outside the photo.

    The face goes on under glasses, which the parse tells apart.
    """
    seen = in_photo(parsing.crop, height, width)
    return one_piece(parsing.parse[..., list(UNDER_GLASSES)].sum(-1) * possible_region(parsing, ears) * seen) * seen


def possible_region(parsing: FaceParsing, ears: bool = False) -> NDArray[np.bool_]:
    """Where the face can be in the crop, S×S: the landmarks' hull under the arch of a forehead, a little widened.

    Skin goes on below the chin, where collars and shadows are easily taken for it, and over bald heads.
    """
    import cv2

    size = len(parsing.parse)
    points = parsing.crop.to_crop(parsing.landmarks)
    brows, chin = points[17:27].mean(0), points[8]
    room = max(0.0, float(brows[1]) - (_MARGIN * size + 1.0))  # the arch ends within the crop
    high = min(_FOREHEAD * float(chin[1] - brows[1]), room)
    angle = np.linspace(0.0, np.pi, _ARCH)
    temple = 0.5 * (points[16] - points[0])
    along = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** _FULL
    middle = 0.5 * (points[0] + points[16])
    base = np.array([middle[0], brows[1]])
    # The arch leans towards where the brows are, as foreheads of turned heads do.
    arch = base + along[:, None] * temple + np.sin(angle)[:, None] ** _FULL * np.array([brows[0] - base[0], -high])
    outline = [points, arch]
    if ears:
        outline += [end + sign * 2.0 * _EAR * temple for end, sign in ((points[16:17], 1.0), (points[0:1], -1.0))]
        outline += [end + sign * 2.0 * _EAR * temple for end, sign in ((points[14:15], 1.0), (points[2:3], -1.0))]
    region = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(region, cv2.convexHull(np.concatenate(outline).round().astype(np.int32)), 1)
    side = round(2 * _MARGIN * size) | 1
    return np.asarray(cv2.dilate(region, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0)


def in_photo(crop: FaceCrop, height: int, width: int) -> NDArray[np.bool_]:
    """Which of a crop's pixels show the photo, S×S; the others repeat its border."""
    line = np.arange(crop.size) + 0.5
    x, y = np.moveaxis(crop.to_photo(np.stack(np.meshgrid(line, line), axis=-1)), -1, 0)
    return np.asarray((x >= 0) & (x <= width) & (y >= 0) & (y <= height))


def one_piece(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest piece of a probable face S×S, without threads and holes, its outline smooth; values from 0 to 1."""
    import cv2

    side = max(3, round(_THREAD * len(probability)) | 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    opened = cv2.morphologyEx((probability > 0.5).astype(np.uint8), cv2.MORPH_OPEN, disc)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros_like(probability)
    largest = (labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    near = cv2.dilate(largest, np.ones((3, 3), np.uint8), iterations=2)
    kept = probability * near
    # What the outside cannot reach is a hole: a strand of hair, a shadow, the frame of glasses.
    outside = np.pad((kept <= 0.5).astype(np.uint8), 1, constant_values=1)
    _, holes = cv2.connectedComponents(outside, connectivity=4)
    kept[(outside > 0)[1:-1, 1:-1] & (holes != holes[0, 0])[1:-1, 1:-1]] = 1.0
    return np.asarray(cv2.GaussianBlur(kept, (0, 0), _SOFT * len(kept)), dtype=np.float32)
