# SPDX-License-Identifier: Apache-2.0
"""HFFNE's encoders: E_R of the exemplar (equation 1) and E_I of the face (equation 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from lineament.networks.blocks import keep_variance
from lineament.networks.vgg import VGG19Features, vgg_channels

Injection = Literal["skips", "bottleneck", "modulation"]
Layout = Literal["text", "code"]

SLOPE = 0.2
"""Of all leaky ReLUs."""


class ExemplarEncoder(nn.Module):
    """E_R: VGG-19's relu5_2 of the exemplar, then convolutions with pooling, to a vector (A3) or to a map (A2)."""

    def __init__(self, vgg_width: float, vector: int, injection: Injection, layout: Layout) -> None:
        super().__init__()
        self.to_z: nn.Module | None = None
        self.vgg = VGG19Features(vgg_width).requires_grad_(False)
        deep, out = vgg_channels(vgg_width)[-1], vector
        self.to_vector = injection == "modulation"
        if layout == "code" and self.to_vector:
            self.blocks, self.to_z = _strided_blocks(deep, out), _vector_layers(out)
            keep_variance(self.blocks, SLOPE)
            keep_variance(self.to_z, SLOPE)
            return
        blocks = 3 if self.to_vector else 1
        layers: list[nn.Module] = []
        for block in range(blocks):
            layers += [
                nn.Conv2d(deep if block == 0 else out, out, 3, 1, 1),
                nn.LeakyReLU(SLOPE),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
        self.blocks = nn.Sequential(*layers)
        keep_variance(self.blocks, SLOPE)

    def forward(self, exemplar: Tensor) -> Tensor:
        """Normals [B, 3, H, W] to z [B, vector], or to features [B, vector, H/32, W/32]."""
        deepest = self.vgg(0.5 * exemplar + 0.5)[-1]
        described: Tensor = self.blocks(deepest)
        if self.to_z is not None:
            z: Tensor = self.to_z(described.mean((2, 3), keepdim=True))
            return z[:, :, 0, 0]
        return described.mean((2, 3)) if self.to_vector else described


def _strided_blocks(inside: int, channels: int) -> nn.Sequential:
    """The code's E_R after VGG: twice a stride-2 4×4 convolution and a 3×3 one."""
    layers: list[nn.Module] = []
    for entering in (inside, channels):
        for convolution in (nn.Conv2d(entering, channels, 4, 2, 2), nn.Conv2d(channels, channels, 3, 1, 1)):
            layers += [convolution, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


def _vector_layers(channels: int) -> nn.Sequential:
    """Three 1×1 convolutions by way of half the channels, [B, channels, 1, 1] to the same."""
    half = channels // 2
    return nn.Sequential(
        nn.Conv2d(channels, half, 1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(half, half, 1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(half, channels, 1),
    )


class FaceEncoder(nn.Module):
    """E_I: five levels of a stride-2 4×4 convolution and a residual block; in the code's layout the first level keeps
    the full resolution, and each has two 3×3 convolutions.
    """

    def __init__(self, channels: Sequence[int], layout: Layout) -> None:
        super().__init__()
        if layout == "code":
            self.levels = nn.ModuleList(
                _full_resolution_level(inside, outside, number > 0)
                for number, (inside, outside) in enumerate(zip((1, *channels[:-1]), channels, strict=True))
            )
            keep_variance(self, SLOPE)
            return
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inside, outside, 4, 2, 1), nn.LeakyReLU(SLOPE), ResidualBlock(outside))
            for inside, outside in zip((1, *channels[:-1]), channels, strict=True)
        )
        keep_variance(self, SLOPE)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """f_1 to f_5, [B, C_i, H / 2^i, W / 2^i] (2^(i - 1) in the code's layout), of grey [B, 1, H, W] in [-1, 1]."""
        features: list[Tensor] = []
        x = picture
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside the identity, their sum scaled by 1/√2 to keep its variance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H, W]."""
        out: Tensor = (x + self.layers(x)) / math.sqrt(2.0)
        return out


def _full_resolution_level(inside: int, outside: int, down: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inside, inside, 4, 2, 1), nn.LeakyReLU(SLOPE)] if down else []
    for entering in (inside, outside):
        layers += [nn.Conv2d(entering, outside, 3, 1, 1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
