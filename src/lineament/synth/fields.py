# SPDX-License-Identifier: Apache-2.0
"""Small functions on per-pixel fields [B, C, H, W] that the generator's files share."""

from __future__ import annotations

import torch
from torch import Tensor


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors along dimension 1 to length one; zero stays zero."""
    # torch.nn.functional.normalize reduces over a strided dimension on the CPU, which is five times slower.
    x, y, z = vectors.unbind(1)
    return vectors * torch.rsqrt((x * x + y * y + z * z).clamp_min(1e-12))[:, None]


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products along dimension 1, [B, 3, H, W] twice to [B, 1, H, W]."""
    return a[:, :1] * b[:, :1] + a[:, 1:2] * b[:, 1:2] + a[:, 2:] * b[:, 2:]


def smoothstep(low: float | Tensor, high: float | Tensor, value: Tensor) -> Tensor:
    """Hermite step from 0 at ``low`` to 1 at ``high``."""
    t = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def per_sample(value: Tensor) -> Tensor:
    """One number per sample [B] as a field [B, 1, 1, 1]."""
    return value[:, None, None, None]
