# SPDX-License-Identifier: Apache-2.0
"""The U-Net generator of pix2pix (Isola et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.errors import UsageError


class Pix2PixUNet(nn.Module):
    """Stride-2 4×4 convolutions down to the bottleneck and transposed ones back up, with a skip at each level.

    The channels double from level to level, up to eight times the width. The first and last convolution and the
    bottleneck have no normalisation, as in the original; its dropout is left out.
    """

    def __init__(self, in_channels: int, out_channels: int, levels: int = 8, width: int = 64) -> None:
        """Make a U-Net for pictures whose sides are multiples of 2 ** ``levels``."""
        super().__init__()
        channels = [width * min(8, 2**level) for level in range(levels)]
        self.downs = nn.ModuleList([nn.Conv2d(in_channels, channels[0], 4, 2, 1)])
        for level in range(1, levels):
            deepest = level == levels - 1
            layers: list[nn.Module] = [
                nn.LeakyReLU(0.2),
                nn.Conv2d(channels[level - 1], channels[level], 4, 2, 1, bias=deepest),
            ]
            if not deepest:
                layers.append(nn.BatchNorm2d(channels[level]))
            self.downs.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList()
        for level in range(levels - 1, 0, -1):
            entering = channels[level] if level == levels - 1 else 2 * channels[level]
            self.ups.append(
                nn.Sequential(
                    nn.ReLU(),
                    nn.ConvTranspose2d(entering, channels[level - 1], 4, 2, 1, bias=False),
                    nn.BatchNorm2d(channels[level - 1]),
                )
            )
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * channels[0], out_channels, 4, 2, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, out, H, W], of any range."""
        out: Tensor = self.last(self.features(picture))
        return out

    def features(self, picture: Tensor) -> Tensor:
        """What the last layer sees, [B, 2 × width, H / 2, W / 2]."""
        skips: list[Tensor] = []
        x = picture
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = torch.cat([up(x), skips.pop()], dim=1)
        return x


def check_images(image: Tensor, step: int) -> None:
    """Raise UsageError for anything but photos [B, 3, H, W], H and W multiples of ``step``."""
    if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % step or image.shape[3] % step:
        raise UsageError(f"images must be [B, 3, H, W], H and W multiples of {step}, not {tuple(image.shape)}")
