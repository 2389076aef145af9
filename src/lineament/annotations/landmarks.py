# SPDX-License-Identifier: Apache-2.0
"""The 68 landmarks in the iBUG order, mirrored."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

_CHAINS = (  # of the iBUG order: points whose mirror images are themselves in reverse
    (range(17), range(16, -1, -1)),
    (range(17, 27), range(26, 16, -1)),
    (range(27, 31), range(27, 31)),
    (range(31, 36), range(35, 30, -1)),
    (range(36, 40), range(45, 41, -1)),
    (range(40, 42), range(47, 45, -1)),
    (range(42, 46), range(39, 35, -1)),
    (range(46, 48), range(41, 39, -1)),
    (range(48, 55), range(54, 47, -1)),
    (range(55, 60), range(59, 54, -1)),
    (range(60, 65), range(64, 59, -1)),
    (range(65, 68), range(67, 64, -1)),
)
MIRROR = np.empty(68, dtype=np.int64)
"""Which landmark becomes which when the picture is mirrored."""
for _to, _from in _CHAINS:
    MIRROR[list(_to)] = list(_from)


def mirrored_landmarks(values: NDArray[Scalar], width: int | None) -> NDArray[Scalar]:
    """Quantities of the 68 landmarks in the mirrored picture.

    Args:
        values: [68, ...]; positions [68, 2] when a width is given.
        width: Of the picture, pixels.
    """
    mirrored = values[MIRROR]
    if width is not None:
        mirrored = mirrored.copy()
        mirrored[:, 0] = width - mirrored[:, 0]
    return mirrored
