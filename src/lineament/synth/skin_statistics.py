# SPDX-License-Identifier: Apache-2.0
"""The albedo basis of a rig: principal components of the generator's own skin, as its vertices have it.

A 3D morphable model's albedo is smooth: what is finer than a few millimetres, moles, freckles and single hairs, is
averaged away; lips, brows, beards, blush and eye rings stay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from lineament.render.raster import interpolate, rasterize
from lineament.rig import Part, Rig
from lineament.rig.statistics import principal_components, vertex_areas
from lineament.synth.noise import NoiseBank
from lineament.synth.random import SampleRandom
from lineament.synth.skin import REGIONS, Surface, sample_person, skin_albedo

COMPONENTS = 80
PEOPLE = 2000
_SEED = 0xA1BED0
_SIDE = 192  # texels of the rig's chart at which skin is painted, 2 mm each
_SMOOTH = 2.0  # texels, sigma of the blur
_WEIGHT = {Part.FACE: 1.0, Part.EAR: 0.3, Part.SCALP: 0.05, Part.NECK: 0.2}
_OWN: dict[Part, tuple[float, float, float]] = {
    Part.EYE_LEFT: (0.55, 0.50, 0.46),
    Part.EYE_RIGHT: (0.55, 0.50, 0.46),
    Part.MOUTH: (0.30, 0.10, 0.09),
    Part.TEETH: (0.62, 0.55, 0.42),
}
"""Linear reflectance of what is no skin, which does not vary."""


@dataclass(frozen=True, eq=False)
class SkinStatistics:
    """Linear reflectance at a rig's vertices: ``mean + coefficients · components``, the coefficients N(0, 1)."""

    mean: NDArray[np.float32]  # [V, 3]
    components: NDArray[np.float32]  # [A, V, 3]
    explained: float
    """Share of the variance over the face that the components explain."""


class VertexSkin:
    """The generator's skin at the vertices of a rig, smooth."""

    def __init__(self, rig: Rig) -> None:
        """Prepare the chart."""
        uv = torch.from_numpy(rig.uv)
        points = torch.stack([uv[:, 0] * _SIDE, (1.0 - uv[:, 1]) * _SIDE, torch.zeros(len(uv))], dim=1)[None]
        faces = torch.from_numpy(rig.faces.astype(np.int64))
        seen = rasterize(points, faces, _SIDE, _SIDE)
        fields = [torch.from_numpy(rig.regions[name])[:, None] for name in REGIONS]
        texels = interpolate(torch.cat([torch.from_numpy(rig.mean), uv, *fields], dim=1), faces, seen)
        part = torch.from_numpy(rig.face_part.astype(np.int64))[seen.triangle.clamp_min(0)][:, None]
        self._skin = (seen.triangle[:, None] >= 0) & (part <= int(Part.NECK))
        regions = {name: texels[:, 5 + i : 6 + i] for i, name in enumerate(REGIONS)}
        self._surface = texels[:, :3], texels[:, 3:5], regions
        self._places = torch.stack([2.0 * uv[:, 0] - 1.0, 1.0 - 2.0 * uv[:, 1]], dim=1)[None, None]  # [1, 1, V, 2]
        self._marks = torch.from_numpy(rig.mean[rig.landmarks])
        self._bank = NoiseBank(seed=0)
        self._is_skin = torch.from_numpy(rig.part <= Part.NECK)
        own = np.array([_OWN.get(Part(p), (0.0, 0.0, 0.0)) for p in rig.part], np.float32)
        self._own = torch.from_numpy(own)

    @torch.no_grad()
    def of(self, own: SampleRandom) -> Tensor:
        """Linear reflectance [B, V, 3] of people, by their own draws (`lineament.synth.generator`)."""
        count = len(own)
        rest, uv, regions = self._surface
        surface = Surface(
            rest.expand(count, -1, -1, -1),
            uv.expand(count, -1, -1, -1),
            {name: field.expand(count, -1, -1, -1) for name, field in regions.items()},
            self._skin.expand(count, -1, -1, -1),
        )
        painted = skin_albedo(surface, sample_person(own), own, self._marks, self._bank)
        inside = self._skin.to(painted.dtype)
        smooth = _blurred(painted * inside) / _blurred(inside).clamp_min(1e-3)
        at = F.grid_sample(smooth, self._places.expand(count, -1, -1, -1), align_corners=False, padding_mode="border")
        return torch.where(self._is_skin[:, None], at[:, :, 0].transpose(1, 2), self._own)


def skin_statistics(rig: Rig, people: int = PEOPLE, components: int = COMPONENTS) -> SkinStatistics:
    """Analyse the skin of random people of the generator.

    Args:
        rig: The rig whose vertices it is said of.
        people: Number of people.
        components: Largest number of components.
    """
    skin, batch = VertexSkin(rig), 20
    rows = [skin.of(SampleRandom(_SEED, range(i, min(people, i + batch)))).numpy() for i in range(0, people, batch)]
    samples = np.concatenate(rows)
    mean = samples.mean(0)
    weight = np.array([_WEIGHT.get(Part(p), 0.0) for p in rig.part]) * vertex_areas(
        rig.mean.astype(np.float64), rig.faces
    )
    found, explained = principal_components(samples - mean, weight, components)
    return SkinStatistics(mean, found * (rig.part <= Part.NECK)[:, None], explained)


def mean_and_components(rig: Rig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """`skin_statistics` of a rig, as `lineament.rig.build` takes it."""
    found = skin_statistics(rig)
    return found.mean, found.components


def _blurred(values: Tensor) -> Tensor:
    """A Gaussian blur of `_SMOOTH` texels, [B, C, H, W]."""
    reach = int(3 * _SMOOTH)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=values.dtype) / _SMOOTH).square())
    line = (line / line.sum()).expand(values.shape[1], 1, 1, -1)
    padded = F.pad(values, (reach, reach, reach, reach))
    across = F.conv2d(padded, line, groups=values.shape[1])
    return F.conv2d(across, line.transpose(2, 3), groups=values.shape[1])
