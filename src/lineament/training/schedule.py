# SPDX-License-Identifier: Apache-2.0
"""The learning rate as a pure function of the step, and the averaged copy of the weights."""

from __future__ import annotations

import copy
import math
from typing import Generic, TypeVar

import torch
from torch import nn

from lineament.training.config import Decay

FLOOR = 0.02
"""Share of the base learning rate that is left at the end."""


def learning_rate(step: int, steps: int, base: float, warmup: int, decay: Decay = "cosine") -> float:
    """Linear warm-up to ``base``, then a cosine to ``FLOOR * base`` at the last step, or two divisions by ten."""
    if step < warmup:
        return base * (step + 1) / warmup
    if decay == "steps":
        return base * 0.1 ** sum(step >= share * steps for share in (0.7, 0.8))
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return base * (FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * progress)))


Model = TypeVar("Model", bound=nn.Module)


class AveragedModel(Generic[Model]):
    """Exponential moving average of a model's weights and batch-norm statistics."""

    def __init__(self, model: Model, decay: float) -> None:
        """Start from the model's present weights."""
        self.model: Model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model; the first steps count more, since there is little to average yet."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for averaged, current in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if averaged.dtype.is_floating_point:
                averaged.lerp_(current, 1.0 - decay)
            else:
                averaged.copy_(current)
