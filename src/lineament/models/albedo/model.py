# SPDX-License-Identifier: Apache-2.0
"""A U-Net from photos to albedo, trained on the generator's labels.

DF²Net takes its albedo from SfSNet, whose weights may not ship; relighting and texture methods need one, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lineament.models.albedo.method import WEIGHTS
from lineament.networks.unet import Pix2PixUNet, check_images
from lineament.weights.schema import WeightsFormat

_EPSILON = 0.02  # brightness from 0 and from 1 at which a photo's logit is cut


@dataclass(frozen=True)
class AlbedoConfig:
    """The network's size."""

    levels: int = 6
    """Depth of the U-Net: crops must be multiples of 2 ** levels."""
    width: int = 16
    """Channels of its first level."""
    crop_size: int = 256
    """Side of the crop, pixels, that the weights were trained for."""


class AlbedoNetwork(nn.Module):
    """From photos to albedo: the network says how they differ, as logits, so that what is no shading stays sharp."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = AlbedoConfig

    def __init__(self, config: AlbedoConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = Pix2PixUNet(3, 3, config.levels, config.width)

    def forward(self, image: Tensor) -> Tensor:
        """Albedo [B, 3, H, W], encoded as sRGB, of photos [B, 3, H, W] in [0, 1].

        Raises:
            UsageError: Sides that are no multiples of 2 ** levels.
        """
        check_images(image, 2**self.config.levels)
        change: Tensor = self.unet(2.0 * image - 1.0).float()
        return torch.sigmoid(torch.logit(image.float(), eps=_EPSILON) + change)
