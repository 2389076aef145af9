# SPDX-License-Identifier: Apache-2.0
"""Tones of face crops: pictures that hold light as it is measured, and others of more contrast than photos have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
ROWS, COLUMNS = (0.3, 0.75), (0.3, 0.7)  # of a crop: the inner face, where hair and background seldom are
TENTHS = (0.1, 0.9)  # quantiles that contrast is measured between
USUAL = 0.6  # contrast that half of the portraits exceed; nine of ten photos that hold linear light have 0.85 or more
CAMERA = 2.2  # exponent of a camera's curve: what may be missing


def face_contrast(crop: NDArray[Any]) -> float:
    """How much lighter the light parts of a face are than its dark ones.

    Args:
        crop: S×S×3 RGB, a face crop; uint8 or floating point in [0, 1].

    Returns:
        Logarithm of the 90 % quantile of its inner part's grey over the 10 % quantile; 0 is an even grey.
    """
    side = len(crop)
    rows, columns = (slice(int(low * side), max(1, int(high * side))) for low, high in (ROWS, COLUMNS))
    unit = 1.0 if crop.dtype == np.uint8 else 1.0 / 255.0
    dark, light = np.maximum(np.quantile(crop[rows, columns] @ LUMA, TENTHS), unit)
    return float(np.log(light / dark))


def camera_gamma(contrast: float) -> float:
    """The exponent of the camera's curve that a photo seems to miss, from 1 (none is missing) to 2.2.

    A photo that holds linear light (as measured and raw ones and renders do), or has been hardened, shows slopes that
    are not to be read as those of others. No photo says which curve it has, but contrast tells much of it: what exceeds
    the usual is taken for a missing curve, up to a whole one.

    Args:
        contrast: As `face_contrast` gives it.
    """
    return float(np.clip(contrast / USUAL, 1.0, CAMERA))


def camera_tones(contrast: float) -> NDArray[np.uint8]:
    """The tone curve that gives a face of some contrast what it misses, as a table [256]; often the old tones."""
    tones = 255.0 * (np.arange(256) / 255.0) ** (1.0 / camera_gamma(contrast))
    return np.asarray(np.rint(tones), dtype=np.uint8)
