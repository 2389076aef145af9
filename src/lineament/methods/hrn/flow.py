# SPDX-License-Identifier: Apache-2.0
"""The re-aligned texture T' (HRN, section 3.2): a deformed mesh shows other places of the photo than the coarse one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.methods.hrn.chart import differences

_STEPS = 3  # of Newton's method
_DAMPING = 0.02  # square pixels per square texel below which a texel, seen from its edge, tells no direction
_FARTHEST = 16.0  # texels


def reversal_flow(before: Tensor, after: Tensor) -> Tensor:
    """Where in the texture of the coarse mesh lies what the deformed mesh shows.

    A texel u of the deformed mesh is seen at ``after(u)`` of the photo. The texture has that place at u + f(u), where
    ``before(u + f(u)) = after(u)``: solved by damped Newton steps.

    Args:
        before: [B, 2, S, S] pixels where the coarse mesh's texels are seen.
        after: [B, 2, S, S] pixels where the deformed mesh's are.

    Returns:
        [B, 2, S, S] texels to the right and down.
    """
    across, down = differences(before)  # the columns of before's Jacobian
    aa, ab, bb = (_dot(x, y) for x, y in ((across, across), (across, down), (down, down)))
    aa, bb = aa + _DAMPING, bb + _DAMPING
    determinant = aa * bb - ab * ab
    flow = torch.zeros_like(before)
    for _ in range(_STEPS):
        missing = after - shifted(before, flow)
        to_a, to_b = _dot(missing, across), _dot(missing, down)
        step = torch.cat([bb * to_a - ab * to_b, aa * to_b - ab * to_a], dim=1) / determinant
        flow = (flow + step).clamp(-_FARTHEST, _FARTHEST)
    return flow


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products [B, 1, S, S] of maps [B, 2, S, S]; a sum over their second dimension is some times slower."""
    return a[:, :1] * b[:, :1] + a[:, 1:] * b[:, 1:]


def shifted(maps: Tensor, flow: Tensor) -> Tensor:
    """A map [B, C, S, S] read at every texel's place plus a flow [B, 2, S, S] in texels; its edges go on."""
    side = maps.shape[-1]
    middle = torch.arange(side, device=maps.device, dtype=maps.dtype)
    columns, rows = middle[None, None, :] + flow[:, 0], middle[None, :, None] + flow[:, 1]
    grid = torch.stack([columns, rows], dim=-1) * (2.0 / side) + (1.0 / side - 1.0)
    return F.grid_sample(maps, grid, align_corners=False, padding_mode="border")
