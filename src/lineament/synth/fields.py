# SPDX-License-Identifier: Apache-2.0
"""Small functions on per-pixel fields [B, C, H, W] that the generator's files share."""

from __future__ import annotations

from torch import Tensor


def smoothstep(low: float | Tensor, high: float | Tensor, value: Tensor) -> Tensor:
    """Hermite step from 0 at ``low`` to 1 at ``high``."""
    t = ((value - low) / (high - low)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def per_sample(value: Tensor) -> Tensor:
    """One number per sample [B] as a field [B, 1, 1, 1]."""
    return value[:, None, None, None]
