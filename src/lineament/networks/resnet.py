# SPDX-License-Identifier: Apache-2.0
"""ResNet-18 as a pyramid of features (He et al. 2016), of any width.

Parameters are named as in torchvision, so that its ImageNet checkpoint loads at width 1.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (2, 4, 8, 16, 32)


def pyramid_channels(width: float) -> tuple[int, int, int, int, int]:
    """Channels of the five scales of an encoder of this width; ResNet-18's own at 1.0."""
    stem, second, third, fourth = (max(8, 8 * round(width * c / 8)) for c in (64, 128, 256, 512))
    return stem, stem, second, third, fourth


class BasicBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, channels, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet18Encoder(nn.Module):
    """ResNet-18 without its classifier, split into five scales."""

    MEAN: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    STD: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.channels = pyramid_channels(width)
        """Channels of the five scales."""
        stem, c1, c2, c3, c4 = self.channels
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.layer1 = nn.Sequential(BasicBlock(stem, c1, 1), BasicBlock(c1, c1, 1))
        self.layer2 = nn.Sequential(BasicBlock(c1, c2, 2), BasicBlock(c2, c2, 1))
        self.layer3 = nn.Sequential(BasicBlock(c2, c3, 2), BasicBlock(c3, c3, 1))
        self.layer4 = nn.Sequential(BasicBlock(c3, c4, 2), BasicBlock(c4, c4, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        stem = F.relu(self.bn1(self.conv1(image)))  # [B, C0, H/2, W/2]
        first = self.layer1(F.max_pool2d(stem, 3, 2, 1))  # [B, C1, H/4, W/4]
        second = self.layer2(first)  # [B, C2, H/8, W/8]
        third = self.layer3(second)  # [B, C3, H/16, W/16]
        return stem, first, second, third, self.layer4(third)  # [B, C4, H/32, W/32]
