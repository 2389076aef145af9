# SPDX-License-Identifier: Apache-2.0
"""How the feature network is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.models.features.config import FeaturesTrainConfig
from lineament.models.features.model import FaceFeatures, FaceFeaturesConfig
from lineament.synth.fields import per_sample
from lineament.training.augment import draws_of, prepared
from lineament.training.batch import Batch
from lineament.training.data import batches
from lineament.training.plan import Step, Training
from lineament.training.recipe import Learner, SingleNetworkRecipe
from lineament.training.validation import angular_errors


class FaceFeaturesRecipe(SingleNetworkRecipe):
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
        self, batch: Batch, step: int, learners: Mapping[str, Learner], autocast: torch.autocast
    ) -> dict[str, Tensor]:
        """One step on a varied batch with noise on it, drawn from (seed, step) alone."""
        batch = prepared(batch, self.config, step)
        draw = draws_of(batch, self.config.seed + 1, step)
        noise = per_sample(draw.uniform(0.0, self.config.noise)) * draw.noise(batch.image)
        noisy = replace(batch, image=batch.image + noise).in_layout(self.config.channels_last).image
        return super().step(batch.with_labels(noisy=noisy), step, learners, autocast)

    def losses(self, model: FaceFeatures, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """Mean absolute error of the clean photo and of the normals, cross-entropy of the mask."""
        with autocast:
            read = model(batch["noisy"])
        face = batch["face"].to(read.normals.dtype)
        difference = ((read.normals - batch["normals"]).abs() * face).sum() / face.sum().clamp_min(1.0)
        return {
            "clean": F.l1_loss(read.clean, batch.image),
            "normals": difference,
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
