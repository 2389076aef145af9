# SPDX-License-Identifier: Apache-2.0
"""Following faces from frame to frame: the parser alone is run where a face was, the detector where none is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop, crop_of_landmarks
from lineament.annotations.parsing import UNDER_GLASSES
from lineament.face.face import Face, FaceParsing, Pose
from lineament.face.parse import box_of, hull_of, overlap, parse_crop
from lineament.pipeline.video.fusion import NormalsFusion
from lineament.pipeline.video.smoothing import OneEuroFilter

PARSED_AT = 160
"""Side at which a followed face is parsed, pixels: two thirds of the time of the parser's own, as right."""

_LEAST_SEEN, _LEAST_FACE = 0.35, 0.5  # mean visibility of landmarks, and share of their hull that is face
_LEAST_OVERLAP = 0.3  # of the boxes of one face in two frames
# One Euro filters in faces (the box's longer side) and faces a second; the crop may lag, what is in it may not.
_LANDMARKS = (2.0, 12.0)
_CROP = (1.5, 8.0)
_TURN = (1.0, 4.0)  # of the rotation's entries

_THUMBNAIL, _SAMPLED = (32, 18), 90  # px, and how many rows or columns are looked at for it
_CUT = 0.16  # mean difference of two frames' thumbnails, of the range of grey
_CUT_OF_USUAL = 4.0  # and how many times as large as between the frames before


@dataclass
class Track:
    """One face through the frames in which it was followed."""

    number: int
    """Its identity in the clip."""
    face: Face
    """As last seen; landmarks and pose filtered."""
    rate: float
    """Frames a second."""
    size: int
    """Side of the crop that the networks see."""
    fusion: NormalsFusion
    crop: FaceCrop = field(init=False)
    """Steady: the canonical crop, filtered."""
    rotation: NDArray[np.float64] = field(init=False)
    """[3, 3] from the head's frame to the crop's camera frame, filtered."""
    _landmarks: OneEuroFilter = field(init=False)
    _square: OneEuroFilter = field(init=False)
    _turn: OneEuroFilter = field(init=False)

    def __post_init__(self) -> None:
        self._landmarks = OneEuroFilter(self.rate, *_LANDMARKS)
        self._square = OneEuroFilter(self.rate, *_CROP)
        self._turn = OneEuroFilter(self.rate, *_TURN)
        assert self.face.parsing is not None
        self._unit = max(self.face.box[2:])
        self._take(self.face.parsing)

    def follow(self, image: NDArray[Any]) -> bool:
        """Find the face in the next frame H×W×3, near where it should be; whether it is there."""
        parsing = self.parsed_in(image)
        if not _is_face(parsing) or overlap(box_of(parsing.landmarks), self.face.box) < _LEAST_OVERLAP:
            return False
        self._take(parsing)
        return True

    def parsed_in(self, image: NDArray[Any]) -> FaceParsing:
        """What is parsed in the next frame where the face should be."""
        parsing = self.face.parsing
        assert parsing is not None
        step = np.asarray(self._landmarks.speed) / self.rate * self._unit
        step = np.median(step, axis=0) if step.ndim else np.zeros(2)
        return parse_crop(image, crop_of_landmarks(parsing.landmarks + step), flip=False, size=PARSED_AT)

    def _take(self, parsing: FaceParsing) -> None:
        """Filter what was parsed, and keep it."""
        landmarks = self._unit * self._landmarks(parsing.landmarks / self._unit)
        self.crop = self._steady(crop_of_landmarks(landmarks, self.size))
        turn = self.crop.camera_turn
        self.rotation = _nearest_rotation(self._turn(turn.T @ parsing.pose.rotation))
        pose = Pose.of_rotation(turn @ self.rotation)
        shown = FaceParsing(landmarks, parsing.visibility, pose, parsing.crop, parsing.parse)
        self.face = Face(box_of(landmarks), self.face.score, self.crop.roll, shown)

    def _steady(self, crop: FaceCrop) -> FaceCrop:
        """A crop filtered: centre and side in faces, the roll as a direction."""
        unit, angle = self._unit, np.radians(crop.roll)
        values = np.array([*(np.array(crop.centre) / unit), crop.side / unit, np.cos(angle), np.sin(angle)])
        x, y, side, cosine, sine = self._square(values)
        roll, side = float(np.degrees(np.arctan2(sine, cosine))), float(side * unit)
        return FaceCrop(float(x * unit) - 0.5 * side, float(y * unit) - 0.5 * side, side, crop.size, roll)


class CutDetector:
    """Notices scene cuts: frames that differ from the last one far more than frames did before."""

    def __init__(self) -> None:
        self._last: NDArray[np.floating[Any]] | None = None
        self._usual = 0.0

    def __call__(self, image: NDArray[Any]) -> bool:
        """Whether a frame H×W×3 uint8 starts a new scene."""
        step = max(1, min(image.shape[:2]) // _SAMPLED)
        small = cv2.resize(np.ascontiguousarray(image[::step, ::step]), _THUMBNAIL, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        if self._last is None:
            self._last = grey
            return False
        difference = float(np.abs(grey - self._last).mean())
        self._last = grey
        cut = difference > max(_CUT, _CUT_OF_USUAL * self._usual)
        self._usual = 0.0 if cut else 0.9 * self._usual + 0.1 * difference
        return cut


def _is_face(parsing: FaceParsing) -> bool:
    """Whether what was parsed where a face should be is one."""
    hull = hull_of(parsing)
    face = np.isin(parsing.parse.argmax(-1), UNDER_GLASSES)
    share = float((face & hull).sum() / max(1, int(hull.sum())))
    return float(parsing.visibility.mean()) > _LEAST_SEEN and share > _LEAST_FACE


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation [3, 3] that is nearest to a matrix."""
    left, _, right = np.linalg.svd(matrix)
    sign = np.sign(np.linalg.det(left @ right))
    return np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)
