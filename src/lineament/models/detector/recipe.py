# SPDX-License-Identifier: Apache-2.0
"""How the detector is trained, as the training loop wants it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.models.detector.config import DetectorTrainConfig
from lineament.models.detector.data import detector_batches
from lineament.models.detector.losses import WEIGHTS, box_loss, roll_loss, score_loss
from lineament.models.detector.model import FaceDetector, FaceDetectorConfig
from lineament.training.batch import Batch
from lineament.training.plan import Step, Training
from lineament.training.recipe import SingleNetworkRecipe


class FaceDetectorRecipe(SingleNetworkRecipe):
    """Binds the network to its data and losses."""

    weights = WEIGHTS
    config: DetectorTrainConfig

    def __init__(self, config: DetectorTrainConfig) -> None:
        """Build the network."""
        super().__init__(FaceDetector(FaceDetectorConfig()), config)
        self._validation: list[Batch] = []

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        """Scenes with their faces."""
        return detector_batches(self.config, split, first, device)

    def losses(self, model: FaceDetector, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        """All parts of the loss, by name."""
        with autocast:
            out = model(batch.in_layout(self.config.channels_last).image)
        return {
            "score": score_loss(out[:, 0], batch["heat"], batch["counted"]),
            "box": box_loss(out[:, 1:5], batch["box"], batch["weight"]),
            "roll": roll_loss(out[:, 5:], batch["roll"], batch["weight"]),
        }

    @torch.no_grad()
    def validate(self, model: FaceDetector, device: torch.device, sheet: Path) -> dict[str, float]:
        """Losses, and the share of faces whose centre is a peak above one half, on people kept from training."""
        if not self._validation:
            self._validation = list(islice(self.batches("validation", 0, device), self.config.validation_batches))
        autocast = torch.autocast(device.type, enabled=False)
        found = asked = wrong = 0
        gathered: list[dict[str, float]] = []
        for number, batch in enumerate(self._validation):
            gathered.append({name: float(part) for name, part in self.losses(model, batch, autocast).items()})
            score = torch.sigmoid(model(batch.image)[:, 0])
            near = F.max_pool2d(score[:, None], 3, 1, 1)[:, 0]
            centres = batch["heat"] > 0.999
            asked, found = asked + int(centres.sum()), found + int((near[centres] > 0.5).sum())
            peaks = (score == near) & (score > 0.5) & batch["counted"]
            wrong += int((peaks & (F.max_pool2d(batch["heat"][:, None], 3, 1, 1)[:, 0] < 0.3)).sum())
            if number == 0:
                write_sheet(sheet, batch, score)
        metrics = {f"validation_{name}": float(np.mean([g[name] for g in gathered])) for name in gathered[0]}
        scenes = len(self._validation) * self.config.batch_size
        return {
            **metrics,
            "validation_recall": 100.0 * found / max(1, asked),
            "validation_wrong_per_100_scenes": 100.0 * wrong / scenes,
        }


def write_sheet(path: Path, batch: Batch, score: Tensor, columns: int = 8) -> None:
    """Write a PNG: scenes, where faces are, where the network sees them."""
    from lineament.images.write import write_png

    size = batch.image.shape[-1]
    heat = [
        F.interpolate(m[:columns, None].float(), (size, size)).expand(-1, 3, -1, -1) for m in (batch["heat"], score)
    ]
    rows = [(255 * r[:columns]).byte().permute(0, 2, 3, 1).cpu().numpy() for r in (batch.image, *heat)]
    write_png(path, np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0))


def steps_of(config: DetectorTrainConfig) -> list[Step]:
    """The one step of a training."""
    return [Step(FaceDetector.FORMAT.name, config, lambda: FaceDetectorRecipe(config))]


TRAINING = Training(DetectorTrainConfig, steps_of)
