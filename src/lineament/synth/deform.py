# SPDX-License-Identifier: Apache-2.0
"""Faces between and beyond the scans: a smooth random deformation of the head at several scales.

A face model learned from scans knows their average features and how they go together; whoever learns from it alone
tells a shape by where its features lie and need not look at the light. Lüthi, Gerig, Jud and Vetter ("Gaussian Process
Morphable Models", 2018, section 4) add a Gaussian process of several length scales to such a model, mirrored over the
midline. Here its sample paths are sums of random Fourier features (Rahimi and Recht, "Random features for large-scale
kernel machines", 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.rig import Part
from lineament.synth.fields import smoothstep
from lineament.synth.random import SampleRandom

_SCALES = ((60.0, 3.0), (28.0, 2.0), (14.0, 1.0), (8.0, 0.45))
"""Length scale and standard deviation of each part of the process, mm."""
_WAVES = 24  # of each scale
_LIDS = 6.0  # mm from the edge of the lids, within which skin moves with the eyeball
_HALVES = 0.95  # correlation of a face's halves


@dataclass(frozen=True)
class Deformation:
    """The Gaussian process on the vertices of a rig: waves of fixed direction whose weights are drawn."""

    waves: Tensor  # [M, V] mm
    mirrored: Tensor  # [M, V] mm, of the vertices' mirror images

    @classmethod
    def of(cls, mean: Tensor, part: Tensor, eye_centre: Tensor, eye_line: Tensor) -> Deformation:
        """Prepare the waves.

        Args:
            mean: [V, 3] the mean head, mm.
            part: [V] `Part` of each vertex.
            eye_centre: [2, 3] left and right, mm.
            eye_line: [V] distance from the edge of the lids, mm.
        """
        # Eyeballs move as a whole, and the edges of the lids with them.
        near = eye_centre[(mean[:, 0] < 0).long()]  # [V, 3]
        free = smoothstep(0.0, _LIDS, eye_line)
        for eye in (Part.EYE_LEFT, Part.EYE_RIGHT):
            free = torch.where(part == int(eye), 0.0, free)
        mirror = mean.new_tensor([-1.0, 1.0, 1.0])
        waves = [
            torch.lerp(_waves(near * side), _waves(mean * side), free) for side in (torch.ones_like(mirror), mirror)
        ]
        return cls(*waves)

    def draw(self, person: SampleRandom, strength: float) -> Tensor:
        """Weights [B, 2, 3, M] of people: of both halves of the face, for x, y and z."""
        count = len(self.waves)
        own = person.normal("deformation", shape=(2, 3, count))
        other = _HALVES * own[:, 0] + math.sqrt(1.0 - _HALVES**2) * own[:, 1]
        amount = strength * person.log_uniform("deformation strength", 0.3, 1.5)
        return amount[:, None, None, None] * torch.stack([own[:, 0], other], dim=1)

    def displacement(self, weights: Tensor) -> Tensor:
        """Displacements [B, V, 3] in mm, of weights [B, 2, 3, M]."""
        turned = weights.new_tensor([-1.0, 1.0, 1.0])[:, None]
        # Row by row, as everything that must not depend on the rest of its batch.
        rows = [(w[0] @ self.waves + turned * (w[1] @ self.mirrored)).T for w in weights]
        return math.sqrt(0.5) * torch.stack(rows)


def _waves(points: Tensor) -> Tensor:
    """Fourier features [M, V] of points [V, 3]: a Gaussian kernel of each scale, in the mean over draws of weights."""
    source = torch.Generator().manual_seed(2018)
    features = []
    for length, deviation in _SCALES:
        frequency = torch.randn(_WAVES, 3, generator=source).to(points.device) / length
        phase = frequency @ points.T  # [W, V]
        features += [deviation / math.sqrt(_WAVES) * wave for wave in (phase.cos(), phase.sin())]
    return torch.cat(features)
