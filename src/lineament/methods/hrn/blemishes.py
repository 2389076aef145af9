# SPDX-License-Identifier: Apache-2.0
"""Blemishes that are laid on textures, for pairs with them and without (HRN, section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.rig import Rig
from lineament.synth.chart_skin import ChartSkin
from lineament.synth.random import SampleRandom

_PEOPLE = 32  # whose blemishes are kept
_TOGETHER = 3  # of them lie on one face: most people of the generator have few
_BLUR = (0.4, 1.6)  # texels, as photos of this size show spots
_SEED = 0xB1E3


class Blemishes:
    """Freckles, moles and mottling of the generator's people, mixed."""

    def __init__(self, rig: Rig, side: int) -> None:
        """Paint those of all people on the face's chart at S = ``side``."""
        skin = ChartSkin(rig, side)
        kept = [skin.blemishes(SampleRandom(_SEED, range(i, i + 8))) for i in range(0, _PEOPLE, 8)]
        self._kept = np.concatenate([each.permute(0, 2, 3, 1).numpy().astype(np.float16) for each in kept])

    def draw(self, random: np.random.Generator) -> NDArray[np.float32]:
        """Those of a face, [S, S, 3]: the logarithm of what they do to its skin's reflectance."""
        chosen = random.choice(len(self._kept), _TOGETHER, replace=False)
        total = np.zeros(self._kept.shape[1:], np.float32)
        for number in chosen:
            own = self._kept[number].astype(np.float32)
            total += own[:, ::-1] if random.random() < 0.5 else own  # the chart is as good as symmetric
        return np.asarray(cv2.GaussianBlur(total, (0, 0), random.uniform(*_BLUR)), np.float32)
