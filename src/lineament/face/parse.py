# SPDX-License-Identifier: Apache-2.0
"""Reading a face whose box is known: landmarks, visibility, pose, and what each pixel shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import Box, FaceCrop, crop_of_box, crop_of_landmarks
from lineament.annotations.landmarks import MIRROR
from lineament.annotations.parsing import MaskClass
from lineament.face.face import Face, FaceParsing, Pose
from lineament.models.parser.predictor import CropParsing, shipped_parser

_LOST = 0.15  # share of overlap with the box below which a parsing is of something else
_BROWS, _EYES = slice(17, 27), slice(36, 48)  # of the landmarks
_INNER_RIGHT, _INNER_LEFT = 39, 42  # the eyes' inner corners
_BRIDGE_WIDTH, _BRIDGE_HEIGHT = 0.7, 0.5  # of where glasses cross the nose, of the distance between those corners
_CROSSED = 0.3  # share of that width that they must cover
_ABOVE_EYES, _ABOVE_BROWS = (
    0.15,
    0.6,
)  # how far brows are from the eyes' middle, and reach, in distances of brows and eyes


Worth = Callable[[FaceParsing], bool]
"""By the plain parsing of a square: whether its mirror image is worth being parsed, too."""


def parse_crop(image: NDArray[Any], crop: FaceCrop, flip: bool | Worth = True, size: int | None = None) -> FaceParsing:
    """Read a face in a square of a photo.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        crop: The square; the face should stand nearly upright in it and span about 0.4 to 0.9 of its side.
        flip: Average with the parsing of the mirrored square: more accurate, and twice the time. Or what decides so.
        size: Side at which the square is seen, a multiple of 32; the parser's own by default.
    """
    parser = shipped_parser()
    crop = crop.at(size or parser.size)
    picture = crop.extract(image)
    plain = parser.run(picture[None])[0]
    parsing = _in_photo(plain, crop)
    if not (flip(parsing) if callable(flip) else flip):
        return parsing
    mirrored = parser.run(np.ascontiguousarray(picture[None, :, ::-1]))[0]
    return _in_photo(_averaged(plain, mirrored), crop)


def _in_photo(read: CropParsing, crop: FaceCrop) -> FaceParsing:
    """What the parser says of a crop, in the photo's frame."""
    points = read.landmarks.astype(np.float64) * crop.size
    return FaceParsing(
        landmarks=crop.to_photo(points),
        visibility=read.visibility,
        pose=Pose.of_rotation(crop.camera_turn @ _rotation(read.columns)),
        crop=crop,
        parse=glasses_with_a_bridge(brows_not_glasses(read.parse, points), points),
    )


def _averaged(plain: CropParsing, mirrored: CropParsing) -> CropParsing:
    """The mean of the parsing of a crop and of that of its mirror image."""
    landmarks = mirrored.landmarks[MIRROR]
    landmarks[:, 0] = 1.0 - landmarks[:, 0]
    return CropParsing(
        landmarks=0.5 * (plain.landmarks + landmarks),
        visibility=0.5 * (plain.visibility + mirrored.visibility[MIRROR]),
        # A mirrored rotation is M R M, M mirroring x.
        columns=0.5 * (plain.columns + mirrored.columns * np.array([1, -1, -1, -1, 1, 1], np.float32)),
        parse=0.5 * (plain.parse + mirrored.parse[:, ::-1]),
    )


