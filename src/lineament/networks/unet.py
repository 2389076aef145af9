# SPDX-License-Identifier: Apache-2.0
"""U-Nets: pix2pix's generator (Isola et al. 2017), and a decoder with skips over an encoder's pyramid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lineament.errors import UsageError
from lineament.networks.encoder import EncoderName, pyramid_encoder


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


class PyramidDecoder(nn.Module):
    """Five stride-2 transposed convolutions with skips, and a last convolution (Cas-FNE's D_n and D_cn)."""

    def __init__(
        self,
        in_channels: int,
        skip_channels: tuple[int, ...],
        channels: tuple[int, ...],
        out_channels: int,
        last_kernel: int = 3,
    ) -> None:
        super().__init__()
        entering = [in_channels, *(c + s for c, s in zip(channels[:-1], skip_channels, strict=True))]
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU())
            for inside, outside in zip(entering, channels, strict=True)
        )
        self.last = nn.Conv2d(channels[-1], out_channels, last_kernel, 1, last_kernel // 2)

    def forward(self, deepest: Tensor, skips: tuple[Tensor, ...]) -> Tensor:
        """Map [B, C, H/32, W/32] and the skips at 1/16, 1/8, 1/4, 1/2 to [B, out, H, W]."""
        out: Tensor = self.last(self.up(deepest, skips))
        return out

    def up(self, deepest: Tensor, skips: tuple[Tensor, ...], last: int = 4) -> Tensor:
        """Features after the transposed convolution number ``last``, [B, channels[last], ·, ·]."""
        x: Tensor = self.ups[0](deepest)
        for number in range(1, last + 1):
            x = self.ups[number](torch.cat([x, skips[number - 1]], dim=1))
        return x


class PyramidUNet(nn.Module):
    """An encoder that gives a pyramid, chosen by name, and a decoder over it."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: EncoderName, out_channels: int, channels: tuple[int, int, int, int, int]) -> None:
        """Make one with random weights; ``channels`` are the decoder's, deepest first."""
        super().__init__()
        self.encoder = pyramid_encoder(encoder)
        self.decoder = PyramidDecoder(
            self.encoder.channels[4], self.encoder.channels[3::-1], channels, out_channels=out_channels
        )
        self.register_buffer("mean", torch.tensor(self.encoder.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        """Map RGB [B, 3, H, W] in [0, 1], sides multiples of 32, to [B, out, H, W] of any range."""
        pyramid = self.encoder((picture - self.mean) / self.std)
        out: Tensor = self.decoder(pyramid[4], pyramid[3::-1])
        return out


def check_images(image: Tensor, step: int) -> None:
    """Raise UsageError for anything but photos [B, 3, H, W], H and W multiples of ``step``."""
    if image.ndim != 4 or image.shape[1] != 3 or image.shape[2] % step or image.shape[3] % step:
        raise UsageError(f"images must be [B, 3, H, W], H and W multiples of {step}, not {tuple(image.shape)}")
