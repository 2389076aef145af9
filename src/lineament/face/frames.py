# SPDX-License-Identifier: Apache-2.0
"""The first frame of a photo or an animation in which there is a face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lineament.face.face import Detector, Face


@dataclass(frozen=True, eq=False)
class FramedFaces:
    """A frame, and the faces in it."""

    image: NDArray[Any]
    """H×W×3 RGB: the first frame with a face, or the last one where none has any."""
    faces: Sequence[Face]
    """As the detector gives them; none where no frame has any."""
    frame: int
    """Which frame it is, from 1."""


def first_faces(frames: Iterable[NDArray[Any]], detector: Detector) -> FramedFaces:
    """Search frames one by one (`lineament.images.read.read_frames`) until one has a face.

    Args:
        frames: H×W×3 RGB each, one at least.
        detector: What finds faces.
    """
    number = 0
    for image in frames:
        number += 1
        if faces := detector(image):
            break
    assert number > 0, "there is no frame"
    return FramedFaces(image, faces, number)
