# SPDX-License-Identifier: Apache-2.0
"""What a pixel of a face's crop shows."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class MaskClass(IntEnum):
    """What a pixel shows."""

    OTHER = 0  # background, clothes, hats, hands, things
    SKIN = 1  # with beards: ears and neck, too
    EYES = 2
    MOUTH = 3  # lips, gums and tongue
    HAIR = 4  # on the head
    BROWS = 5
    TEETH = 6
    GLASSES = 7  # frames, and lenses that are dark


FACE_CLASSES = (MaskClass.SKIN, MaskClass.EYES, MaskClass.MOUTH, MaskClass.BROWS, MaskClass.TEETH)
"""Where a face's geometry is estimated."""

UNDER_GLASSES = (*FACE_CLASSES, MaskClass.GLASSES)
"""The same with what glasses cover: the face goes on under them."""

PARSE_COLOURS: dict[MaskClass, tuple[int, int, int]] = {
    MaskClass.OTHER: (0, 0, 0),
    MaskClass.SKIN: (230, 180, 150),
    MaskClass.EYES: (255, 255, 255),
    MaskClass.MOUTH: (200, 60, 60),
    MaskClass.HAIR: (100, 66, 33),
    MaskClass.BROWS: (60, 160, 60),
    MaskClass.TEETH: (250, 250, 120),
    MaskClass.GLASSES: (60, 90, 250),
}
"""RGB in which a parse is drawn."""


def colours_of(parse: NDArray[Any]) -> NDArray[np.uint8]:
    """A parse [...] of `MaskClass` as colours [..., 3]."""
    table = np.array([PARSE_COLOURS[c] for c in MaskClass], np.uint8)
    return np.asarray(table[parse])
