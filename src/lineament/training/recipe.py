# SPDX-License-Identifier: Apache-2.0
"""What the training loop asks of a method, and what recipes of a single network share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from lineament.networks.weight_files import save_weights
from lineament.training.batch import Batch
from lineament.training.config import LoopConfig
from lineament.training.parallel import averaging

Computed = TypeVar("Computed")


class Learner:
    """A network that learns, with its optimiser, alone or together with those of other processes."""

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer, clip: float) -> None:
        """Take a network on its device.

        Args:
            network: The network; only what its optimiser holds moves.
            optimizer: Its optimiser.
            clip: Largest norm of the gradient.
        """
        self.network, self.optimizer, self.clip = network, optimizer, clip
        self._run = averaging(network)

    def descend(self, compute: Callable[[], tuple[Tensor, Computed]]) -> tuple[Tensor, Tensor, Computed]:
        """One step down a loss, its gradient averaged over the processes and no longer than ``clip``.

        Args:
            compute: Runs the network and gives the loss, a scalar, and whatever else is wanted of it, without gradient:
                tensors, or lists and dictionaries of them.

        Returns:
            The loss, without gradient; the gradient's length before it was clipped; and what else was computed.
        """
        self.optimizer.zero_grad()
        loss, computed = self._run(compute)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()
        return loss.detach(), norm, computed


def learners_of(recipe: Recipe, optimizers: Mapping[str, torch.optim.Optimizer], clip: float) -> dict[str, Learner]:
    """The networks of a recipe that learn, by the names of their optimisers; all on their device already."""
    networks = {"model": recipe.model, **recipe.auxiliary()}
    return {name: Learner(networks[name], optimizer, clip) for name, optimizer in optimizers.items()}


class Recipe(Protocol):
    """A network, its data and its losses."""

    name: str
    """Stem of the weights' file."""
    model: Any
    """The network that is trained, averaged and saved."""

    def start(self) -> None:
        """Set the networks' first weights, where they come from a file."""

    def auxiliary(self) -> dict[str, nn.Module]:
        """Networks that are trained beside the model but do not ship, by name."""

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimisers, by the names of their networks, ``model`` or one beside it; all follow one schedule."""

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Endless batches of the "train" or "validation" split from the ``first`` on, each a function of its number."""

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """Learn from one batch; return metrics for the log, ``loss`` among them."""

    def validate(self, model: Any, device: torch.device, sheet: Path) -> dict[str, float]:
        """Measure the averaged model on people kept from training, and draw what it says."""

    def save(self, model: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """Write weights that ship."""


def adam(
    network: nn.Module, rate: float, decay: float, kind: type[torch.optim.Adam] = torch.optim.Adam
) -> torch.optim.Optimizer:
    """Adam for what of a network learns; in one operation on an accelerator, where hundreds of small ones are slow."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return kind(learned, rate, weight_decay=decay, fused=learned[0].is_cuda)


def weighted(parts: Mapping[str, Tensor], weights: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of a loss's parts, and the parts without gradient."""
    total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
    return total, {name: part.detach() for name, part in parts.items()}


class SingleNetworkRecipe:
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

    def auxiliary(self) -> dict[str, nn.Module]:
        """Nothing is trained beside it."""
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """AdamW."""
        config = self.config
        return {"model": adam(self.model, config.learning_rate, config.weight_decay, torch.optim.AdamW)}

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step."""
        loss, norm, parts = learners["model"].descend(
            lambda: weighted(self.losses(self.model, batch, autocast), self.weights)
        )
        return {"loss": loss, "gradient_norm": norm, **parts}

    def save(self, model: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights."""
        save_weights(model, path, metadata)
