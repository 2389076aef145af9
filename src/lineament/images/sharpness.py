# SPDX-License-Identifier: Apache-2.0
"""How blurred a picture is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_FILTER = 11  # px
_INNER = (slice(2, -1), slice(2, -1))


def blur_effect(grey: NDArray[Any]) -> float:
    """How little a picture loses when it is blurred once more, 0 (sharp) to 1 (Crete et al. 2007, "The blur effect").

    Args:
        grey: H×W, uint8 or floating point in [0, 1], at least 4 pixels a side.

    Returns:
        The larger of the rows' and the columns' measure; 1 for an even grey, which no blur changes.
    """
    picture = grey.astype(np.float64) / (255.0 if grey.dtype == np.uint8 else 1.0)
    measures = []
    for axis in (0, 1):
        blurred = ndimage.uniform_filter1d(picture, _FILTER, axis=axis)
        before, after = (np.abs(ndimage.sobel(seen, axis=axis))[_INNER] for seen in (picture, blurred))
        total = float(before.sum())
        lost = float(np.maximum(0.0, before - after).sum())
        measures.append(1.0 - lost / total if total > 1e-9 else 1.0)
    return max(measures)
