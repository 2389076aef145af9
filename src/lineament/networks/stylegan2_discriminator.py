# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2's discriminator, its losses and its lazy regularisation (Karras et al. 2020, sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.networks.stylegan2 import EqualisedConv, EqualisedLinear, Synthesis, activated, blurred, stage_sides

_GROUP = 4  # pictures whose spread is measured together


class DiscriminatorBlock(nn.Module):
    """Two convolutions, the second of which halves the side, around a shortcut."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = EqualisedConv(inside, inside, 3)
        self.second = EqualisedConv(inside, outside, 3)
        self.shortcut = EqualisedConv(inside, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in, H, W] to [B, out, H / 2, W / 2]."""
        y = activated(self.first(x))
        y = blurred(y, 2)
        y = activated(F.conv2d(y, self.second.gain * self.second.weight, self.second.bias, stride=2))
        out: Tensor = (y + self.shortcut(blurred(x, 1, stride=2))) / math.sqrt(2.0)
        return out


class ResidualTrunk(nn.Module):
    """Residual blocks from a picture down to 4²."""

    def __init__(self, size: int, channels: Sequence[int]) -> None:
        """Make one for pictures of a size; ``channels`` of the maps at 4, 8, … pixels."""
        super().__init__()
        assert len(channels) == len(stage_sides(size))
        self.entry = EqualisedConv(3, channels[-1], 1)
        pairs = zip(channels[:0:-1], channels[-2::-1], strict=True)
        self.blocks = nn.Sequential(*(DiscriminatorBlock(inside, outside) for inside, outside in pairs))

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] in about [-1, 1] to [B, channels[0], 4, 4]."""
        features: Tensor = self.blocks(activated(self.entry(picture)))
        return features


class Discriminator(nn.Module):
    """Residual blocks, the spread over a few pictures, and a logit."""

    def __init__(self, size: int, channels: Sequence[int]) -> None:
        """Make one for pictures of a size; ``channels`` of the maps at 4, 8, … pixels."""
        super().__init__()
        self.trunk = ResidualTrunk(size, channels)
        self.last = EqualisedConv(channels[0] + 1, channels[0], 3)
        self.hidden = EqualisedLinear(16 * channels[0], channels[0])
        self.logit = EqualisedLinear(channels[0], 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Pictures [B, 3, S, S] in about [-1, 1] to logits [B] of being real."""
        x = self.trunk(picture)
        x = torch.cat([x, minibatch_deviation(x)], dim=1)
        x = activated(self.last(x))
        logits: Tensor = self.logit(activated(self.hidden(x.flatten(1))))
        return logits[:, 0]


def minibatch_deviation(x: Tensor) -> Tensor:
    """How much features [B, C, H, W] differ within groups of pictures, as one more channel [B, 1, H, W].

    The mean, over channels and places, of the standard deviation over a group (Karras et al. 2018, section 3). A batch
    that groups do not divide is one group.
    """
    batch = len(x)
    group = _GROUP if batch % _GROUP == 0 else batch
    grouped = x.float().reshape(group, batch // group, -1)
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean(1)
    return deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:]).to(x.dtype)


def generator_loss(fake: Tensor) -> Tensor:
    """The non-saturating logistic loss of a generator, from the logits [B] of its pictures."""
    return F.softplus(-fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The logistic loss of a discriminator, from its logits [B] of both."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """R_1: the mean squared norm of a discriminator's gradient at real pictures (Mescheder et al. 2018).

    Args:
        discriminator: From [B, 3, S, S] to [B].
        real: [B, 3, S, S].
    """
    real = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(synthesis: Synthesis, codes: Tensor, noise: torch.Generator) -> Tensor:
    """|J_w^T y| of equation 4, [B], for pictures y of random normal numbers.

    Args:
        synthesis: g.
        codes: [B, n, W] with a gradient.
        noise: Where the chance of y and of the noise inputs comes from.
    """
    picture = synthesis(codes, noise)
    y = torch.randn(picture.shape, generator=noise, device=picture.device) / math.sqrt(picture[0, 0].numel())
    (gradient,) = torch.autograd.grad((picture * y).sum(), codes, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()
