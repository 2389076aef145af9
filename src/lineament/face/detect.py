# SPDX-License-Identifier: Apache-2.0
"""Finding faces: a small network on an image pyramid."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import Box
from lineament.face.face import Detector, Face, FaceParsing
from lineament.face.parse import parse_again, parse_box, with_parsing
from lineament.face.score import best_score, evidence_of, score_of, seen_again
from lineament.images.resize import at_most
from lineament.models.detector.predictor import shipped_detector
from lineament.options import check_number

_CELL = 8  # px, the network's stride
_REFERENCE = 36.0  # px, its box of log size zero
_SEEN = (15.0, 84.0)  # px, longer sides of boxes that it is trusted with at one level of the pyramid
_SEARCHED = 1024  # px, the longer side at which a photo is searched unless the caller asks for smaller faces
_SMALLEST = 24.0  # px, of a face there
_LEAST_SIDE = 32  # px, of a level
_TILE, _AROUND = 1024, 128  # px, what the network is shown at once, and what of its surroundings it sees besides

_CANDIDATE = 0.1  # raw score below which nothing is looked at
WORTH_READING = 0.55  # raw score from which a candidate is read, which decides
_UNSURE = 0.03  # how far the mirrored view can lift a score
_SAME = 0.35  # overlap of boxes that are one face
_INSIDE = 0.65  # share of the smaller of two boxes in the other from which they are one face

SMALLEST_SCORE = 0.95
"""Default score that a face needs: more likely a face than not."""
SMALLEST_SIZES = "[1, 1000000000]"
"""The interval of sizes of the smallest face that can be searched for, pixels."""


def detect_faces(
    image: NDArray[Any],
    min_score: float = SMALLEST_SCORE,
    smallest: float | None = None,
    any_rotation: bool = False,
) -> list[Face]:
    """Find faces, and read their landmarks and pose.

    Faces are found at any size from ``smallest`` to the whole frame, turned to the side by up to about 75°, leaning by
    up to about 45°.

    Args:
        image: H×W×3 RGB, uint8 or float32 in [0, 1].
        min_score: Score that a face needs, 0 to 1. Lower finds more faces, and more that are none.
        smallest: Longer side in pixels of the smallest face that is searched for; by default 24 pixels, or 1/43 of the
            photo's longer side where that is more. A smaller one takes more time, by its square.
        any_rotation: Search for faces that lie on their side or upside down, too; four times the time.

    Returns:
        Faces from left to right.

    Raises:
        UsageError: A score or a smallest size that makes no sense.
    """
    check_number("min_score", min_score, "[0, 1]")
    candidates = detect_boxes(image, WORTH_READING, smallest, any_rotation)
    faces = [face for face in (parsed_face(image, face, min_score) for face in candidates) if face is not None]
    return sorted(_apart(faces), key=lambda face: face.box[0] + 0.5 * face.box[2])


def parsed_face(image: NDArray[Any], candidate: Face, min_score: float = SMALLEST_SCORE) -> Face | None:
    """A candidate with its parsing and its calibrated score; None for one whose score is too low.

    What costs little decides first: most of what is no face is not parsed twice.
    """
    again = seen_again(image, candidate)
    if best_score(again) < min_score:
        return None
    first = parse_box(image, candidate)
    if score_of(evidence_of(candidate, again, first)) < min_score:
        return None

    def score(second: FaceParsing) -> float:
        return score_of(evidence_of(candidate, again, first, second))

    second = parse_again(image, first, flip=lambda plain: score(plain) >= min_score - _UNSURE)
    if score(second) < min_score:
        return None
    return replace(with_parsing(candidate, first, second), score=score(second))


def detect_boxes(
    image: NDArray[Any],
    min_score: float = WORTH_READING,
    smallest: float | None = None,
    any_rotation: bool = False,
) -> list[Face]:
    """Find faces without reading them, the surest first; as `find`, but scores are the network's own."""
    if smallest is not None:
        check_number("smallest", smallest, SMALLEST_SIZES)
    wanted = _SEARCHED if smallest is None else max(image.shape[:2]) * min(1.0, _SMALLEST / smallest)
    small = at_most(image, max(wanted, _LEAST_SIDE))
    factor = max(image.shape[:2]) / max(small.shape[:2])
    found = []
    for turns in range(4 if any_rotation else 1):
        turned = np.ascontiguousarray(np.rot90(small, turns))
        found += [_turned_back(face, turns, turned.shape[1], turned.shape[0]) for face in _search(turned)]
    faces = [_scaled(face, factor) for face in _merged(found)]
    return [face for face in faces if face.score >= min_score]


def largest(detector: Detector) -> Detector:
    """A detector that keeps the largest of the faces that ``detector`` finds."""

    def detect_largest(image: NDArray[Any], /) -> list[Face]:
        return sorted(detector(image), key=lambda face: -face.box[2] * face.box[3])[:1]

    return detect_largest


