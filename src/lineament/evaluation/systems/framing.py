# SPDX-License-Identifier: Apache-2.0
"""Photos that are cut to the face already: the square around them that a network is shown, in one resampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.errors import InputError
from lineament.evaluation.systems.settings import PADDING
from lineament.face.face import Face
from lineament.face.parse import parse_crop
from lineament.result.geometry import unit_normals


@dataclass(frozen=True)
class Framing:
    """The square in whose middle a picture lies, its border pixels repeated outwards.

    It is a detector (`lineament.face.Detector`) that searches for nothing: the picture is the face, upright, and the
    square is its crop.
    """

    padding: float = PADDING
    """Margin above and below, as a share of the picture's longer side. Zero makes the longer side fill the square."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.padding <= 2.0:
            raise InputError(f"padding must be between 0 and 2, got {self.padding}")

    def crop(self, height: int, width: int, size: int = 256) -> FaceCrop:
        """The square around a picture of these rows and columns, seen at ``size`` pixels."""
        side = max(height, width) * (1.0 + 2.0 * self.padding)
        return FaceCrop(0.5 * (width - side), 0.5 * (height - side), side, size)

    def __call__(self, image: NDArray[Any], /) -> list[Face]:
        """The one face of a picture [H, W, 3], read in the square."""
        height, width = image.shape[:2]
        parsing = parse_crop(image, self.crop(height, width))
        return [Face((0.0, 0.0, float(width), float(height)), 1.0, parsing=parsing)]

    def apply(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """[H, W, 3] to [size, size, 3]."""
        height, width = image.shape[:2]
        return self.crop(height, width, size).extract(image)

    def undo(self, normals: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """Normals [size, size, 3] of the square to unit normals [H, W, 3] of the picture."""
        return unit_normals(self.cut(normals, height, width))

    def cut(self, square: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A map [size, size] or [size, size, C] of the square at the picture's pixels, [H, W] or [H, W, C]."""
        return self.crop(height, width, len(square)).paste(square, height, width)
