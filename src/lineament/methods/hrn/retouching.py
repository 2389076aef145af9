# SPDX-License-Identifier: Apache-2.0
"""De-retouching (HRN, section 3.4): taking blemishes off a texture, and painting them on the coarse albedo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lineament.errors import UsageError
from lineament.methods.hrn.method import RETOUCHING_WEIGHTS
from lineament.methods.hrn.model import CHART
from lineament.networks.unet import Pix2PixUNet
from lineament.render.colour import decode_srgb
from lineament.weights.schema import WeightsFormat

_DARK = 1e-6  # ε of equation 6, and its counterpart of the cube


@dataclass(frozen=True)
class RetouchingConfig:
    """Size of the network."""

    levels: int = 8
    width: int = 64

    def __post_init__(self) -> None:
        if CHART % 2**self.levels:
            raise UsageError(f"a map of {CHART} texels cannot be halved {self.levels} times")


def retouching_size(small: bool) -> RetouchingConfig:
    """The small size, or that of the paper's pix2pix networks."""
    return RetouchingConfig(5, 8) if small else RetouchingConfig()


class Retouching(nn.Module):
    """The network G: a blend layer b for a texture t, which makes it (1 - 2b) t² + 2b t (Lei et al. 2022, ABPN)."""

    FORMAT: ClassVar[WeightsFormat] = RETOUCHING_WEIGHTS
    CONFIG: ClassVar[type] = RetouchingConfig

    def __init__(self, config: RetouchingConfig) -> None:
        super().__init__()
        self.config = config
        self.network = Pix2PixUNet(3, 3, config.levels, config.width)

    def forward(self, texture: Tensor) -> Tensor:
        """Textures [B, 3, 256, 256] in [0, 1], sRGB, without moles, freckles and blemishes; wrinkles stay."""
        blend = torch.sigmoid(self.network(2.0 * texture - 1.0).float())
        out: Tensor = (1.0 - 2.0 * blend) * texture.square() + 2.0 * blend * texture
        return out


def refined_albedo(albedo: Tensor, texture: Tensor, retouched: Tensor) -> Tensor:
    """The albedo A' with what retouching took away (equations 3 to 5), in linear light, where shading multiplies.

    Equation 6 taken literally, φ = 1 / (T³ + ε), is 1 at least and flattens the ratio; here φ = 1 / (10⁶ T³ + 10⁻⁶),
    which is felt in the dark alone.

    Args:
        albedo: A_0, [B, 3, S, S] linear.
        texture: T', [B, 3, S, S] sRGB in [0, 1].
        retouched: T_0, likewise.

    Returns:
        [B, 3, S, S] linear.
    """
    own, without = decode_srgb(texture.clamp(0.0, 1.0)), decode_srgb(retouched.clamp(0.0, 1.0))
    guard = 1.0 / (without**3 / _DARK + _DARK)
    return albedo * (own + guard) / (without + guard)
