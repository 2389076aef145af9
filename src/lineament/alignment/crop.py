# SPDX-License-Identifier: Apache-2.0
"""The canonical crop of a face, its exact inverse, and pasting maps back into the photo.

In a canonical crop the face stands upright, the bounding box of its 68 landmarks (brows to chin, ear to ear) has its
longer side span `SPAN` of the crop's side, and its centre lies in the middle, `LIFT` of the side below the crop's: so
foreheads, bald ones too, are in the crop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.errors import UsageError
from lineament.images.resize import to_uint8

SPAN = 0.55
"""Share of the crop's side that the landmarks' bounding box spans."""

LIFT = 0.07
"""Share of the crop's side that the crop's centre lies above the landmarks' box's."""

STRIP_ROWS = 256
"""Rows of a photo that are worked on at a time."""

_CHANNELS = 4  # that OpenCV warps at once

Box = tuple[float, float, float, float]
"""x, y, width, height in the photo's pixels."""

Points = NDArray[np.float64]

# The iBUG order: the line from the mouth and chin to the eyes and brows is a face's upward direction.
_UPPER, _LOWER = slice(17, 27), slice(48, 68)
_EYES, _CHIN = slice(36, 48), slice(6, 11)


@dataclass(frozen=True)
class FaceCrop:
    """A square of a photo, turned about its centre, seen at ``size`` pixels.

    Before it is turned the square has its upper left corner at (left, top). Crop pixel (u, v) shows the photo's
    position c + R (u · side / size - side / 2, v · side / size - side / 2), where c is the square's centre and R turns
    by ``roll`` degrees clockwise as seen. Positions count from the pictures' corners, x right and y down; pixel
    centres lie at integer + 0.5.
    """

    left: float
    top: float
    side: float
    size: int = 256
    roll: float = 0.0

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel."""
        return self.size / self.side

    @property
    def centre(self) -> tuple[float, float]:
        """The square's centre in the photo, x and y."""
        return self.left + 0.5 * self.side, self.top + 0.5 * self.side

    @property
    def turn(self) -> Points:
        """Directions in the crop to directions in the photo, 2×2, x right and y down."""
        cosine, sine = math.cos(math.radians(self.roll)), math.sin(math.radians(self.roll))
        return np.array([[cosine, -sine], [sine, cosine]])

    @property
    def camera_turn(self) -> Points:
        """Directions in the crop's camera frame to directions in the photo's, 3×3, y up: a turn clockwise."""
        (cosine, _), (sine, _) = self.turn
        return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])

    def at(self, size: int) -> FaceCrop:
        """The same square seen at another number of pixels."""
        return FaceCrop(self.left, self.top, self.side, size, self.roll)

    def closer(self, factor: float) -> FaceCrop:
        """The middle of the square, a share 1 / factor of its side, seen at as many pixels."""
        margin = 0.5 * self.side * (1.0 - 1.0 / factor)
        return FaceCrop(self.left + margin, self.top + margin, self.side / factor, self.size, self.roll)

    def to_photo(self, points: Points) -> Points:
        """Crop positions [..., 2] as photo positions."""
        return np.asarray((points / self.scale - 0.5 * self.side) @ self.turn.T + np.array(self.centre))

    def to_crop(self, points: Points) -> Points:
        """Photo positions [..., 2] as crop positions."""
        return np.asarray(((points - np.array(self.centre)) @ self.turn + 0.5 * self.side) * self.scale)

    def normals_to_photo(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normals H×W×3 of the crop's frame in the photo's camera frame (x right, y up, z towards the viewer)."""
        if self.roll == 0.0:
            return normals
        (cosine, _), (sine, _) = self.turn
        x, y, z = np.moveaxis(normals, -1, 0)
        return np.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1).astype(np.float32)

    def normals_to_crop(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normals H×W×3 of the photo's camera frame in the crop's: the inverse of `normals_to_photo`."""
        return replace(self, roll=-self.roll).normals_to_photo(normals)

    def normals_from_photo(self, normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """The photo's normals H×W×3 (camera frame, zero where there are none) as the crop sees them, in its own frame.

        Returns:
            size×size×3 unit normals, zero where there are none and outside the photo; exact to 8 bits a channel.
        """
        # As colours, so that they are resampled as the photo is; mid grey, a normal of length zero, fills the gaps.
        colours = np.rint((0.5 * normals + 0.5).clip(0.0, 1.0) * 255).astype(np.uint8)
        framed = np.pad(colours, ((1, 1), (1, 1), (0, 0)), constant_values=128)
        moved = replace(self, left=self.left + 1.0, top=self.top + 1.0).extract(framed)
        vectors = moved.astype(np.float32) * np.float32(2.0 / 255) - np.float32(1)
        length = np.linalg.norm(vectors, axis=-1, keepdims=True)
        unit = np.where(length > 0.5, vectors / np.maximum(length, 1e-6), 0.0).astype(np.float32)
        return self.normals_to_crop(unit)

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
        corners = self.corners
        x0, x1 = _clamped(corners[:, 0].min(), corners[:, 0].max(), width)
        y0, y1 = _clamped(corners[:, 1].min(), corners[:, 1].max(), height)
        part = photo[y0:y1, x0:x1]
        if part.dtype != np.uint8:
            part = to_uint8(part)
        factor = self.side / self.size
        shrunk = part
        if factor > 1.0:
            shape = (max(1, round(part.shape[1] / factor)), max(1, round(part.shape[0] / factor)))
            shrunk = cv2.resize(part, shape, interpolation=cv2.INTER_AREA)
        zoom = np.array([shrunk.shape[1] / part.shape[1], shrunk.shape[0] / part.shape[0]])
        # From crop pixel centres to the shrunk part's pixel centres.
        linear = self.turn / self.scale * zoom[:, None]
        start = (self.to_photo(np.array([0.5, 0.5])) - np.array([x0, y0])) * zoom - 0.5
        crop = cv2.warpAffine(
            np.ascontiguousarray(shrunk),
            np.column_stack([linear, start]),
            (self.size, self.size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(crop, dtype=np.uint8)

    def place(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The rectangle around the crop in a photo of these rows and columns: x, y, w, h in whole pixels.

        Raises:
            UsageError: It lies outside.
        """
        corners = self.corners
        x0, y0 = (max(0, int(np.floor(v))) for v in corners.min(0))
        x1, y1 = (min(limit, int(np.ceil(v))) for limit, v in zip((width, height), corners.max(0), strict=True))
        if x1 <= x0 or y1 <= y0:
            raise UsageError(f"the face's box at ({self.left:.0f}, {self.top:.0f}) lies outside the photo")
        return x0, y0, x1 - x0, y1 - y0

    def strips(self, height: int, width: int) -> Iterator[tuple[slice, slice]]:
        """Rows and columns of the rectangle that `place` names, some rows at a time, for `paste` in little memory.

        Raises:
            UsageError: It lies outside.
        """
        x, y, w, h = self.place(height, width)
        for first in range(y, y + h, STRIP_ROWS):
            yield slice(first, min(first + STRIP_ROWS, y + h)), slice(x, x + w)

    def covers(self, height: int, width: int) -> NDArray[np.bool_]:
        """Which pixels of the rectangle that `place` names lie in the crop, h×w."""
        import cv2

        x, y, w, h = self.place(height, width)
        if self.roll == 0.0:
            return np.ones((h, w), bool)
        inside = np.zeros((h, w), np.uint8)
        corners = np.round((self.corners - np.array([x, y]) - 0.5) * 16).astype(np.int32)
        cv2.fillConvexPoly(inside, corners, 1, shift=4)
        return inside > 0

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
            The part of the map that lies in the photo, h×w or h×w×C; `place` says where. Pixels that the crop does
            not cover repeat its border.

        Raises:
            UsageError: No part does.
        """
        x0, y0, w, h = self.place(height, width)
        if rows is not None:
            y0, h = rows.start, rows.stop - rows.start
        if crop_map.ndim == 2 or crop_map.shape[2] <= _CHANNELS:
            return self._warped(crop_map, x0, y0, w, h)
        parts = np.split(crop_map, range(_CHANNELS, crop_map.shape[2], _CHANNELS), axis=2)
        return np.concatenate([self._warped(np.ascontiguousarray(part), x0, y0, w, h) for part in parts], axis=2)

    def _warped(self, crop_map: NDArray[np.float32], x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
        """A map of the crop on a rectangle of the photo."""
        import cv2

        source, step = crop_map, self.scale
        flags = (cv2.INTER_CUBIC if step < 1 else cv2.INTER_AREA) | cv2.WARP_INVERSE_MAP
        if step > 1.5:  # the photo is smaller than the crop: average before sampling
            side = max(1, round(self.size / step))
            source = np.asarray(cv2.resize(crop_map, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        zoom = len(source) / self.size
        start = self.to_crop(np.array([x + 0.5, y + 0.5])) * zoom - 0.5
        matrix = np.column_stack([self.turn.T * step * zoom, start])
        warped = cv2.warpAffine(source, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, dtype=np.float32)

    @property
    def corners(self) -> Points:
        """The square's corners in the photo, 4×2; to the last bit the same at any size of the crop."""
        half = 0.5 * self.side * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        return np.asarray(half @ self.turn.T + np.array(self.centre))


def _clamped(low: float, high: float, length: int) -> tuple[int, int]:
    """A pixel range that covers [low, high] where it lies in a picture; at least one pixel."""
    first = min(max(0, int(np.floor(low)) - 1), length - 1)
    last = max(min(length, int(np.ceil(high)) + 1), first + 1)
    return first, last


def roll_of(landmarks: Points) -> float:
    """How far a face leans, degrees clockwise as seen, of its 68 landmarks [68, 2] (x right, y down).

    The direction from mouth and chin to eyes and brows; all of these points lie at about one depth, so that turning
    the head left or right hardly moves it.
    """
    upper = 0.5 * (landmarks[_UPPER].mean(0) + landmarks[_EYES].mean(0))
    lower = 0.5 * (landmarks[_LOWER].mean(0) + landmarks[_CHIN].mean(0))
    x, y = upper - lower
    return math.degrees(math.atan2(x, -y))


def crop_of_landmarks(landmarks: Points, size: int = 256, span: float = SPAN) -> FaceCrop:
    """The canonical crop of a face by its landmarks: one similarity transform.

    Args:
        landmarks: [68, 2] in the photo's pixels.
        size: Side of the crop, pixels.
        span: Share of that side that the upright landmarks' bounding box spans.
    """
    roll = roll_of(landmarks)
    turn = FaceCrop(0.0, 0.0, 1.0, 1, roll).turn
    upright = landmarks @ turn
    low, high = upright.min(0), upright.max(0)
    side = float((high - low).max()) / span
    centre = turn @ (0.5 * (low + high) - np.array([0.0, LIFT * side]))
    return FaceCrop(float(centre[0]) - 0.5 * side, float(centre[1]) - 0.5 * side, side, size, roll)


def crop_of_box(box: Box, size: int = 256, roll: float = 0.0) -> FaceCrop:
    """The canonical crop of a face of which only the box is known, brows to chin and ear to ear, and perhaps the roll.

    A leaning face's upright box is somewhat smaller than the box that holds it.
    """
    x, y, width, height = box
    lean = abs(math.sin(math.radians(2.0 * roll)))
    side = max(width, height) / (1.0 + 0.15 * lean) / SPAN
    lift = FaceCrop(0.0, 0.0, 1.0, 1, roll).turn @ np.array([0.0, LIFT * side])
    left, top = np.array([x + 0.5 * width, y + 0.5 * height]) - lift - 0.5 * side
    return FaceCrop(float(left), float(top), side, size, roll)


def crop_of_whole(height: int, width: int, size: int = 256) -> FaceCrop:
    """The crop of a picture that is one face crop already: the smallest square around it."""
    side = float(max(height, width))
    return FaceCrop(0.5 * (width - side), 0.5 * (height - side), side, size)
