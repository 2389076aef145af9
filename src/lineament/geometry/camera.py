# SPDX-License-Identifier: Apache-2.0
"""Two cameras: scaled orthography and perspective.

Camera frame: right-handed, x to the image's right, y up, z towards the viewer. Pixel coordinates (u, v): u to
the right, v down, the top left corner of the picture is (0, 0), so that the centre of the top left pixel is
(0.5, 0.5). Depth is always the z coordinate in the camera frame, so larger is nearer: a perspective camera
sits at the origin and sees points with negative z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError

Floats = NDArray[np.float64]


def pixel_centres(height: int, width: int) -> Floats:
    """Coordinates (u, v) of all pixel centres, [H, W, 2]."""
    u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([u, v], axis=-1)


@dataclass(frozen=True)
class ScaledOrthography:
    """Parallel projection with one scale: u = u0 + s x, v = v0 - s y."""

    scale: float = 1.0
    """Pixels per unit of length. At one, depth is in pixels."""
    centre: tuple[float, float] = (0.0, 0.0)
    """(u, v) in pixels of the point on the axis."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"the scale must be a positive number of pixels per unit, got {self.scale}")

    def project(self, points: ArrayLike) -> Floats:
        """Pixels (u, v) [..., 2] of points [..., 3] in the camera frame."""
        p = np.asarray(points, dtype=np.float64)
        u0, v0 = self.centre
        return np.stack([u0 + self.scale * p[..., 0], v0 - self.scale * p[..., 1]], axis=-1)

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> Floats:
        """Points [..., 3] in the camera frame of pixels [..., 2] at depth [...] (z, in units of length)."""
        q, z = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        u0, v0 = self.centre
        return np.stack(np.broadcast_arrays((q[..., 0] - u0) / self.scale, (v0 - q[..., 1]) / self.scale, z), axis=-1)

    def matrix(self) -> Floats:
        """[3, 4]: homogeneous point (x, y, z, 1) to homogeneous pixel (u, v, 1)."""
        u0, v0 = self.centre
        return np.array([[self.scale, 0.0, 0.0, u0], [0.0, -self.scale, 0.0, v0], [0.0, 0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Perspective:
    """A pinhole at the origin that looks along -z: u = u0 - f x / z, v = v0 + f y / z."""

    focal_length: float
    """In pixels."""
    centre: tuple[float, float]
    """Principal point (u, v) in pixels."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.focal_length) and self.focal_length > 0):
            raise InputError(f"the focal length must be a positive number of pixels, got {self.focal_length}")

    @classmethod
    def from_field_of_view(cls, degrees: float, height: int, width: int) -> Perspective:
        """A camera with its principal point in the picture's middle.

        Args:
            degrees: Field of view across the picture's width, in (0, 180).
            height: Of the picture in pixels.
            width: Of the picture in pixels.

        Returns:
            The camera.

        Raises:
            InputError: If the field of view is out of range.
        """
        if not 0.0 < degrees < 180.0:
            raise InputError(f"the field of view must be between 0 and 180 degrees, got {degrees}")
        return cls(0.5 * width / math.tan(math.radians(0.5 * degrees)), (0.5 * width, 0.5 * height))

    def field_of_view(self, width: int) -> float:
        """Degrees across a picture of this many pixels of width."""
        return math.degrees(2.0 * math.atan(0.5 * width / self.focal_length))

    def project(self, points: ArrayLike) -> Floats:
        """Pixels (u, v) [..., 2] of points [..., 3] in the camera frame.

        Raises:
            InputError: If a point is not in front of the camera (z must be negative).
        """
        p = np.asarray(points, dtype=np.float64)
        distance = _in_front(p[..., 2])
        u0, v0 = self.centre
        return np.stack(
            [u0 + self.focal_length * p[..., 0] / distance, v0 - self.focal_length * p[..., 1] / distance],
            axis=-1,
        )

    def unproject(self, pixels: ArrayLike, depth: ArrayLike) -> Floats:
        """Points [..., 3] in the camera frame of pixels [..., 2] at depth [...], which is z and so negative.

        Raises:
            InputError: If a depth is not in front of the camera.
        """
        q, z = np.asarray(pixels, dtype=np.float64), np.asarray(depth, dtype=np.float64)
        distance = _in_front(z) / self.focal_length
        u0, v0 = self.centre
        return np.stack(np.broadcast_arrays((q[..., 0] - u0) * distance, (v0 - q[..., 1]) * distance, z), axis=-1)

    def matrix(self) -> Floats:
        """[3, 4]: homogeneous point (x, y, z, 1) to homogeneous pixel, whose last entry is the distance
        -z."""
        u0, v0 = self.centre
        f = self.focal_length
        return np.array([[f, 0.0, -u0, 0.0], [0.0, -f, -v0, 0.0], [0.0, 0.0, -1.0, 0.0]])


Camera = ScaledOrthography | Perspective


def _in_front(z: Floats) -> Floats:
    if np.any(z >= 0):
        raise InputError(
            f"points must be in front of the perspective camera (z < 0), the nearest has z = {np.max(z):g}"
        )
    return -z
