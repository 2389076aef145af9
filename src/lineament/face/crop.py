# SPDX-License-Identifier: Apache-2.0
"""The canonical crop of a face, its exact inverse, and pasting maps back into the photo.

In a canonical crop the bounding box of the 68 landmarks (brows to chin, ear to ear) is centred and its longer side
spans `SPAN` of the crop's side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError
from lineament.images.scale import to_uint8

SPAN = 0.62
"""Share of the crop's side that the landmarks' bounding box spans."""

Box = tuple[float, float, float, float]
"""x, y, width, height in the photo's pixels."""


@dataclass(frozen=True)
class FaceCrop:
    """A square of a photo, upright, seen at ``size`` pixels.

    Crop pixel (u, v) shows photo position (left + u · side / size, top + v · side / size), where positions count from
    the pictures' corners and pixel centres lie at integer + 0.5.
    """

    left: float
    top: float
    side: float
    size: int = 256

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel."""
        return self.size / self.side

    def to_photo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Crop positions [..., 2] as photo positions."""
        return np.asarray(points / self.scale + np.array([self.left, self.top]))

    def to_crop(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Photo positions [..., 2] as crop positions."""
        return np.asarray((points - np.array([self.left, self.top])) * self.scale)

    def extract(self, photo: NDArray[Any]) -> NDArray[np.uint8]:
        """The crop's pixels; what lies outside the photo repeats its border.

        Args:
            photo: H×W×3 or H×W, uint8 or float32 in [0, 1].

        Returns:
            size×size×3 or size×size uint8.
        """
        import cv2

        height, width = photo.shape[:2]
        # Only the neighbourhood is touched, and it is shrunk by averaging first, so that nothing aliases.
        x0, x1 = _clamped(self.left, self.left + self.side, width)
        y0, y1 = _clamped(self.top, self.top + self.side, height)
        part = photo[y0:y1, x0:x1]
        if part.dtype != np.uint8:
            part = to_uint8(part)
        factor = max(1, int(self.side / self.size))
        shrunk = part
        if factor > 1:
            shape = (max(1, round(part.shape[1] / factor)), max(1, round(part.shape[0] / factor)))
            shrunk = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
        sx, sy = part.shape[1] / shrunk.shape[1], part.shape[0] / shrunk.shape[0]
        step = self.side / self.size
        # From crop pixel centres to the shrunk part's pixel centres.
        matrix = np.array(
            [
                [step / sx, 0.0, (self.left + 0.5 * step - x0) / sx - 0.5],
                [0.0, step / sy, (self.top + 0.5 * step - y0) / sy - 0.5],
            ]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(
            np.ascontiguousarray(shrunk),
            matrix,
            (self.size, self.size),
            flags=flags,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(crop, dtype=np.uint8)

    def place(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Where the crop lies in a photo of these rows and columns: x, y, w, h in whole pixels.

        Raises:
            UsageError: Nowhere.
        """
        x0, y0 = max(0, int(np.floor(self.left))), max(0, int(np.floor(self.top)))
        x1 = min(width, int(np.ceil(self.left + self.side)))
        y1 = min(height, int(np.ceil(self.top + self.side)))
        if x1 <= x0 or y1 <= y0:
            raise UsageError(f"the face's box at ({self.left:.0f}, {self.top:.0f}) lies outside the photo")
        return x0, y0, x1 - x0, y1 - y0

    def paste(
        self, crop_map: NDArray[np.float32], height: int, width: int, rows: slice | None = None
    ) -> NDArray[np.float32]:
        """A map of the crop at the photo's own resolution.

        Args:
            crop_map: size×size or size×size×C.
            height: The photo's rows.
            width: The photo's columns.
            rows: Which of the photo's rows, within `place`; all of them by default.

        Returns:
            The part of the map that lies in the photo, h×w or h×w×C; `place` says where.

        Raises:
            UsageError: No part does.
        """
        import cv2

        x0, y0, w, h = self.place(height, width)
        if rows is not None:
            y0, h = rows.start, rows.stop - rows.start
        source, step = crop_map, self.scale
        flags = (cv2.INTER_CUBIC if step < 1 else cv2.INTER_AREA) | cv2.WARP_INVERSE_MAP
        if step > 1.5:  # the photo is smaller than the crop: average before sampling
            side = max(1, round(self.size / step))
            source = np.asarray(cv2.resize(crop_map, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
            step *= side / self.size
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        matrix = np.array(
            [
                [step, 0.0, (x0 + 0.5 - self.left) * step - 0.5],
                [0.0, step, (y0 + 0.5 - self.top) * step - 0.5],
            ]
        )
        pasted = cv2.warpAffine(source, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(pasted, dtype=np.float32)


def _clamped(low: float, high: float, length: int) -> tuple[int, int]:
    """A pixel range that covers [low, high] where it lies in a picture; at least one pixel."""
    first = min(max(0, int(np.floor(low)) - 1), length - 1)
    last = max(min(length, int(np.ceil(high)) + 1), first + 1)
    return first, last


# The cascade's box against the landmarks' on the portraits it was measured on: it is centred a little above the
# landmarks' centre, and its side is somewhat shorter than brows to chin.
_LANDMARKS_PER_BOX = 0.98
_CENTRE_BELOW_BOX = 0.07


def crop_of_box(box: Box, size: int = 256) -> FaceCrop:
    """The canonical crop of a face whose box `lineament.face.find` gave."""
    x, y, width, height = box
    box_side = 0.5 * (width + height)
    side = box_side * _LANDMARKS_PER_BOX / SPAN
    centre = (x + 0.5 * width, y + (0.5 + _CENTRE_BELOW_BOX) * height)
    return FaceCrop(centre[0] - 0.5 * side, centre[1] - 0.5 * side, side, size)


def crop_of_whole(height: int, width: int, size: int = 256) -> FaceCrop:
    """The crop of a picture that is one face crop already: the smallest square around it."""
    side = float(max(height, width))
    return FaceCrop(0.5 * (width - side), 0.5 * (height - side), side, size)
