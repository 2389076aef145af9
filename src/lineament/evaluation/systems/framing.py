# SPDX-License-Identifier: Apache-2.0
"""Putting tight face pictures into the frame that networks expect, and taking their normals back out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.errors import InputError

Image = NDArray[np.uint8]
Normals = NDArray[np.float32]
Predictor = Callable[[Image], Sequence[Normals]]
"""From a crop [S, S, 3] uint8 RGB to normals [S, S, 3], one map per stage, initial stage first."""


@dataclass(frozen=True)
class Framing:
    """A picture set into the middle of a larger square, its border pixels repeated outwards."""

    padding: float
    """Margin above and below, as a share of the picture's longer side. Zero makes the longer side fill the
    square."""
    size: int = 256
    """Side of the square in pixels that the network sees."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.padding <= 2.0:
            raise InputError(f"padding must be between 0 and 2, got {self.padding}")
        if self.size < 16:
            raise InputError(f"the size of the square must be 16 pixels or more, got {self.size}")

    def place(self, height: int, width: int) -> tuple[int, int, int]:
        """The square's side and the picture's top and left corner in it, in pixels of the picture."""
        side = round(max(height, width) * (1.0 + 2.0 * self.padding))
        return side, (side - height) // 2, (side - width) // 2

    def apply(self, image: Image) -> Image:
        """[H, W, 3] to [size, size, 3]."""
        import cv2

        height, width = image.shape[:2]
        side, top, left = self.place(height, width)
        square = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_REPLICATE)
        shrinking = side > self.size
        scaled = cv2.resize(
            square, (self.size, self.size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
        )
        return np.asarray(scaled, dtype=np.uint8)

    def undo(self, normals: Normals, height: int, width: int) -> Normals:
        """Normals [size, size, 3] of the square to unit normals [H, W, 3] of the picture."""
        if normals.shape != (self.size, self.size, 3):
            raise InputError(f"the predictor gave normals {normals.shape} for a square of {self.size} pixels")
        cut = self.cut(normals, height, width)
        length = np.linalg.norm(cut, axis=2, keepdims=True)
        unit: Normals = cut / np.maximum(length, 1e-6)
        return unit

    def cut(self, square: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        """A map [size, size] or [size, size, C] of the square at the picture's pixels, [H, W] or [H, W, C]."""
        import cv2

        side, top, left = self.place(height, width)
        shrinking = side < self.size
        scaled = cv2.resize(
            np.ascontiguousarray(square, dtype=np.float32),
            (side, side),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )
        return np.asarray(scaled, dtype=np.float32)[top : top + height, left : left + width]


@dataclass(frozen=True)
class FramedPredictor:
    """A predictor of square crops made into one of photos: frame, predict, undo."""

    predict: Predictor
    framing: Framing

    def __call__(self, sample: Sample) -> list[Normals]:
        """Normals [H, W, 3] of each stage for a sample's photo."""
        height, width = sample.image.shape[:2]
        crop = self.framing.apply(sample.image)
        stages = [np.asarray(normals, dtype=np.float32) for normals in self.predict(crop)]
        return [self.framing.undo(normals, height, width) for normals in stages]
