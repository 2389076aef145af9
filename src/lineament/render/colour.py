# SPDX-License-Identifier: Apache-2.0
"""Colours in torch: the sRGB curve, and what is grey."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""


def grey(image: Tensor) -> Tensor:
    """Luma [B, 1, H, W] of [B, 3, H, W]."""
    return (image * _luma(image.device, image.dtype)).sum(1, keepdim=True)


@lru_cache(maxsize=8)
def _luma(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The weights [1, 3, 1, 1] on a device, which would wait for it if they were brought there every time."""
    return torch.tensor(LUMA, device=device, dtype=dtype).view(1, 3, 1, 1)


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light to the sRGB curve (IEC 61966-2-1)."""
    return srgb_curve(linear.clamp(0.0, 1.0))


def srgb_curve(linear: Tensor) -> Tensor:
    """The same, carried on below black and above white, where a clamp would leave no gradient."""
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(1e-4) ** (1 / 2.4) - 0.055)


def decode_srgb(encoded: Tensor) -> Tensor:
    """The sRGB curve to linear light (IEC 61966-2-1)."""
    encoded = encoded.clamp(0.0, 1.0)
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
