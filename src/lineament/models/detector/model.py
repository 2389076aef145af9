# SPDX-License-Identifier: Apache-2.0
"""The detector's network: an anchor-free detector (after CenterNet, Zhou et al. 2019) at one stride.

It sees faces of about 20 to 72 pixels; a pyramid of the photo brings every other size into that range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lineament.models.detector.method import WEIGHTS
from lineament.networks.blocks import SeparableBlock, conv_block
from lineament.networks.resnet import BasicBlock
from lineament.weights.schema import WeightsFormat

STRIDE = 8
"""Photo pixels per cell of the output."""

REFERENCE = 36.0
"""Pixels: the box of a face whose predicted log sizes are zero."""

_PRIOR = -4.6  # logit of 1 %: few cells are a face's


@dataclass(frozen=True)
class FaceDetectorConfig:
    """The network's size."""

    channels: tuple[int, int, int, int, int] = (16, 24, 40, 64, 128)
    """Channels at strides 2, 4, 8, 16 and 32."""


class FaceDetector(nn.Module):
    """Scores and boxes of faces at every eighth pixel."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = FaceDetectorConfig

    def __init__(self, config: FaceDetectorConfig) -> None:
        super().__init__()
        self.config = config
        c2, c4, c8, c16, c32 = config.channels
        self.stem = nn.Sequential(conv_block(3, c2, 3, 2), conv_block(c2, c4, 3, 2), conv_block(c4, c8, 3, 2))
        self.stride8 = SeparableBlock(c8)
        self.stride16 = nn.Sequential(conv_block(c8, c16, 3, 2), SeparableBlock(c16), SeparableBlock(c16))
        self.stride32 = nn.Sequential(conv_block(c16, c32, 3, 2), BasicBlock(c32, c32, 1))
        self.up16 = conv_block(c32, c16, 1)
        self.merge16 = SeparableBlock(c16)
        self.up8 = conv_block(c16, c8, 1)
        self.merge8 = nn.Sequential(SeparableBlock(c8), SeparableBlock(c8))
        self.head = nn.Conv2d(c8, 7, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        assert self.head.bias is not None
        with torch.no_grad():
            self.head.bias.zero_()[0] = _PRIOR

    def forward(self, image: Tensor) -> Tensor:
        """Find faces in pictures.

        Args:
            image: [B, 3, H, W] RGB in [0, 1]; H and W multiples of 32.

        Returns:
            [B, 7, H/8, W/8]: the score's logit; the face's centre less the cell's, in cells, x and y; logarithms of
            the box's width and height over `REFERENCE`; cosine and sine of the face's roll, clockwise as seen (not
            normalised).
        """
        eighth = self.stride8(self.stem((image - 0.5) * 4.0))  # [B, C8, H/8, W/8]
        sixteenth = self.stride16(eighth)
        deep = self.up16(self.stride32(sixteenth))
        sixteenth = self.merge16(sixteenth + F.interpolate(deep, scale_factor=2.0, mode="nearest"))
        eighth = self.merge8(eighth + F.interpolate(self.up8(sixteenth), scale_factor=2.0, mode="nearest"))
        out: Tensor = self.head(eighth)
        return out.float()
