# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from lineament.methods.toy.model import Toy, ToyConfig  # type: ignore[import-not-found]
from torch import Tensor

from lineament.training.batch import Batch
from lineament.training.config import FaceConfig
from lineament.training.data import batches
from lineament.training.plan import Step, Training
from lineament.training.recipe import SingleNetworkRecipe
from lineament.training.validation import angular_errors


@dataclass(frozen=True)
class ToyTrainConfig(FaceConfig):
    """A training of the toy."""

    kernel: int = 9


class ToyRecipe(SingleNetworkRecipe):
    weights: ClassVar[dict[str, float]] = {"rec": 1.0}

    def __init__(self, config: ToyTrainConfig) -> None:
        super().__init__(Toy(ToyConfig(config.kernel, config.size)), config)

    def batches(self, split: str, first: int, device: torch.device) -> Iterator[Batch]:
        return batches(self.config, split, first, device)

    def losses(self, model: Any, batch: Batch, autocast: torch.autocast) -> dict[str, Tensor]:
        with autocast:
            normals = model(batch.image)
        return {"rec": ((normals - batch["normals"]).abs() * batch["face"]).mean()}

    def validate(self, model: Any, device: torch.device, sheet: Path) -> dict[str, float]:
        source = islice(self.batches("validation", 0, device), self.config.validation_batches)
        (error,) = angular_errors(source, lambda batch: ([model(batch.image)], batch), sheet)
        return {"validation_error": error}


def steps_of(config: ToyTrainConfig) -> list[Step]:
    return [Step("toy", config, lambda: ToyRecipe(config))]


TRAINING = Training(ToyTrainConfig, steps_of)
