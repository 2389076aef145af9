# SPDX-License-Identifier: Apache-2.0
"""What every network that estimates normals ends in."""

from __future__ import annotations

import torch
from torch import Tensor

from lineament.render.vectors import unit


def unit_normals(raw: Tensor) -> Tensor:
    """tanh, then unit length, in full precision: [B, 3, H, W]."""
    return unit(torch.tanh(raw.float()))
