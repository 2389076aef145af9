# SPDX-License-Identifier: Apache-2.0
"""How the albedo network is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lineament.models.albedo.config import AlbedoTrainConfig
from lineament.models.albedo.model import AlbedoConfig, AlbedoNetwork
from lineament.networks.weight_files import load_weights
from lineament.render.colour import encode_srgb
from lineament.render.vectors import masked_mean
from lineament.training.augment import draws_of, moved
from lineament.training.batch import Batch
from lineament.training.config import DEPTH_LABELS
from lineament.training.data import batches
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, SingleNetworkRecipe

_DARK = 0.05  # added before the logarithm: black pixels say nothing of what colour they would have


class AlbedoRecipe(SingleNetworkRecipe):
    """Binds the network to its data and losses."""

    weights: Mapping[str, float] = {"relative": 1.0, "edges": 1.0, "albedo": 0.1}
    config: AlbedoTrainConfig

    def __init__(self, config: AlbedoTrainConfig) -> None:
        """Build the network."""
        super().__init__(AlbedoNetwork(AlbedoConfig(config.levels, config.width, config.size)), config)

    def start(self) -> None:
        """Take the first weights from a file, if one is named."""
        if self.config.init is not None:
            self.model.load_state_dict(load_weights(self.config.init, AlbedoNetwork).state_dict())

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Photos and albedo."""
        return batches(self.config, split, first, device, DEPTH_LABELS)

    def step(
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step on a batch that is moved, in its own colours: they are the albedo's."""
        if self.config.augment:
            batch, _ = moved(batch, draws_of(batch, self.config.seed, step))
        return super().step(batch, step, learners, autocast)

    def losses(self, model: AlbedoNetwork, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """Errors on the face: of the albedo up to a factor per colour, of its edges, and of the albedo itself.

        One photo does not tell a bright skin from bright light, nor a red one from red light; a loss that asks for it
        alone makes everything grey.
        """
        with autocast:
            found = model(batch.in_layout(self.config.channels_last).image)
        truth, face = encode_srgb(batch["albedo"]), batch["face"].float()
        count = face.sum().clamp_min(1.0)
        relative = relative_error(found, truth, face)
        right = (relative[..., 1:] - relative[..., :-1]) * face[..., 1:] * face[..., :-1]
        down = (relative[..., 1:, :] - relative[..., :-1, :]) * face[..., 1:, :] * face[..., :-1, :]
        return {
            "relative": masked_mean(relative.abs(), face),
            "edges": (right.abs().sum() + down.abs().sum()) / (3.0 * count),
            "albedo": masked_mean((found - truth).abs(), face),
        }

    @torch.no_grad()
    def validate(self, model: AlbedoNetwork, device: torch.device, sheet: Path) -> dict[str, float]:
        """Mean absolute relative error (a logarithm) on people kept from training, and that of the photo itself."""
        from lineament.images.write import write_png

        difference, photo, count = 0.0, 0.0, 0.0
        for number, batch in enumerate(islice(self.batches("validation", 0, device), self.config.validation_batches)):
            found, truth, face = model(batch.image), encode_srgb(batch["albedo"]), batch["face"].float()
            difference += float(relative_error(found, truth, face).abs().sum() / 3.0)
            photo += float(relative_error(batch.image, truth, face).abs().sum() / 3.0)
            count += float(face.sum())
            if number == 0:
                rows = [torch.cat(list(row[:8].cpu()), dim=2) for row in (batch.image, truth, found)]
                picture = torch.cat(rows, dim=1).clamp(0, 1).permute(1, 2, 0).numpy()
                write_png(sheet, np.rint(255 * picture).astype(np.uint8))
        count = max(1.0, count)
        return {"validation_error": difference / count, "validation_error_of_photo": photo / count}


def relative_error(found: Tensor, truth: Tensor, face: Tensor) -> Tensor:
    """Difference of two albedos' logarithms without its mean per picture and colour.

    Args:
        found: [B, 3, H, W] sRGB.
        truth: [B, 3, H, W] sRGB.
        face: [B, 1, H, W], 1 on the face.

    Returns:
        [B, 3, H, W], zero off the face.
    """
    difference = torch.log(found + _DARK) - torch.log(truth + _DARK)
    mean = (difference * face).sum((2, 3), keepdim=True) / face.sum((2, 3), keepdim=True).clamp_min(1.0)
    return (difference - mean) * face


def steps_of(config: AlbedoTrainConfig) -> list[Step]:
    """The one step of a training."""
    return [Step(AlbedoNetwork.FORMAT.name, config, lambda: AlbedoRecipe(config))]


TRAINING = Training(AlbedoTrainConfig, steps_of)
