# SPDX-License-Identifier: Apache-2.0
"""PatchGAN: judges every patch of a map on its own (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PatchDiscriminator(nn.Module):
    """Four stride-2 3×3 convolutions with instance norm, then one 4×4 convolution to a logit per patch."""

    def __init__(self, in_channels: int = 3, channels: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip((in_channels, *channels[:-1]), channels, strict=True):
            layers += [nn.Conv2d(inside, outside, 3, 2, 1), nn.InstanceNorm2d(outside), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], 1, 4, 1, 2))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits [B, 1, h, w] of maps [B, C, H, W] being real; H and W at least 32."""
        logits: Tensor = self.layers(maps)
        return logits


def adversarial_loss(logits: Sequence[Tensor]) -> Tensor:
    """What the discriminator's logits on every stage cost the generator (Cas-FNE, equation 7)."""
    losses = [F.binary_cross_entropy_with_logits(each, torch.ones_like(each)) for each in logits]
    return torch.stack(losses).sum()


def discriminator_loss(real: Tensor, fake: Sequence[Tensor]) -> Tensor:
    """What logits on ground truth and on detached predictions cost the discriminator."""
    loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    for each in fake:
        loss = loss + F.binary_cross_entropy_with_logits(each, torch.zeros_like(each)) / len(fake)
    return 0.5 * loss
