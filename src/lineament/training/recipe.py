# SPDX-License-Identifier: Apache-2.0
"""What the training loop asks of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")


class Recipe(Protocol[Batch]):
    """A network, its data and its losses."""

    name: str
    """Stem of the weights' file."""
    model: Any
    """The network that is trained, averaged and saved."""

    def start(self) -> None:
        """Set the networks' first weights, where they come from a file."""

    def beside(self) -> dict[str, nn.Module]:
        """Networks that are trained beside the model but do not ship, by name."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by name; all follow one schedule."""

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Endless batches of the "train" or "validation" split from the ``first`` on, each a function of its number."""

    def step(
        self, batch: Batch, step: int, optimizers: Mapping[str, torch.optim.Optimizer], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """Learn from one batch; return figures for the log, ``loss`` among them."""

    def validate(self, model: Any, device: torch.device, sheet: Path) -> dict[str, float]:
        """Measure the averaged model on people kept from training, and draw what it says."""

    def save(self, model: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """Write weights that ship."""