def _search(picture: NDArray[np.uint8]) -> list[Face]:
    """All candidates in a picture and its smaller versions."""
    import cv2

    candidates: list[Face] = []
    factor = 1.0
    while True:
        candidates += [_scaled(face, factor) for face in _at_level(picture)]
        height, width = picture.shape[:2]
        if max(height, width) < 2 * _LEAST_SIDE:
            return candidates
        half = (max(1, round(width / 2)), max(1, round(height / 2)))
        picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        factor *= width / half[0]


def _at_level(picture: NDArray[np.uint8]) -> list[Face]:
    """Candidates of the size that the network sees, in a picture as it is."""
    height, width = picture.shape[:2]
    faces = []
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            above, before = max(0, top - _AROUND), max(0, left - _AROUND)
            tile = picture[above : top + _TILE + _AROUND, before : left + _TILE + _AROUND]
            for face in _in_tile(np.ascontiguousarray(tile)):
                (x, y, w, h) = face.box
                x, y = x + before, y + above
                across, down = x + 0.5 * w, y + 0.5 * h
                if left <= across < min(left + _TILE, width) and top <= down < min(top + _TILE, height):
                    faces.append(replace(face, box=(x, y, w, h)))
    return faces


def _in_tile(picture: NDArray[np.uint8]) -> list[Face]:
    """Candidates in a picture that the network can see at once."""
    import cv2

    height, width = picture.shape[:2]
    below, right = -height % 32, -width % 32
    padded = np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE), dtype=np.uint8)
    cells = shipped_detector().run(padded[None])[0]
    logit = cells[0]
    peak = logit >= cv2.dilate(logit, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(peak & (logit > math.log(_CANDIDATE / (1.0 - _CANDIDATE))))
    faces = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        score, dx, dy, log_width, log_height, cosine, sine = cells[:, row, column].tolist()
        w, h = _REFERENCE * math.exp(min(log_width, 4.0)), _REFERENCE * math.exp(min(log_height, 4.0))
        if not _SEEN[0] <= max(w, h) <= _SEEN[1]:
            continue
        x, y = _CELL * (column + 0.5 + dx) - 0.5 * w, _CELL * (row + 0.5 + dy) - 0.5 * h
        roll = math.degrees(math.atan2(sine, cosine))
        faces.append(Face((x, y, w, h), 1.0 / (1.0 + math.exp(-score)), roll))
    return faces


def _merged(candidates: list[Face]) -> list[Face]:
    """One face for candidates that overlap: the mean box, weighted by score, and the best score."""
    left = sorted(candidates, key=lambda face: -face.score)
    faces = []
    while left:
        best, boxes = left[0], np.array([face.box for face in left])
        shared, union, smaller = _areas(best.box, boxes)
        one = (shared > _SAME * union) | (shared > _INSIDE * smaller)
        close = shared > 0.5 * union
        alike = [face for face, here in zip(left, close, strict=True) if here and abs(face.roll - best.roll) < 60.0]
        left = [face for face, here in zip(left, one, strict=True) if not here]
        weights = np.array([face.score**2 for face in alike])
        box = np.average([face.box for face in alike], axis=0, weights=weights)
        roll = float(np.average([face.roll for face in alike], weights=weights))
        x, y, w, h = (float(v) for v in box)
        faces.append(Face((x, y, w, h), best.score, roll))
    return faces


def _apart(faces: list[Face]) -> list[Face]:
    """The surest of faces whose boxes, once read, are one."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_one_face(other.box, face.box) for other in kept):
            kept.append(face)
    return kept


def _one_face(a: Box, b: Box) -> bool:
    """Whether two boxes are of one face: they overlap, or one lies mostly in the other."""
    (shared,), (union,), (smaller,) = _areas(a, np.array([b]))
    return bool(shared > _SAME * union or shared > _INSIDE * smaller)


def _areas(box: Box, others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a box and each of others [N, 4]: the area that they share, that of their union, the smaller one's; [3, N]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(np.add(box[:2], box[2:]), others[:, :2] + others[:, 2:])
    shared = np.prod((high - low).clip(0.0), axis=1)
    own, other = box[2] * box[3], others[:, 2] * others[:, 3]
    return np.stack([shared, own + other - shared, np.minimum(own, other)])


def _scaled(face: Face, factor: float) -> Face:
    x, y, w, h = (factor * v for v in face.box)
    return Face((x, y, w, h), face.score, face.roll)


def _turned_back(face: Face, turns: int, width: int, height: int) -> Face:
    """A face of a picture that was turned counter-clockwise by quarter turns, in the picture before."""
    (x, y, w, h), roll = face.box, face.roll
    for _ in range(turns):  # one quarter turn clockwise each
        x, y, w, h, roll = height - y - h, x, h, w, roll + 90.0
        width, height = height, width
    return Face((x, y, w, h), face.score, (roll + 180.0) % 360.0 - 180.0)
