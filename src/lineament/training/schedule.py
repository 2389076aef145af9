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


def learning_rate(
    step: int, steps: int, base: float, warmup: int, decay: Decay = "cosine", passed: float = 0.0
) -> float:
    """Linear warm-up to ``base``, then a cosine to ``FLOOR * base`` at the last step, or two divisions by ten.

    ``passed`` is the share of a training's time that is over, where that is limited: the decay follows it if it is
    ahead of the steps.
    """
    if step < warmup:
        return base * (step + 1) / warmup
    if decay == "steps":
        return base * 0.1 ** sum(max(passed, step / steps) >= share for share in (0.7, 0.8))
    progress = min(1.0, max(passed, (step - warmup) / max(1, steps - warmup)))
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
        pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        means = [pair for pair in pairs if pair[0].dtype.is_floating_point]
        # All at once: on an accelerator hundreds of small operations would take longer than what they compute.
        torch._foreach_lerp_([mean for mean, _ in means], [current for _, current in means], 1.0 - decay)
        for counter, current in pairs:
            if not counter.dtype.is_floating_point:
                counter.copy_(current)
