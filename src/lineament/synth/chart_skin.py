# SPDX-License-Identifier: Apache-2.0
"""The generator's skin on the face's chart: the exact relief of a photo's face, and blemishes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lineament.rig import Part, Rig
from lineament.rig.face_chart import ChartGrid
from lineament.synth.config import SynthConfig
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom
from lineament.synth.skin import REGIONS, Folds, Surface, feature_height, sample_person, skin_albedo, skin_height


class ChartSkin:
    """Skin on the face's chart of a rig; texels that are no skin have none of it."""

    def __init__(self, rig: Rig, side: int) -> None:
        """Prepare the chart at S = ``side``."""
        grid = ChartGrid.of(rig, side)
        fields = np.concatenate([rig.mean, rig.uv, *(rig.regions[name][:, None] for name in REGIONS)], axis=1)
        texels = torch.from_numpy(grid.of_vertices(fields)).permute(2, 0, 1)[None]
        skin = torch.from_numpy((rig.part[grid.corner] <= Part.NECK).all(-1))[None, None]
        regions = {name: texels[:, 5 + i : 6 + i] for i, name in enumerate(REGIONS)}
        self._surface = Surface(texels[:, :3], texels[:, 3:5], regions, skin)
        self._marks = torch.from_numpy(rig.mean[rig.landmarks])
        self._names = tuple(rig.expression_names)
        self._bank = NoiseBank(seed=0)

    @torch.no_grad()
    def height(self, own: SampleRandom, expression: Tensor, config: SynthConfig) -> Tensor:
        """The relief of people, [B, 1, S, S] mm along the mesh's normals: wrinkles, folds, pores and features.

        It is what `lineament.synth.generator.Generator` gives to a photo.

        Args:
            own: Draws that belong to the people.
            expression: [B, E] weights, which fold the skin.
            config: Strength of the relief.
        """
        surface = self._of(len(own))
        folds = Folds.of(expression, self._names)
        height = skin_height(surface, sample_person(own), own, self._marks, self._bank, folds)
        return config.detail * (height + config.features * feature_height(surface, own, self._marks)) * surface.skin

    @torch.no_grad()
    def blemishes(self, own: SampleRandom) -> Tensor:
        """What freckles, moles and mottling of people do to their skin: [B, 3, S, S], the logarithm of its factor."""
        surface, person = self._of(len(own)), sample_person(own)
        painted, retouched = (
            skin_albedo(surface, person, own, self._marks, self._bank, strength) for strength in (1.0, 0.0)
        )
        return (painted / retouched).log()

    def _of(self, count: int) -> Surface:
        whole = self._surface
        return Surface(
            whole.rest.expand(count, -1, -1, -1),
            whole.uv.expand(count, -1, -1, -1),
            {name: field.expand(count, -1, -1, -1) for name, field in whole.regions.items()},
            whole.skin.expand(count, -1, -1, -1),
        )
