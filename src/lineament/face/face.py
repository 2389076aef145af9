# SPDX-License-Identifier: Apache-2.0
"""What is known of a face in a photo, and what anything that finds faces must give."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import Box, FaceCrop
from lineament.errors import UsageError


@dataclass(frozen=True)
class Pose:
    """How a head is turned, degrees: R = R_z(-roll) R_x(pitch) R_y(yaw) from the head's frame to the camera's."""

    yaw: float
    """Positive looks to the image's right."""
    pitch: float
    """Positive looks down."""
    roll: float
    """Positive leans clockwise as seen."""

    @property
    def rotation(self) -> NDArray[np.float64]:
        """The rotation [3, 3] from the head's frame to the camera's; `of_rotation` is its inverse."""
        from scipy.spatial.transform import Rotation

        return np.asarray(Rotation.from_euler("ZXY", [-self.roll, self.pitch, self.yaw], degrees=True).as_matrix())

    @classmethod
    def of_rotation(cls, rotation: NDArray[Any]) -> Pose:
        """The angles of a rotation [3, 3] from the head's frame (x to its left, y up, z out of the face)."""
        pitch = math.asin(float(np.clip(rotation[2, 1], -1.0, 1.0)))
        yaw = math.atan2(-float(rotation[2, 0]), float(rotation[2, 2]))
        roll = math.atan2(float(rotation[0, 1]), float(rotation[1, 1]))
        return cls(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))


@dataclass(frozen=True, eq=False)
class FaceParsing:
    """What the parser says of a face."""

    landmarks: NDArray[np.float64]
    """[68, 2] in the photo's pixels, iBUG order; x right and y down, pixel centres at integer + 0.5."""
    visibility: NDArray[np.float32]
    """[68] probabilities that a landmark is seen: neither on the head's far side, nor covered, nor cut off."""
    pose: Pose
    """In the photo."""
    crop: FaceCrop
    """The square that was read."""
    parse: NDArray[np.float32]
    """[S, S, 8] probabilities of `lineament.face.MaskClass` over that square."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo."""

    box: Box
    """x, y, width, height in the photo's pixels: the landmarks' bounding box, brows to chin and ear to ear."""
    score: float
    """Confidence, 0 to 1: of found boxes with this score, about this share are faces."""
    roll: float = 0.0
    """How far it leans, degrees clockwise as seen, as the detector saw it."""
    parsing: FaceParsing | None = None
    """Landmarks, pose and parse, where the face has been read."""

    @property
    def landmarks(self) -> NDArray[np.float64] | None:
        """[68, 2] in the photo's pixels, where the face has been read."""
        return None if self.parsing is None else self.parsing.landmarks

    @property
    def pose(self) -> Pose | None:
        """How the head is turned, where the face has been read."""
        return None if self.parsing is None else self.parsing.pose


class Detector(Protocol):
    """Anything that finds faces; `find` is one, and `Estimator.estimate` takes any other."""

    def __call__(self, image: NDArray[Any], /) -> Sequence[Face]:
        """Faces in a photo H×W×3 RGB, uint8 or float32 in [0, 1]; boxes brows to chin, ear to ear."""


def checked_faces(found: Any) -> list[Face]:
    """What a detector gave, known to be faces.

    Raises:
        UsageError: It is something else.
    """
    faces = list(found) if isinstance(found, Iterable) else [found]
    for face in faces:
        whole = isinstance(face, Face) and (face.parsing is None or isinstance(face.parsing, FaceParsing))
        if not whole or not isinstance(face.score, Real) or not math.isfinite(face.score):
            raise UsageError(f"a detector gives a list of lineament.face.Face with finite scores, not {found!r:.80}")
    return faces
