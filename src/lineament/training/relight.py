# SPDX-License-Identifier: Apache-2.0
"""Faces lit anew in every step: what light does to a shape, seen as often as a training has steps.

A rendered face shows one light, however often it is seen; a network learns its features by heart before it learns to
read shading. From the normals that are the labels, a face can be lit again for next to nothing: Lambert's law with a
soft terminator, a lamp, an uneven environment and gloss, on skin of nearly even albedo. Cast shadows, light inside skin
and the rest of what `lineament.synth` renders are not in it, so only a share of the pictures is lit anew.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.render.shading import lambert
from lineament.render.vectors import dot, unit
from lineament.synth.fields import per_sample
from lineament.training.augment import Draws
from lineament.training.batch import Batch

_WINDOW = 9  # px, what is darker than so wide a neighbourhood is a feature
_FEATURE = 0.15  # logarithm of how much darker
_WHITE = 0.97  # quantile of a face's light that the exposure puts near white


def relit(batch: Batch, share: float, seed: int, step: int) -> Batch:
    """Light some of the faces of a batch anew; hair and background stay.

    Args:
        batch: Pictures with their labels.
        share: Probability of each picture to be lit anew.
        seed: Any integer.
        step: Another one: the light is a function of both.

    Returns:
        The batch with other pictures and the same labels.
    """
    if share == 0.0:
        return batch
    draw = Draws(seed + 0x51DE, step, len(batch), batch.image.device)
    normals, face = batch["normals"], batch["face"]
    lit = _albedo(batch, draw) * _light(normals, draw) + _gloss(normals, draw)
    chosen = per_sample(draw.uniform(0.0, 1.0) < share)
    return replace(batch, image=torch.where(chosen & face, _exposed(lit, face, draw), batch.image))


def _direction(draw: Draws) -> Tensor:
    """Unit vectors [B, 3] towards lamps, most of them before the face and a little above it."""
    azimuth, elevation = draw.normal(0.55), draw.normal(0.4) + 0.1
    return torch.stack([azimuth.sin() * elevation.cos(), elevation.sin(), azimuth.cos() * elevation.cos()], dim=1)


def _light(normals: Tensor, draw: Draws) -> Tensor:
    """Irradiance [B, 1, S, S] of a lamp and an environment that is brighter on one side."""
    lamp, wrap = _direction(draw), per_sample(draw.uniform(0.0, 0.15))
    facing = dot(normals, lamp[:, :, None, None])
    lit = ((facing + wrap) / (1.0 + wrap)).clamp_min(0.0)
    gradient = torch.stack([draw.normal(0.35), 0.3 + draw.normal(0.35), 0.3 + draw.normal(0.35)], dim=1)
    around = (1.0 + dot(normals, gradient[:, :, None, None])).clamp_min(0.0)
    return torch.lerp(lit, around, per_sample(0.6 * draw.uniform(0.0, 1.0) ** 3))


def _gloss(normals: Tensor, draw: Draws) -> Tensor:
    """Blinn's highlight of another lamp's half vector, [B, 1, S, S]."""
    x, y, z = _direction(draw).unbind(1)
    half = unit(torch.stack([x, y, z + 1.0], dim=1))  # between the lamp and the camera
    strength = draw.uniform(0.0, 1.0) ** 2 * 0.35
    return per_sample(strength) * lambert(normals, half) ** per_sample(draw.uniform(6.0, 50.0))


def _albedo(batch: Batch, draw: Draws) -> Tensor:
    """One colour of skin for each face, with clouds in it, and darker where the picture has brows, lashes, nostrils."""
    tones = torch.stack([draw.uniform(0.1, 0.8) for _ in range(3)], dim=1).sort(dim=1, descending=True).values
    size = batch.image.shape[-1]
    clouds = torch.zeros_like(batch.image[:, :1])
    for cells in (6, 24):
        noise = draw.noise(clouds[:, :, :cells, :cells])
        clouds = clouds + 0.08 * F.interpolate(noise, (size, size), mode="bicubic")
    logarithm = batch.image.mean(1, keepdim=True).clamp_min(0.01).log()
    around = F.avg_pool2d(logarithm, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
    features = (logarithm - around + _FEATURE).clamp(-1.5, 0.0)
    return tones[:, :, None, None] * torch.exp(clouds + features)


def _exposed(lit: Tensor, face: Tensor, draw: Draws) -> Tensor:
    """Linear light to a picture: exposed for the face, with the curve of a camera."""
    inside = torch.where(face, lit, torch.nan).flatten(1)[:, ::7]
    white = torch.nanquantile(inside, _WHITE, dim=1).nan_to_num(1.0).clamp_min(1e-3)
    gamma = draw.uniform(1.6, 2.4)
    picture = (lit * per_sample(draw.uniform(0.6, 1.05) / white)).clamp(1e-4, 1.0)
    return picture ** per_sample(1.0 / gamma)
