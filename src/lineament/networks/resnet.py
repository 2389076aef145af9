# SPDX-License-Identifier: Apache-2.0
"""ResNet-18, of any width, and ResNet-50 as pyramids of features (He et al. 2016).

Parameters are named as in torchvision, so that its ImageNet checkpoints load at width 1.
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
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, channels, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """A 1×1, a 3×3 and a 1×1 convolution around a shortcut; the stride is the 3×3 one's, as in torchvision."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        narrow = channels // 4
        self.conv1 = nn.Conv2d(in_channels, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = nn.Conv2d(narrow, channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, in, H, W] to [B, channels, H / stride, W / stride]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


def _shortcut(in_channels: int, channels: int, stride: int) -> nn.Sequential | None:
    """What brings a block's input to the shape of its output; None where it has it already."""
    if stride == 1 and in_channels == channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


class ResNetEncoder(nn.Module):
    """A ResNet without its classifier, split into five scales."""

    MEAN: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    STD: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        counts: tuple[int, int, int, int],
        channels: tuple[int, int, int, int, int],
    ) -> None:
        """Make one of so many blocks in each of the four layers, with these channels at the five scales."""
        super().__init__()
        self.channels = channels
        """Channels of the five scales."""
        self.conv1 = nn.Conv2d(3, channels[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        layers = [
            nn.Sequential(block(inside, outside, stride), *(block(outside, outside, 1) for _ in range(count - 1)))
            for count, inside, outside, stride in zip(counts, channels, channels[1:], (1, 2, 2, 2), strict=False)
        ]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Features at strides 2, 4, 8, 16 and 32 of a normalised image [B, 3, H, W]."""
        stem = F.relu(self.bn1(self.conv1(image)))  # [B, C0, H/2, W/2]
        first = self.layer1(F.max_pool2d(stem, 3, 2, 1))  # [B, C1, H/4, W/4]
        second = self.layer2(first)  # [B, C2, H/8, W/8]
        third = self.layer3(second)  # [B, C3, H/16, W/16]
        return stem, first, second, third, self.layer4(third)  # [B, C4, H/32, W/32]


class ResNet18Encoder(ResNetEncoder):
    """ResNet-18 as a pyramid, its channels scaled by a width."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(BasicBlock, (2, 2, 2, 2), pyramid_channels(width))


class ResNet50Encoder(ResNetEncoder):
    """ResNet-50 as a pyramid."""

    def __init__(self) -> None:
        super().__init__(Bottleneck, (3, 4, 6, 3), (64, 256, 512, 1024, 2048))
