# SPDX-License-Identifier: Apache-2.0
"""StyleGAN2 as weights that ship: the generator and its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lineament.models.stylegan2.method import WEIGHTS
from lineament.networks.stylegan2 import Generator, stage_sides
from lineament.weights.schema import WeightsFormat


@dataclass(frozen=True)
class StyleGAN2Config:
    """The generator's size; the defaults are those of the official FFHQ network (configuration F)."""

    size: int = 1024
    """Side of its pictures, pixels: a power of two."""
    latent: int = 512
    """Numbers of z and of w."""
    mapping_layers: int = 8
    base: int = 32768
    """A stage's channels are this divided by its side, but at most `most`."""
    most: int = 512

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the stages, at 4, 8, … pixels."""
        return tuple(max(1, min(self.most, self.base // side)) for side in stage_sides(self.size))

    def generator(self) -> Generator:
        """The generator with random weights."""
        return Generator(self.size, self.latent, self.mapping_layers, self.channels)


def stylegan2_s(size: int = 128) -> StyleGAN2Config:
    """The small one."""
    return StyleGAN2Config(size, latent=128, mapping_layers=4, base=2048, most=128)


class StyleGAN2(nn.Module):
    """The generator."""

    FORMAT: ClassVar[WeightsFormat] = WEIGHTS
    CONFIG: ClassVar[type] = StyleGAN2Config

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.generator = config.generator()

    def forward(self, z: Tensor, noise: bool | torch.Generator = True) -> Tensor:
        """Latents [B, Z] to pictures [B, 3, S, S] in [0, 1]."""
        picture: Tensor = self.generator(z, noise)
        return (0.5 + 0.5 * picture.float()).clamp(0.0, 1.0)
