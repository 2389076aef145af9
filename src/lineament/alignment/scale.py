# SPDX-License-Identifier: Apache-2.0
"""How large a face is in a photo, if it is an average adult's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lineament.rig import load_rig

_FIRM = slice(0, 48)
"""Outline, brows, nose and eyes of the iBUG order: the mouth opens and speaks."""


@lru_cache(maxsize=1)
def average_landmarks() -> NDArray[np.float64]:
    """The 68 landmarks of the rig's average head [68, 3], millimetres."""
    rig = load_rig()
    return np.asarray(rig.mean[rig.landmarks], np.float64)


def pixels_per_millimetre(landmarks: NDArray[np.float64], visibility: NDArray[np.floating] | None = None) -> float:
    """The scale of a face by its landmarks, under scaled orthography.

    One photo does not tell how large a head is, only how large it looks; so this is the scale at which it would have
    the size of the rig's average head. Adults' differ by some 5 %, children's are smaller.

    Args:
        landmarks: [68, 2] pixels, x right and y down.
        visibility: [68] how much each counts; all alike when left out.

    Returns:
        Pixels per millimetre.
    """
    weight = np.ones(68) if visibility is None else np.asarray(visibility, np.float64).clip(0.05, 1.0)
    weight = weight[_FIRM, None] / weight[_FIRM].sum()
    solid, seen = average_landmarks()[_FIRM], landmarks[_FIRM]
    solid, seen = solid - (weight * solid).sum(0), seen - (weight * seen).sum(0)
    root = np.sqrt(weight)
    linear, *_ = np.linalg.lstsq(root * solid, root * seen, rcond=None)  # [3, 2]: two rows of a scaled rotation
    return float(np.linalg.svd(linear, compute_uv=False).mean())
