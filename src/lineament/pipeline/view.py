# SPDX-License-Identifier: Apache-2.0
"""What a network is shown of a face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.images.resize import resized_square

CLOSER = 1.2
"""How much larger the second view shows the face: two sizes err less alike than one seen twice."""

MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)
"""Of normals."""


@dataclass(frozen=True)
class View:
    """What the network sees of a face: a square picture, and an exemplar in its frame, if any."""

    picture: NDArray[np.uint8]
    """S×S×3 RGB."""
    exemplar: NDArray[np.float32] | None = None
    """S×S×3 normals to refine, zero where there are none."""

    @classmethod
    def of_photo(cls, photo: NDArray[Any], crop: FaceCrop, exemplar: NDArray[np.float32] | None) -> View:
        """What a crop shows of a photo H×W×3, and of an exemplar H×W×3 in the photo's frame, if any."""
        return cls(crop.extract(photo), None if exemplar is None else crop.normals_from_photo(exemplar))

    def at(self, side: int) -> View:
        """The same with another number of pixels."""
        if len(self.picture) == side:
            return self
        return View(resized_square(self.picture, side), None if self.exemplar is None else resized(self.exemplar, side))

    def closer(self) -> View:
        """Its middle."""
        middle = middle_of(len(self.picture))
        exemplar = None if self.exemplar is None else np.ascontiguousarray(self.exemplar[middle])
        return View(np.ascontiguousarray(self.picture[middle]), exemplar)

    def mirrored(self) -> View:
        """Left and right exchanged."""
        exemplar = None if self.exemplar is None else self.exemplar[:, ::-1] * MIRROR
        return View(self.picture[:, ::-1], exemplar)


def middle_of(side: int) -> tuple[slice, slice]:
    """Rows and columns of a square that the closer view shows."""
    margin = round(0.5 * side * (1.0 - 1.0 / CLOSER))
    inside = slice(margin, side - margin)
    return inside, inside


def resized(crop_map: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square map with another number of pixels."""
    import cv2

    return np.asarray(cv2.resize(crop_map, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
