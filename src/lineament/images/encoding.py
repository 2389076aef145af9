# SPDX-License-Identifier: Apache-2.0
"""Normal maps as colours, in the sign conventions that programs disagree about (docs/conventions.md)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

NormalsConvention = Literal["opengl", "directx", "opencv"]

SIGNS: dict[NormalsConvention, tuple[float, float, float]] = {
    "opengl": (1.0, 1.0, 1.0),
    "directx": (1.0, -1.0, 1.0),
    "opencv": (1.0, -1.0, -1.0),
}
"""Factors from our camera frame (x right, y up, z towards the viewer) to each convention, and back."""

DESCRIPTIONS: dict[NormalsConvention, str] = {
    "opengl": "x right, y up, z towards the viewer",
    "directx": "x right, y down, z towards the viewer",
    "opencv": "x right, y down, z away from the viewer",
}


def convert_normals(normals: NDArray[np.float32], convention: NormalsConvention) -> NDArray[np.float32]:
    """Normals [..., 3] from our camera frame to a convention, or from it back to ours."""
    return np.asarray(normals * np.array(SIGNS[convention], np.float32) + np.float32(0), dtype=np.float32)


def encode_normals(
    normals: NDArray[np.float32], convention: NormalsConvention = "opengl", bits: Literal[8, 16] = 8
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Normals as colours (n + 1) / 2.

    Args:
        normals: H×W×3, unit vectors in our camera frame, zero where there is none.
        convention: Frame of the encoded map.
        bits: 8 or 16 per channel.

    Returns:
        H×W×3 of uint8 or uint16; (0, 0, 0) where there is no normal.
    """
    top = (1 << bits) - 1
    valid = (normals != 0).any(-1, keepdims=True)
    scaled = np.rint((convert_normals(normals, convention) * 0.5 + 0.5).clip(0, 1) * top)
    colours: NDArray[np.float32] = (scaled * valid).astype(np.float32)
    return colours.astype(np.uint8) if bits == 8 else colours.astype(np.uint16)


def decode_normals(
    colours: NDArray[np.uint8] | NDArray[np.uint16], convention: NormalsConvention = "opengl"
) -> NDArray[np.float32]:
    """The inverse of `encode_normals`, scaled back to unit length.

    Args:
        colours: H×W×3 of uint8 or uint16.
        convention: Frame of the encoded map.

    Returns:
        H×W×3 float32 unit vectors in our camera frame, zero where the map is black.
    """
    top = np.float32(np.iinfo(colours.dtype).max)
    normals = convert_normals(colours.astype(np.float32) / top * 2 - 1, convention)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    valid = (colours != 0).any(-1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-6) * valid, dtype=np.float32)


def encode_srgb(linear: NDArray[np.floating]) -> NDArray[np.float64]:
    """Linear light in [0, 1] to the sRGB curve (IEC 61966-2-1); `lineament.render.colour` has torch's."""
    bounded = np.clip(linear, 0.0, 1.0)
    return np.asarray(np.where(bounded <= 0.0031308, 12.92 * bounded, 1.055 * bounded ** (1 / 2.4) - 0.055))
