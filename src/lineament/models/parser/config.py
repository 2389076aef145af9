# SPDX-License-Identifier: Apache-2.0
"""The configuration of the parser's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lineament.models.parser.method import WEIGHTS
from lineament.training.config import LoopConfig, check_paths, check_weights


@dataclass(frozen=True)
class ParserTrainConfig(LoopConfig):
    """A training of the parser of detected faces: landmarks, visibility, pose, parse. It needs --data."""

    size: int = 192
    """Side of the crops, pixels."""
    batch_size: int = 16
    steps: int = 20_000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    width: float = 0.375
    """Width of the ResNet-18 encoder; 1.0 is the original."""
    init: Path | None = None
    """Weights (safetensors) to start from, as when going on at another size."""

    INTERVALS: ClassVar[Mapping[str, str]] = {**LoopConfig.INTERVALS, "width": "(0, 4]"}
    NEEDS: ClassVar[tuple[str, ...]] = ("landmarks", "visible", "camera.rotation")
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def check_places(self) -> None:
        """Check that there is data, the device and the weights to start from."""
        check_paths("data", *self.data, needed=True)
        super().check_places()
        check_weights("init", self.init, of=[WEIGHTS])
