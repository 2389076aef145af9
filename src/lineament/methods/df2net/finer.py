# SPDX-License-Identifier: Apache-2.0
"""Fr-Net as the paper draws it (section 3.5, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.methods.df2net.parts import SMALL, convolution, seen_of
from lineament.networks.blocks import full_precision


class EncoderFinerNetwork(nn.Module):
    """Fr-Net as drawn (figure 2): one encoder from full resolution down to a quarter, and blocks back up.

    The encoder's features at half and full resolution are skips of the blocks. A block sees the photo averaged down to
    its resolution and the depth so far, doubles the resolution, and says a residual onto the depth that came in.
    """

    def __init__(self, channels: Sequence[int], multi_resolution: bool) -> None:
        """Make it; without ``multi_resolution`` blocks see the features that come up, neither photo nor depth."""
        super().__init__()
        full, half, quarter = channels
        self.multi_resolution = multi_resolution
        self.entry = _Entry(full)
        self.at_half = nn.ModuleList([convolution(2 * full, half), convolution(half, half)])
        self.at_quarter = _convolutions(2 * half, quarter)
        self.entries = nn.ModuleList(
            _Entry(full) if multi_resolution else nn.Sequential(nn.Conv2d(quarter, full, 1), _Doubled(full))
            for _ in range(2)
        )
        self.blocks = nn.ModuleList(_convolutions(2 * full + skip, quarter) for skip in (2 * half, 2 * full))
        self.last = nn.ModuleList(_narrowing(quarter) for _ in range(3 if multi_resolution else 1))

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        """A photo [B, 3, H, W] and depth [B, 1, H, W], H and W multiples of 4, to depth [B, 1, H, W]."""
        with full_precision(image):
            return depth + self.residual(image, depth)

    def residual(self, image: Tensor, depth: Tensor) -> Tensor:
        """What is added to depth [B, 1, H, W]."""
        full = self.entry(image, depth)
        first = self.at_half[0](F.max_pool2d(full, 2))
        half = torch.cat([first, self.at_half[1](first)], dim=1)
        features = self.at_quarter(F.max_pool2d(half, 2))
        for number, (share, skip) in enumerate(((4, half), (2, full))):
            if self.multi_resolution:
                residual = SMALL * self.last[number](features)
                known = F.avg_pool2d(depth, share) + residual
                entered = self.entries[number](F.avg_pool2d(image, share), known)
            else:
                entered = self.entries[number](features)
            up = F.interpolate(entered, skip.shape[2:], mode="bilinear", align_corners=False)
            features = self.blocks[number](torch.cat([up, skip], dim=1))
        out: Tensor = SMALL * self.last[-1](features)
        return out


class _Doubled(nn.Module):
    """Features beside a 3×3 convolution of them, [B, C, H, W] to [B, 2C, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.convolution(x)], dim=1)


class _Entry(nn.Module):
    """Photo [B, 3, H, W] and depth [B, 1, H, W], each in features of its own, to [B, 2 × channels, H, W]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.of_photo, self.of_depth = convolution(3, channels // 2), convolution(3, channels // 2)
        self.doubled = _Doubled(channels)

    def forward(self, photo: Tensor, depth: Tensor) -> Tensor:
        seen = torch.cat([self.of_photo(2.0 * photo - 1.0), self.of_depth(seen_of(depth))], dim=1)
        out: Tensor = self.doubled(seen)
        return out


def _convolutions(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(convolution(inside, outside), convolution(outside, outside), convolution(outside, outside))


def _narrowing(channels: int) -> nn.Sequential:
    """1×1 convolutions to one channel, by way of a quarter and a sixteenth."""
    quarter, sixteenth = channels // 4, channels // 16
    return nn.Sequential(
        nn.Conv2d(channels, quarter, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(quarter, sixteenth, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(sixteenth, 1, 1),
    )
