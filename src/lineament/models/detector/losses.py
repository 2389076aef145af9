# SPDX-License-Identifier: Apache-2.0
"""The detector's losses: penalty-reduced focal loss of the score, distances of box and roll."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = {"score": 1.0, "box": 1.0, "roll": 0.3}

_SHARP, _NEAR = 2.0, 4.0  # the paper's alpha and beta


def score_loss(logits: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """Focal loss on a heat map (Zhou et al., "Objects as Points", equation 1).

    Args:
        logits: [B, H, W].
        heat: [B, H, W] 1 at faces' centres, falling off around them.
        counted: [B, H, W] bool, False where an answer is neither right nor wrong.

    Returns:
        A scalar: the sum over all cells, by the number of faces.
    """
    probability = torch.sigmoid(logits)
    centre = heat > 0.999
    log_yes, log_no = F.logsigmoid(logits), F.logsigmoid(-logits)
    missed = -((1.0 - probability) ** _SHARP) * log_yes * centre
    wrong = -((1.0 - heat) ** _NEAR) * probability**_SHARP * log_no * (~centre & counted)
    return (missed + wrong).sum() / centre.sum().clamp_min(1)


def box_loss(predicted: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean absolute error of centre (cells) and log size, [B, 4, H, W], weighted [B, H, W]."""
    return ((predicted - truth).abs().sum(1) * weight).sum() / weight.sum().clamp_min(1.0)


def roll_loss(predicted: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Squared distance of cosine and sine, [B, 2, H, W], weighted [B, H, W]; a roll that is unknown is (0, 0)."""
    weight = weight * (truth.square().sum(1) > 0.5)
    return ((predicted - truth).square().sum(1) * weight).sum() / weight.sum().clamp_min(1.0)
