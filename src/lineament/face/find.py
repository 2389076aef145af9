# SPDX-License-Identifier: Apache-2.0
"""Finding upright, near-frontal faces with the LBP cascade that comes with scikit-image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineament.face.crop import Box
from lineament.images.scale import at_most

_PASSES = ((180, False), (224, True), (150, True), (270, False))
"""Searches in order: the longer side, pixels, at which the photo is searched, and whether it is mirrored."""

_SMALLEST = 24  # px, the cascade's own window
_SURE_VOTES = 4  # raw detections that every search so far must have shared in, to search no further

SMALLEST_SCORE = 0.65
"""Default score that a face needs: on portraits nearly all faces have it, on pictures without faces nothing has."""

_AGAINST_BEST = 0.8  # share of the best face's score that another one needs


@dataclass(frozen=True)
class Face:
    """A face in a photo."""

    box: Box
    """x, y, width, height in the photo's pixels: brows to chin, roughly."""
    score: float
    """Confidence from 0 to 1: how many searches, at how many scales, agree on it."""


class Detector(Protocol):
    """Anything that finds faces; `find` is one, and `Estimator.estimate` takes any other."""

    def __call__(self, image: NDArray[Any], /) -> Sequence[Face]:
        """Faces in a photo H×W×3 RGB, uint8 or float32 in [0, 1]; boxes brows to chin, ear to ear."""


def find(image: NDArray[Any], min_score: float = SMALLEST_SCORE) -> list[Face]:
    """Find faces.

    The photo is searched at several sizes, mirrored and not, until the answer is clear; a face is what keeps being
    found. The cascade sees frontal faces (to about 30° of yaw, 15° of roll) that take up more than a seventh of the
    photo's longer side.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        min_score: Score that a face needs, 0 to 1. Lower finds more faces, and more that are none.

    Returns:
        Faces from left to right.
    """
    grey = _grey(image)
    factor = max(image.shape[:2]) / max(grey.shape)  # photo pixels per pixel of ``grey``
    boxes, passes = np.zeros((0, 3)), np.zeros(0, int)
    groups: list[list[int]] = []
    for number, (side, mirrored) in enumerate(_PASSES):
        found = _detect(grey, side, mirrored) * factor
        boxes = np.concatenate([boxes, found])
        passes = np.concatenate([passes, np.full(len(found), number)])
        groups = _clusters(boxes)
        if groups and _settled([passes[members] for members in groups], number + 1):
            faces = [_face(boxes[groups[0]], 1.0 - 0.8 ** (2 * len(groups[0])))]
            break
    else:
        faces = [
            _face(boxes[members], len(set(passes[members])) / len(_PASSES) * (1.0 - 0.8 ** len(members)))
            for members in groups
        ]
    best = max((face.score for face in faces), default=0.0)
    faces = [face for face in faces if face.score >= max(min_score, _AGAINST_BEST * best)]
    return sorted(_apart(faces), key=lambda face: face.box[0] + 0.5 * face.box[2])


def largest(detector: Detector) -> Detector:
    """A detector that keeps the largest of the faces that ``detector`` finds."""

    def find_largest(image: NDArray[Any], /) -> list[Face]:
        return sorted(detector(image), key=lambda face: -face.box[2] * face.box[3])[:1]

    return find_largest


def _settled(groups: list[NDArray[np.int64]], searches: int) -> bool:
    """Whether the first group was found by every search so far, and nothing else comes near it."""
    first = groups[0]
    clear = len(first) >= _SURE_VOTES and len(set(first)) == searches
    return clear and all(2 * len(g) < len(first) and len(set(g)) < searches for g in groups[1:])


def _apart(faces: list[Face]) -> list[Face]:
    """The surest of faces whose boxes overlap."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        x, y, w, h = face.box
        if all(
            min(x + w, a + c) - max(x, a) < 0.3 * min(w, c) or min(y + h, b + d) - max(y, b) < 0.3 * min(h, d)
            for a, b, c, d in (other.box for other in kept)
        ):
            kept.append(face)
    return kept


def _face(boxes: NDArray[np.float64], score: float) -> Face:
    x, y, side = np.median(boxes, axis=0)
    return Face((float(x), float(y), float(side), float(side)), float(score))


def _grey(image: NDArray[Any]) -> NDArray[np.uint8]:
    """The photo in grey, no larger than twice what the finest search needs, with its contrast evened out."""
    import cv2

    grey = cv2.cvtColor(at_most(image, 2 * max(side for side, _ in _PASSES)), cv2.COLOR_RGB2GRAY)
    # A dark photo's faces have contrasts of a few grey levels, which the cascade's comparisons lose in noise.
    low, high = np.percentile(grey, (1, 99))
    stretched = (grey.astype(np.float32) - low) * (255.0 / max(high - low, 16.0))
    return np.asarray(stretched.clip(0, 255), dtype=np.uint8)


def _detect(grey: NDArray[np.uint8], side: int, mirrored: bool) -> NDArray[np.float64]:
    """Raw square boxes [N, 3] of x, y, side in pixels of ``grey``, searched at a size and perhaps mirrored."""
    import cv2

    factor = side / max(grey.shape)
    shape = (max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor)))
    small = cv2.resize(grey, shape, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    limit = min(small.shape)
    if limit <= _SMALLEST:
        return np.zeros((0, 3))
    found = _cascade().detect_multi_scale(
        img=np.ascontiguousarray(small[:, ::-1]) if mirrored else small,
        scale_factor=1.1,
        step_ratio=1.5,
        min_size=(_SMALLEST, _SMALLEST),
        max_size=(limit, limit),
        min_neighbor_number=1,
        intersection_score_threshold=0.999,  # every raw detection by itself: their number is the evidence
    )
    boxes = np.array([[f["c"], f["r"], f["width"]] for f in found], float).reshape(-1, 3)
    if mirrored:
        boxes[:, 0] = small.shape[1] - boxes[:, 0] - boxes[:, 2]
    return np.asarray(boxes / factor)


@lru_cache(maxsize=1)
def _cascade() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def _clusters(boxes: NDArray[np.float64]) -> list[list[int]]:
    """Groups of boxes around one place and of like size, the largest group first."""
    centre, side = boxes[:, :2] + 0.5 * boxes[:, 2:], boxes[:, 2]
    away = np.linalg.norm(centre[:, None] - centre[None], axis=-1)
    smaller = np.minimum(side[:, None], side[None])
    like = (away < 0.35 * smaller) & (np.maximum(side[:, None], side[None]) < 1.7 * smaller)
    left, groups = np.ones(len(boxes), bool), []
    while left.any():
        support = (like & left[None]).sum(1) * left
        members = np.flatnonzero(like[int(support.argmax())] & left)
        left[members] = False
        groups.append(members.tolist())
    return sorted(groups, key=len, reverse=True)
