# SPDX-License-Identifier: Apache-2.0
"""Exemplars as people bring them: smooth, too flat or too steep, bent, with holes.

Stage two learns to make the coarse network's normals out of them, so that it takes from an exemplar what is sound
and the rest from the photo. The paper's exemplars are the coarse network's own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.render.vectors import unit
from lineament.synth.degrade import gaussian_blur
from lineament.synth.fields import per_sample
from lineament.training.augment import Draws

_BLUR = (0.02, 0.12)  # sigma, of the crop's side
_BLURRED = 0.4  # share of exemplars
_POOL = 4  # pixels, to blur widely at little cost
_SLOPED = 0.3  # share of exemplars
_SLOPE = 0.25  # standard deviation of the logarithm of the factor on n_x and n_y
_BENT = 0.4  # share of exemplars
_BEND = 0.3  # largest standard deviation of what bending adds to n_x and n_y
_BENDS = 4  # cells along a side between which a bend changes
_HOLED = 0.15  # share of exemplars
_OUTLINED = 0.5  # share of exemplars that end where the face does; the coarse network's own do not


def corrupted(exemplar: Tensor, face: Tensor, draw: Draws) -> Tensor:
    """Spoil most exemplars of a batch, each in ways of its own.

    Args:
        exemplar: [B, 3, H, W] unit normals, zero where there are none.
        face: [B, 1, H, W] bool, where the face is.
        draw: Where the chance comes from.

    Returns:
        [B, 3, H, W], zero where there are none.
    """

    def chosen(share: float) -> Tensor:
        return per_sample(draw.uniform(0.0, 1.0) < share)

    def field(channels: int) -> Tensor:
        coarse = draw.noise(exemplar[:, :channels, :_BENDS, :_BENDS])
        return F.interpolate(coarse, exemplar.shape[2:], mode="bicubic", align_corners=True)

    valid = exemplar.square().sum(1, keepdim=True) > 0.25
    low, high = _BLUR
    sigma = exemplar.shape[-1] * low * (high / low) ** draw.uniform(0.0, 1.0)
    small = gaussian_blur(F.avg_pool2d(exemplar, _POOL), sigma / _POOL)
    smooth = F.interpolate(small, exemplar.shape[2:], mode="bilinear", align_corners=False)
    made = torch.where(chosen(_BLURRED), unit(smooth), exemplar)

    slope = per_sample(torch.exp(draw.normal(_SLOPE)))
    bend = per_sample(draw.uniform(0.0, _BEND)) * field(2)
    across = made[:, :2] * torch.where(chosen(_SLOPED), slope, 1.0)
    across = across + torch.where(chosen(_BENT), bend, 0.0)
    made = unit(torch.cat([across, made[:, 2:]], dim=1))
    gone = (chosen(_HOLED) & (field(1) > 0.5)) | (chosen(_OUTLINED) & ~face)
    return torch.where(valid & ~gone, made, 0.0)
