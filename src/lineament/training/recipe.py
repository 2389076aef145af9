# SPDX-License-Identifier: Apache-2.0
"""What the training loop asks of a method, and what recipes of a single network share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from lineament.networks.weight_files import save_weights
from lineament.training.config import LoopConfig
from lineament.training.parallel import average_gradients

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


def adam(network: nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """Adam for what of a network learns; in one operation on an accelerator, where hundreds of small ones are slow."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.Adam(learned, rate, weight_decay=decay, fused=learned[0].is_cuda)


def descend(loss: Tensor, network: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> Tensor:
    """One step down a loss, its gradient averaged over the processes and no longer than ``clip``.

    Returns:
        The gradient's length before it was clipped.
    """
    optimizer.zero_grad()
    loss.backward()
    average_gradients(network.parameters())
    norm = nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()
    return norm


class SingleNetworkRecipe(Generic[Batch]):
    """A recipe of one network, trained by AdamW on a weighted sum of losses; it begins with random weights."""

    weights: Mapping[str, float]
    """Weight of each loss, by name."""

    def __init__(self, model: Any, config: LoopConfig) -> None:
        """Keep the network, which knows its method's name, and the configuration."""
        self.model, self.config = model, config
        self.name: str = model.FORMAT.name

    def losses(self, model: Any, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """All parts of the loss, by name."""
        raise NotImplementedError

    def start(self) -> None:
        """It starts from random weights."""

    def beside(self) -> dict[str, nn.Module]:
        """Nothing is trained beside it."""
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """AdamW."""
        config = self.config
        optimizer = torch.optim.AdamW(self.model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
        return {"model": optimizer}

    def step(
        self, batch: Batch, step: int, optimizers: Mapping[str, torch.optim.Optimizer], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step."""
        parts = self.losses(self.model, batch, autocast)
        total = torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()
        norm = descend(total, self.model, optimizers["model"], self.config.clip)
        return {"loss": total.detach(), "gradient_norm": norm, **{name: part.detach() for name, part in parts.items()}}

    def save(self, model: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights."""
        save_weights(model, path, metadata)

    def in_layout(self, image: Tensor) -> Tensor:
        """Pictures in the memory layout that the configuration asks for."""
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return image.contiguous(memory_format=layout)