def brows_not_glasses(parse: NDArray[np.float32], landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """A parse in which no brow is taken for glasses: frames reach down to the eyes, dark brows do not.

    Args:
        parse: S×S×8 probabilities, the face upright.
        landmarks: [68, 2] pixels of the parse.

    Returns:
        S×S×8; pieces of glasses that lie about the brows alone are brows.
    """
    import cv2

    parse = np.ascontiguousarray(parse)
    glasses, brows = int(MaskClass.GLASSES), int(MaskClass.BROWS)
    eyes, distance = landmarks[_EYES, 1].mean(), landmarks[_EYES, 1].mean() - landmarks[_BROWS, 1].mean()
    highest, lowest = landmarks[_BROWS, 1].min() - _ABOVE_BROWS * distance, eyes - _ABOVE_EYES * distance
    found = (parse.argmax(-1) == glasses).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    tops = stats[:, cv2.CC_STAT_TOP]
    bottoms = tops + stats[:, cv2.CC_STAT_HEIGHT]
    mistaken = [i for i in range(1, count) if tops[i] >= highest and bottoms[i] <= lowest]
    if not mistaken:
        return parse
    valid = np.isin(labels, mistaken)
    mended = parse.copy()
    mended[valid, brows] += parse[valid, glasses]
    mended[valid, glasses] = 0.0
    return mended


def glasses_with_a_bridge(parse: NDArray[np.float32], landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """A parse in which nothing is taken for glasses unless some of it lies over the nose, between the eyes.

    All glasses have a bridge there, shadows under brows and dark sockets do not.

    Args:
        parse: S×S×8 probabilities, the face upright.
        landmarks: [68, 2] pixels of the parse.

    Returns:
        S×S×8; glasses without a bridge are what is likeliest else.
    """
    glasses = int(MaskClass.GLASSES)
    found = parse.argmax(-1) == glasses
    right, left = landmarks[_INNER_RIGHT], landmarks[_INNER_LEFT]
    middle, gap = 0.5 * (right + left), float(np.linalg.norm(left - right))
    row, column = np.indices(found.shape) + 0.5
    between = (np.abs(column - middle[0]) < 0.5 * _BRIDGE_WIDTH * gap) & (
        np.abs(row - middle[1]) < _BRIDGE_HEIGHT * gap
    )
    columns_crossed = (found & between).any(axis=0).sum() / max(1.0, _BRIDGE_WIDTH * gap)
    if columns_crossed > _CROSSED or not found.any():
        return parse
    mended = parse.copy()
    mended[..., glasses] = 0.0
    return np.asarray(mended / np.maximum(mended.sum(-1, keepdims=True), np.float32(1e-6)), np.float32)


def _rotation(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rotation [3, 3] of six numbers (Zhou et al. 2019, "On the continuity of rotation")."""
    first = columns[:3] / max(1e-6, float(np.linalg.norm(columns[:3])))
    second = columns[3:] - first * float(first @ columns[3:])
    second = second / max(1e-6, float(np.linalg.norm(second)))
    return np.stack([first, second, np.cross(first, second)], axis=1)


def parse_face(image: NDArray[Any], face: Face) -> Face:
    """Read a face whose box is known.

    It is read twice: in the crop that the box gives, and in the canonical crop that the landmarks then give, so that
    the answer hardly depends on the box.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        face: The face; only its box, roll and score are used.

    Returns:
        The face with its parsing, and with the landmarks' box. Where the parsing wanders off, the box stays, and so
        does the crop that it gives.
    """
    first = parse_box(image, face)
    return with_parsing(face, first, parse_again(image, first))


def parse_box(image: NDArray[Any], face: Face) -> FaceParsing:
    """The first, quick parsing of a face, in the crop of its box."""
    return parse_crop(image, crop_of_box(face.box, roll=face.roll), flip=False)


def parse_again(image: NDArray[Any], first: FaceParsing, flip: bool | Worth = True) -> FaceParsing:
    """The second parsing, in the canonical crop of the landmarks that the first one gave."""
    return parse_crop(image, crop_of_landmarks(first.landmarks), flip)


def with_parsing(face: Face, first: FaceParsing, second: FaceParsing) -> Face:
    """A face with the second of its readings, or with the first where the second has wandered off."""
    box = box_of(second.landmarks)
    if overlap(box, face.box) < _LOST:
        return replace(face, parsing=first)
    return replace(face, parsing=second, box=box)


def box_of(landmarks: NDArray[np.float64]) -> Box:
    """The bounding box of landmarks [68, 2]."""
    (x, y), (width, height) = landmarks.min(0), np.ptp(landmarks, axis=0)
    return float(x), float(y), float(width), float(height)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    across = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    both = across * down
    return both / max(1e-9, a[2] * a[3] + b[2] * b[3] - both)


def hull_of(parsing: FaceParsing) -> NDArray[np.bool_]:
    """The landmarks' convex hull in the crop that was read, S×S."""
    import cv2

    hull = np.zeros(parsing.parse.shape[:2], np.uint8)
    points = parsing.crop.to_crop(parsing.landmarks)
    cv2.fillConvexPoly(hull, cv2.convexHull(points.round().astype(np.int32)), 1)
    return hull > 0
