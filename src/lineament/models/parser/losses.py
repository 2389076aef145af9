# SPDX-License-Identifier: Apache-2.0
"""The parser's losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.models.parser.model import ParserOutput, rotation_of

WEIGHTS = {"landmarks": 1.0, "visibility": 0.1, "pose": 0.3, "parse": 0.5, "agreement": 0.25}

_SURE = 0.9  # probability of a class from which on a teacher is believed

_HIDDEN = 0.4  # weight of a landmark that can only be guessed
_CLASS_WEIGHTS = (1.0, 1.0, 2.5, 2.0, 1.2, 2.5, 5.0, 3.0)  # small parts count more; in the order of `MaskClass`
_PER_CENT = 100.0
_KNEE = 0.3  # per cent of the side below which distances count by their square


def losses(
    parsing: ParserOutput, landmarks: Tensor, visible: Tensor, rotation: Tensor, mask: Tensor
) -> dict[str, Tensor]:
    """All parts of the loss.

    Args:
        parsing: The network's answer.
        landmarks: [B, 68, 2] shares of the crop's side.
        visible: [B, 68] bool.
        rotation: [B, 3, 3] of the head in the crop.
        mask: [B, S, S] MaskClass.

    Returns:
        Scalars by name: landmarks (smoothed distance in per cent of the crop's side), visibility (cross-entropy),
        pose (squared distance of matrices), parse (cross-entropy).
    """
    inside = ((landmarks > 0.0) & (landmarks < 1.0)).all(-1)
    weight = torch.where(visible, 1.0, _HIDDEN) * inside
    away = _PER_CENT * (parsing.landmarks - landmarks).norm(dim=-1)
    distance = torch.where(away < _KNEE, 0.5 / _KNEE * away.square(), away - 0.5 * _KNEE)
    classes = torch.tensor(_CLASS_WEIGHTS, device=mask.device)
    return {
        "landmarks": (distance * weight).sum() / weight.sum().clamp_min(1.0),
        "visibility": F.binary_cross_entropy_with_logits(parsing.visibility, visible.float()),
        "pose": (rotation_of(parsing.rotation) - rotation).square().sum((1, 2)).mean(),
        # Softmax over the last axis is several times faster than over the second.
        "parse": F.cross_entropy(parsing.parse.movedim(1, -1).flatten(0, 2), mask.flatten(), weight=classes),
    }


def agreement(parsing: ParserOutput, teacher: ParserOutput) -> Tensor:
    """How far a parser of recoloured photos is from a teacher of the same photos plain (self-training).

    Args:
        parsing: What is learned from.
        teacher: What is believed, without gradient.

    Returns:
        A scalar: cross-entropy of the parse where the teacher is sure of a class, and the landmarks' mean distance in
        per cent of the crop's side.
    """
    share = torch.softmax(teacher.parse, dim=1)
    sure, told = share.max(1)
    entropy = F.cross_entropy(parsing.parse, told, reduction="none")
    known = (sure > _SURE).to(entropy.dtype)
    away = _PER_CENT * (parsing.landmarks - teacher.landmarks).norm(dim=-1).mean()
    unlike = (entropy * known).sum() / known.sum().clamp_min(1.0)
    return torch.add(unlike, away)
