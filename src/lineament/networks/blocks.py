# SPDX-License-Identifier: Apache-2.0
"""Small blocks that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def full_precision(x: Tensor) -> torch.autocast:
    """Where autocast stays out, for what bf16's three digits are too coarse for: depth whose slopes shall be smooth."""
    return torch.autocast(x.device.type, enabled=False)


def eval_frozen(model: nn.Module) -> None:
    """Networks within a model that have nothing to learn stay as they are in use, their normalisation with them."""
    for network in model.children():
        if not any(parameter.requires_grad for parameter in network.parameters()):
            network.eval()


def conv_block(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class SeparableBlock(nn.Module):
    """Two depthwise separable convolutions around a shortcut (Howard et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [
                nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False),
                nn.BatchNorm2d(channels),
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            ]
            layers += [] if last else [nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H, W]."""
        out: Tensor = self.activation(x + self.layers(x))
        return out


def keep_variance(network: nn.Module, slope: float = 0.0) -> None:
    """Give all convolutions first weights that keep the variance (He et al. 2015), where no normalisation does.

    With torch's own ones signals fade from layer to layer: after the fourteen of VGG-19 nothing is left of them.

    Args:
        network: Changed in place.
        slope: Of the leaky ReLUs after the convolutions; 0 for plain ones.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, slope, nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
