# SPDX-License-Identifier: Apache-2.0
"""What F-Net and both forms of Fr-Net share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.render.light_fit import normals_of_depth

SMALL = 0.1
"""The residual's unit: Fr-Net starts close to the depth that comes in."""


def pixels(depth: Tensor) -> Tensor:
    """Depth as a share of the side [B, 1, H, W] in pixels."""
    return depth.shape[-1] * depth


def convolution(inside: int, outside: int) -> nn.Sequential:
    """A 3×3 convolution, [B, inside, H, W] to [B, outside, H, W], and its activation."""
    # Zeros beyond the border would be depth: faces that reach it would bend there.
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 1, 1, padding_mode="replicate"), nn.LeakyReLU(0.2))


def seen_of(depth: Tensor) -> Tensor:
    """What F-Net and Fr-Net see of depth [B, 1, H, W]: itself and the slopes, x and y of its normals, [B, 3, H, W].

    In the depth's own unit a wrinkle is a thousandth: too little for convolutions to see beside the shape.
    """
    return torch.cat([depth, normals_of_depth(pixels(depth))[:, :2]], dim=1)
