# SPDX-License-Identifier: Apache-2.0
"""Reading a face whose box is known: landmarks, visibility, pose, and what each pixel shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.face.crop import Box, FaceCrop, crop_of_box, crop_of_landmarks
from lineament.face.face import Face, FaceReading, Pose
from lineament.runtime.faces import shipped_reader

_LOST = 0.15  # share of overlap with the box below which a reading is of something else


def read_crop(image: NDArray[Any], crop: FaceCrop) -> FaceReading:
    """Read a face in a square of a photo.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        crop: The square; the face should stand nearly upright in it and span about 0.4 to 0.9 of its side.
    """
    reader = shipped_reader()
    crop = crop.at(reader.size)
    read = reader.run(crop.extract(image))
    (cosine, _), (sine, _) = crop.turn
    # From the crop's camera frame (y up) to the photo's: a turn clockwise by the crop's roll.
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return FaceReading(
        landmarks=crop.to_photo(read.landmarks.astype(np.float64) * crop.size),
        visibility=read.visibility,
        pose=Pose.of_rotation(turn @ read.rotation),
        crop=crop,
        parse=read.parse,
    )


def read_face(image: NDArray[Any], face: Face) -> Face:
    """Read a face whose box is known.

    It is read twice: in the crop that the box gives, and in the canonical crop that the landmarks then give, so that
    the answer hardly depends on the box.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        face: The face; only its box, roll and score are used.

    Returns:
        The face with its reading, and with the landmarks' box. Where the reading wanders off, the box stays, and so
        does the crop that it gives.
    """
    return with_reading(face, *read_twice(image, face))


def read_twice(image: NDArray[Any], face: Face) -> tuple[FaceReading, FaceReading]:
    """The readings of a face in the crop of its box, and in the crop of the landmarks found there."""
    first = read_crop(image, crop_of_box(face.box, roll=face.roll))
    return first, read_crop(image, crop_of_landmarks(first.landmarks))


def with_reading(face: Face, first: FaceReading, second: FaceReading) -> Face:
    """A face with the second of its readings, or with the first where the second has wandered off."""
    box = box_of(second.landmarks)
    if overlap(box, face.box) < _LOST:
        return replace(face, reading=first)
    return replace(face, reading=second, box=box)


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


def hull_of(reading: FaceReading) -> NDArray[np.bool_]:
    """The landmarks' convex hull in the crop that was read, S×S."""
    import cv2

    hull = np.zeros(reading.parse.shape[:2], np.uint8)
    points = reading.crop.to_crop(reading.landmarks)
    cv2.fillConvexPoly(hull, cv2.convexHull(points.round().astype(np.int32)), 1)
    return hull > 0
