# SPDX-License-Identifier: Apache-2.0
"""VGG-19's convolutions up to relu5_2 (Simonyan and Zisserman 2014), of any width.

Parameters are named as in torchvision, so that its ImageNet checkpoint loads at width 1 (`load_torchvision_weights`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.networks.blocks import keep_variance

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 2))  # channels and convolutions between poolings


def vgg_channels(width: float) -> tuple[int, ...]:
    """Channels of the five blocks at this width; VGG-19's own at 1.0."""
    return tuple(max(8, 8 * round(width * channels / 8)) for channels, _ in _BLOCKS)


class VGG19Features(nn.Module):
    """The last activation of each of the five blocks; the last block is cut after its second convolution."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.channels = vgg_channels(width)
        layers: list[nn.Module] = []
        inside = 3
        for outside, (_, convolutions) in zip(self.channels, _BLOCKS, strict=True):
            if layers:
                layers.append(nn.MaxPool2d(2))
            for _ in range(convolutions):
                layers += [nn.Conv2d(inside, outside, 3, 1, 1), nn.ReLU()]
                inside = outside
        self.features = nn.Sequential(*layers)
        keep_variance(self)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor, blocks: int = 5) -> list[Tensor]:
        """Features of the first blocks.

        Args:
            picture: [B, 3, H, W] in [0, 1].
            blocks: How many blocks to run, 1 to 5.

        Returns:
            One [B, C, H / 2^i, W / 2^i] per block i: relu1_2, relu2_2, relu3_4, relu4_4, relu5_2.
        """
        # Pictures that were put together from others come in any layout; this one is twice as fast on a CPU.
        x = ((picture - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        found: list[Tensor] = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                found.append(x)
                if len(found) == blocks:
                    return found
            x = layer(x)
        return [*found, x]


def perceptual_distance(features: VGG19Features, first: Tensor, second: Tensor, blocks: int = 1) -> Tensor:
    """Mean absolute difference of the features of two pictures [B, 3, H, W] in [0, 1], summed over blocks.

    Gradients reach both pictures; Johnson, Alahi and Fei-Fei 2016 with the L1 norm (HFFNE, equation 9).
    """
    pairs = zip(features(first, blocks), features(second, blocks), strict=True)
    return torch.stack([F.l1_loss(one.float(), other.float()) for one, other in pairs]).sum()
