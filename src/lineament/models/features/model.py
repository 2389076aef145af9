# SPDX-License-Identifier: Apache-2.0
"""VGG-19 of any width with heads for tasks that need no labels but the generator's.

The heads read all five blocks, so that each block learns something that can be compared: edges and grain in the
first, parts and shape in the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from lineament.models.features.method import WEIGHTS
from lineament.networks.normals import unit_normals
from lineament.networks.vgg import VGG19Features
from lineament.weights.schema import WeightsFormat

_HEAD = 24  # channels of the heads' common maps


@dataclass(frozen=True)
class FaceFeaturesConfig:
    """The network's size."""

    width: float = 0.25
    """Width of the VGG-19; 1.0 is the original."""


@dataclass(frozen=True)
class FaceFeaturesOutput:
    """What the heads say of a batch of noisy crops."""

    clean: Tensor
    """[B, 3, H, W], the photo without its noise."""
    normals: Tensor
    """[B, 3, H, W] unit, camera frame."""
    mask_logits: Tensor
    """[B, 1, H, W], positive on the face."""


class FaceFeatures(nn.Module):
    """The features and their heads."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = FaceFeaturesConfig

    def __init__(self, config: FaceFeaturesConfig) -> None:
        super().__init__()
        self.config = config
        self.vgg = VGG19Features(config.width)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, _HEAD, 1) for channels in self.vgg.channels)
        self.smooth = nn.ModuleList(nn.Conv2d(_HEAD, _HEAD, 3, 1, 1) for _ in self.vgg.channels)
        self.last = nn.Conv2d(_HEAD, 7, 3, 1, 1)

    def forward(self, image: Tensor) -> FaceFeaturesOutput:
        """Read noisy crops [B, 3, H, W] in about [0, 1]; H and W multiples of 16."""
        blocks = self.vgg(image)
        x: Tensor | None = None
        for features, lateral, smooth in zip(blocks[::-1], self.lateral[::-1], self.smooth[::-1], strict=True):
            here = lateral(features)
            if x is not None:
                here = here + F.interpolate(x, here.shape[2:], mode="nearest")
            x = F.relu(smooth(here))
        read = self.last(x)
        return FaceFeaturesOutput(read[:, :3].float(), unit_normals(read[:, 3:6]), read[:, 6:].float())
