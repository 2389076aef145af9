# SPDX-License-Identifier: Apache-2.0
"""Pure maths on arrays: cameras, normals and depth, light, photometric stereo, angles. Knows no face and no
file."""

from __future__ import annotations

from lineament.geometry import spherical_harmonics
from lineament.geometry.angular import (
    AngularErrorStatistics,
    angular_error,
    angular_error_statistics,
)
from lineament.geometry.camera import Camera, Perspective, ScaledOrthography, pixel_centres
from lineament.geometry.integration import normals_to_depth
from lineament.geometry.normals import depth_to_normals, normalize
from lineament.geometry.photometric import (
    PhotometricStereo,
    photometric_stereo,
    robust_photometric_stereo,
)

__all__ = [
    "AngularErrorStatistics",
    "Camera",
    "Perspective",
    "PhotometricStereo",
    "ScaledOrthography",
    "angular_error",
    "angular_error_statistics",
    "depth_to_normals",
    "normalize",
    "normals_to_depth",
    "photometric_stereo",
    "pixel_centres",
    "robust_photometric_stereo",
    "spherical_harmonics",
]
