# SPDX-License-Identifier: Apache-2.0
"""Labels that are read off the finished layers: the parts of the face, and which landmarks are seen."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.rig import Part
from lineament.synth.batch import MaskClass
from lineament.synth.skin import Surface


def label_parts(mask: Tensor, part: Tensor, surface: Surface) -> Tensor:
    """Tell lips, brows and teeth from the skin and the mouth's inside, [B, 1, S, S] uint8 of `MaskClass`."""
    regions = surface.regions
    skin, mouth = mask == int(MaskClass.SKIN), mask == int(MaskClass.MOUTH)
    mask = mask.clone()
    mask[skin & (torch.minimum(regions["brow_left"], regions["brow_right"]) < 0.0)] = int(MaskClass.BROWS)
    mask[skin & (regions["lip"] < 0.0)] = int(MaskClass.MOUTH)
    mask[mouth & (part == int(Part.TEETH))] = int(MaskClass.TEETH)
    return mask


def visible_landmarks(z: Tensor, landmarks: Tensor, position: Tensor, solid: Tensor, mask: Tensor) -> Tensor:
    """Which landmarks are seen, [B, 68] bool.

    Args:
        z: [B, 68] mm towards the camera.
        landmarks: [B, 68, 2] px.
        position: [B, 3, S, S] mm, of the bare head's surface.
        solid: [B, 1, S, S] bool, what is head and not covered by a hand or a thing.
        mask: [B, 1, S, S] MaskClass.

    Returns:
        True where the landmark lies in the picture, on the side of the head that is seen, and not under hair, a hat,
        dark glasses, a collar or whatever else.
    """
    size = mask.shape[-1]
    column, row = landmarks.long().clamp(0, size - 1).unbind(-1)  # [B, 68] each
    sample = torch.arange(len(mask), device=mask.device)[:, None]
    inside = ((landmarks >= 0) & (landmarks < size)).all(-1)
    # A landmark on the outline has pixels of the background beside it, whose z is zero: those hide nothing.
    behind = (position[sample, 2, row, column] - z > 8.0) & (position[sample, :, row, column] != 0).any(-1)
    shown = mask[sample, 0, row, column]
    # One pixel of other things may be the background beyond the outline: what hides a landmark lies all around it.
    rim = F.max_pool2d((mask != int(MaskClass.OTHER)).float() * (mask != int(MaskClass.HAIR)) * solid, 3, 1, 1)
    hidden = (rim[sample, 0, row, column] == 0) | (shown == int(MaskClass.GLASSES))
    return inside & ~behind & ~hidden
