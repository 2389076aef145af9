# SPDX-License-Identifier: Apache-2.0
"""How the feature network is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.models.features.config import FeaturesTrainConfig
from lineament.models.features.model import FaceFeatures, FaceFeaturesConfig
from lineament.training.augment import prepared
from lineament.training.data import Batch, batches
from lineament.training.parallel import processes, rank
from lineament.training.plan import Step, Training
from lineament.training.recipe import SingleNetworkRecipe
from lineament.training.validation import angular_errors


@dataclass(frozen=True)
class NoisyBatch(Batch):
    """A batch and its photos with noise on them."""

    noisy: Tensor  # [B, 3, S, S]


class FaceFeaturesRecipe(SingleNetworkRecipe[Batch]):
    """Binds the network to its tasks."""

    weights: Mapping[str, float] = {"clean": 4.0, "normals": 1.0, "mask": 0.2}
    config: FeaturesTrainConfig

    def __init__(self, config: FeaturesTrainConfig) -> None:
        """Build the network."""
        super().__init__(FaceFeatures(FaceFeaturesConfig(config.width)), config)

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Photos, normals and faces."""
        return batches(self.config, split, first, device)

    def step(
        self, batch: Batch, step: int, optimizers: Mapping[str, torch.optim.Optimizer], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step on a varied batch with noise on it, drawn from (seed, step) alone."""
        batch = prepared(batch, self.config, step)
        draw = torch.Generator().manual_seed((self.config.seed + 1) * 1_000_003 + step * processes() + rank())
        level = self.config.noise * torch.rand(len(batch.image), 1, 1, 1, generator=draw)
        noise = level * torch.randn(batch.image.shape, generator=draw)
        noisy = NoisyBatch(batch.image, batch.normals, batch.face, batch.image + noise.to(batch.image.device))
        return super().step(noisy, step, optimizers, autocast)

    def losses(self, model: FaceFeatures, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """Mean absolute error of the clean photo and of the normals, cross-entropy of the mask."""
        assert isinstance(batch, NoisyBatch)
        with autocast:
            read = model(self.in_layout(batch.noisy))
        face = batch.face.to(read.normals.dtype)
        apart = ((read.normals - batch.normals).abs() * face).sum() / face.sum().clamp_min(1.0)
        return {
            "clean": F.l1_loss(read.clean, batch.image),
            "normals": apart,
            "mask": F.binary_cross_entropy_with_logits(read.mask_logits, face),
        }

    def validate(self, model: FaceFeatures, device: torch.device, sheet: Path) -> dict[str, float]:
        """Angular error on people kept from training: how much the features know of shape."""
        source = islice(self.batches("validation", 0, device), self.config.validation_batches)
        (error,) = angular_errors(source, lambda batch: ([model(batch.image).normals], batch), sheet)
        return {"validation_error": error}


def steps_of(config: FeaturesTrainConfig) -> list[Step]:
    """The one step of a training."""
    return [Step(FaceFeatures.FORMAT.name, config, lambda: FaceFeaturesRecipe(config))]


TRAINING = Training(FeaturesTrainConfig, steps_of)
