# SPDX-License-Identifier: Apache-2.0
"""The parser's network: one encoder, landmarks as expected places of heat maps, a U-Net for the parse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.models.parser.method import WEIGHTS
from lineament.networks.blocks import conv_block
from lineament.networks.encoder import EncoderName, Pyramid, pyramid_encoder
from lineament.weights.schema import WeightsFormat

LANDMARKS = 68
CLASSES = 8


@dataclass(frozen=True)
class FaceParserConfig:
    """The network's size."""

    encoder: EncoderName = "resnet18"
    """What gives the pyramid of features."""
    width: float = 0.375
    """Width of a ResNet-18 encoder; 1.0 is the original, and the only one that the others have."""
    decoder_channels: tuple[int, int, int, int] = (96, 64, 64, 24)
    """Channels of the decoder at strides 16, 8, 4 and 2."""
    crop_size: int = 192
    """Side of the crop, pixels."""


@dataclass(frozen=True)
class ParserOutput:
    """What the network says of a batch of crops."""

    landmarks: Tensor  # [B, 68, 2] shares of the crop's side, x right and y down
    visibility: Tensor  # [B, 68] logits
    rotation: Tensor  # [B, 6] first two columns of the head's rotation, not yet orthogonal
    parse: Tensor  # [B, 8, S, S] logits of `MaskClass`

    def split(self, count: int) -> tuple[ParserOutput, ParserOutput]:
        """Of the first crops, and of the rest."""
        parts = (self.landmarks, self.visibility, self.rotation, self.parse)
        return ParserOutput(*(part[:count] for part in parts)), ParserOutput(*(part[count:] for part in parts))


class FaceParser(nn.Module):
    """Landmarks, visibility, pose and parse of a face's crop."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = FaceParserConfig
    mean: Tensor
    std: Tensor

    def __init__(self, config: FaceParserConfig) -> None:
        super().__init__()
        self.config = config
        d16, d8, d4, d2 = config.decoder_channels
        self.encoder = pyramid_encoder(config.encoder, config.width)
        skips = self.encoder.channels
        self.merge16 = conv_block(skips[4] + skips[3], d16)
        self.merge8 = conv_block(d16 + skips[2], d8)
        self.merge4 = conv_block(d8 + skips[1], d4)
        self.points = nn.Sequential(conv_block(d4, d4), nn.Conv2d(d4, 2 * LANDMARKS, 1))
        self.narrow2 = conv_block(d4, d2, 1)
        self.merge2 = conv_block(d2 + skips[0], d2)
        self.parse = nn.Sequential(nn.Conv2d(d2, 4 * CLASSES, 1), nn.PixelShuffle(2))
        self.pose = nn.Sequential(nn.Linear(skips[4], 64), nn.ReLU(), nn.Linear(64, 6))
        self.register_buffer("mean", torch.tensor(self.encoder.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> ParserOutput:
        """Read crops.

        Args:
            image: [B, 3, S, S] RGB in [0, 1]; S a multiple of 32.
        """
        pyramid: Pyramid = self.encoder((image - self.mean) / self.std)
        stem, first, second, third, deepest = pyramid
        x = self.merge16(torch.cat([_doubled(deepest), third], dim=1))
        x = self.merge8(torch.cat([_doubled(x), second], dim=1))
        x = self.merge4(torch.cat([_doubled(x), first], dim=1))  # [B, D4, S/4, S/4]
        heat, seen = self.points(x).float().split(LANDMARKS, dim=1)  # [B, 68, S/4, S/4] each
        landmarks, visibility = expected_places(heat, seen)
        x = self.merge2(torch.cat([_doubled(self.narrow2(x)), stem], dim=1))
        parse = self.parse(x)
        rotation = self.pose(deepest.mean((2, 3)))
        return ParserOutput(landmarks, visibility, rotation.float(), parse.float())


def expected_places(heat: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Where heat maps say that points are (Nibali et al. 2018, "Numerical coordinate regression", section 3.1).

    Args:
        heat: [B, N, H, W] logits of the place.
        values: [B, N, H, W] a quantity to be read there.

    Returns:
        Expected places [B, N, 2], shares of the map's width and height, and expected quantities [B, N].
    """
    batch, count, height, width = heat.shape
    share = torch.softmax(heat.reshape(batch, count, height * width), dim=-1)
    x = (torch.arange(width, device=heat.device, dtype=torch.float32) + 0.5) / width
    y = (torch.arange(height, device=heat.device, dtype=torch.float32) + 0.5) / height
    map_share = share.reshape(batch, count, height, width)
    places = torch.stack([(map_share.sum(2) * x).sum(-1), (map_share.sum(3) * y).sum(-1)], dim=-1)
    return places, (share * values.reshape(batch, count, height * width)).sum(-1)


def rotation_of(columns: Tensor) -> Tensor:
    """Rotation matrices [B, 3, 3] of six numbers [B, 6] (Zhou et al. 2019, "On the continuity of rotation")."""
    first = F.normalize(columns[:, :3], dim=1)
    second = columns[:, 3:] - (first * columns[:, 3:]).sum(1, keepdim=True) * first
    second = F.normalize(second, dim=1)
    return torch.stack([first, second, torch.cross(first, second, dim=1)], dim=2)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
