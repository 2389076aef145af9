# SPDX-License-Identifier: Apache-2.0
"""The configuration of the detector's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lineament.training.config import LoopConfig, check_paths


@dataclass(frozen=True)
class DetectorTrainConfig(LoopConfig):
    """A training of the face detector. It needs --data; scenes are composed of it while training."""

    size: int = 160
    """Side of the scenes, pixels."""
    batch_size: int = 32
    steps: int = 20_000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    photos: Path | None = None
    """A faces.json that `lineament faces` wrote: real photos with the boxes that were found in them, mixed in."""
    real: float = 0.25
    """Share of faces that come from those photos, where there are any."""
    validation_batches: int = 16

    INTERVALS: ClassVar[Mapping[str, str]] = {**LoopConfig.INTERVALS, "real": "[0, 1]"}
    NEEDS: ClassVar[tuple[str, ...]] = ("landmarks",)
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def check_places(self) -> None:
        """Check that there is data, the device and the list of photos."""
        check_paths("data", *self.data, needed=True)
        super().check_places()
        check_paths("photos", self.photos)
