# SPDX-License-Identifier: Apache-2.0
"""HRN's face analyser (Lei et al. 2023, section 3.2): from a photo to the coefficients of the morphable model, from
which the coarse mesh M_0 and the albedo A_0 follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lineament.errors import UsageError
from lineament.geometry.spherical_harmonics import Y00
from lineament.methods.hrn.coefficients import COUNT, SIZES
from lineament.methods.hrn.method import ANALYSER_WEIGHTS
from lineament.networks.encoder import EncoderName, Pyramid, pyramid_encoder
from lineament.weights.schema import WeightsFormat

_FIRST = 0.01  # standard deviation of the last layer's weights: an untrained answer is the mean face
_AT_REST = -4.0  # logit of the expressions' weights before training
_AMBIENT = 0.9  # shading of the light before training
_UNITS = {"identity": 0.2, "expression": 0.3, "albedo": 0.2, "angles": 0.05, "light": 0.1, "translation": 5.0}
"""What one of the last layer is in each coefficient's unit: all of them then move at a pace that suits them."""


@dataclass(frozen=True)
class AnalyserConfig:
    """Size of the face analyser."""

    encoder: EncoderName = "resnet50"
    """The paper's is ResNet-50."""
    hidden: int = 0
    """Width of the layer between the encoder's features, with their places, and the coefficients; 0 has none: the
    features' mean goes straight to the coefficients, as in the paper."""
    crop_size: int = 224
    """Side of the crop, pixels, that the weights were trained for."""

    def __post_init__(self) -> None:
        if self.crop_size % 32:
            raise UsageError(f"crops must be multiples of 32 pixels, not {self.crop_size}")


class FaceAnalyser(nn.Module):
    """From a crop to the coefficients of the morphable model (`lineament.methods.hrn.coefficients.SIZES`)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: AnalyserConfig) -> None:
        super().__init__()
        self.size = config.crop_size
        self.encoder = pyramid_encoder(config.encoder)
        deepest = self.encoder.channels[4]
        self.features: nn.Module
        if config.hidden:
            cells = (config.crop_size // 32) ** 2
            self.features = nn.Sequential(
                nn.Conv2d(deepest, config.hidden // 4, 1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(config.hidden // 4 * cells, config.hidden),
                nn.ReLU(),
            )
        else:
            self.features = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.last = nn.Linear(config.hidden or deepest, COUNT)
        nn.init.normal_(self.last.weight, std=_FIRST)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("mean", torch.tensor(self.encoder.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.encoder.STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Coefficients [B, ·] by name of crops [B, 3, S, S] in [0, 1]."""
        return self.of_pyramid(self.pyramid(image))

    def pyramid(self, image: Tensor) -> Pyramid:
        """The encoder's features of crops [B, 3, S, S] in [0, 1], S being the size that the weights are for.

        Raises:
            UsageError: Another shape.
        """
        if image.shape[1:] != (3, self.size, self.size):
            raise UsageError(f"images must be [B, 3, {self.size}, {self.size}], not {tuple(image.shape)}")
        scales: Pyramid = self.encoder((image - self.mean) / self.std)
        return scales

    def of_pyramid(self, scales: Pyramid) -> dict[str, Tensor]:
        """Coefficients [B, ·] by name of the encoder's features."""
        deepest = scales[4]
        with torch.autocast(deepest.device.type, enabled=False):
            raw = self.last(self.features(deepest.float()))
        found = dict(zip(SIZES, raw.split(tuple(SIZES.values()), dim=1), strict=True))
        found = {name: values * _UNITS[name] for name, values in found.items()}
        found["expression"] = torch.sigmoid(found["expression"] + _AT_REST)
        ambient = torch.zeros(1, 9, 3, device=raw.device)
        ambient[:, 0] = _AMBIENT / Y00
        found["light"] = found["light"] + ambient.flatten(1)
        return found


class Analyser(nn.Module):
    """The face analyser alone, as it is trained before the maps' networks."""

    FORMAT: ClassVar[WeightsFormat] = ANALYSER_WEIGHTS
    CONFIG: ClassVar[type] = AnalyserConfig

    def __init__(self, config: AnalyserConfig) -> None:
        super().__init__()
        self.config = config
        self.analyser = FaceAnalyser(config)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Coefficients of crops [B, 3, S, S] in [0, 1], S being ``config.crop_size``.

        Raises:
            UsageError: Another shape.
        """
        found: dict[str, Tensor] = self.analyser(image)
        return found
