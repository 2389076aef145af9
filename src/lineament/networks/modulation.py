# SPDX-License-Identifier: Apache-2.0
"""Features steered by a vector: StyleGAN2's modulated convolution and AdaIN."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-8


class ModulatedConv2d(nn.Module):
    """A convolution whose weights a vector scales per input channel, then demodulated (Karras et al. 2020, eq. 1, 3).

    With s = A z + b the weights of a sample are w' = s_i · w_oik, divided by sqrt(Σ_ik w'² + ε), so that inputs of
    unit variance give outputs of unit variance. Scaling the input by s and the output by the demodulation is the same
    and needs one convolution for the whole batch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, vector: int) -> None:
        """Make a convolution of an odd ``kernel`` steered by a vector of ``vector`` numbers."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.style = nn.Linear(vector, in_channels)
        nn.init.normal_(self.style.weight, std=1.0 / math.sqrt(vector))
        nn.init.ones_(self.style.bias)
        self.gain = 1.0 / math.sqrt(in_channels * kernel**2)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Map [B, in, H, W], steered by z [B, vector], to [B, out, H, W]."""
        style = self.style(z)  # [B, in]
        weight = self.gain * self.weight
        x = F.conv2d(x * style[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        return x * demodulation(style, weight)[:, :, None, None] + self.bias[:, None, None]


def demodulation(style: Tensor, weight: Tensor) -> Tensor:
    """What a modulated convolution's output is multiplied with (Karras et al. 2020, equation 3).

    Args:
        style: s [B, in].
        weight: w [out, in, k, k].

    Returns:
        1 / √(Σ_ik (s_i w_oik)² + ε), [B, out].
    """
    strength = style.square() @ weight.square().sum((2, 3)).T  # Σ over inputs and places
    return torch.rsqrt(strength + _EPSILON)


class AdaptiveInstanceNorm(nn.Module):
    """AdaIN (Huang and Belongie 2017): features take the channel statistics that a vector asks for."""

    def __init__(self, channels: int, vector: int) -> None:
        super().__init__()
        self.statistics = nn.Linear(vector, 2 * channels)

    def forward(self, features: Tensor, vector: Tensor) -> Tensor:
        """[B, C, H, W] and [B, vector] to [B, C, H, W]."""
        scale, shift = self.statistics(vector)[:, :, None, None].chunk(2, dim=1)  # [B, C, 1, 1] each
        normalised = (features - features.mean((2, 3), keepdim=True)) / channel_deviation(features)
        out: Tensor = (1.0 + scale) * normalised + shift
        return out


def channel_deviation(x: Tensor) -> Tensor:
    """Standard deviation over the picture, [B, C, 1, 1]."""
    return (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
