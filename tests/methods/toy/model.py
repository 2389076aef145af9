# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lineament.methods.toy.method import WEIGHTS  # type: ignore[import-not-found]
from torch import Tensor, nn

from lineament.networks.normals import unit_normals
from lineament.weights.schema import WeightsFormat


@dataclass(frozen=True)
class ToyConfig:
    kernel: int = 9
    crop_size: int = 64


class Toy(nn.Module):
    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.config = config
        self.convolution = nn.Conv2d(3, 3, config.kernel, padding=config.kernel // 2)

    def forward(self, image: Tensor) -> Tensor:
        """Normals [B, 3, H, W] of photos [B, 3, H, W]."""
        return unit_normals(self.convolution(image))

    def run_stages(self, image: Tensor, stages: int) -> None:
        self(image)


def network() -> Toy:
    return Toy(ToyConfig())
