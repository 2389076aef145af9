# SPDX-License-Identifier: Apache-2.0
"""The configuration of the albedo network's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lineament.models.albedo.method import WEIGHTS
from lineament.options import check_multiple
from lineament.training.config import DEPTH_LABELS, FaceConfig, check_weights


@dataclass(frozen=True)
class AlbedoTrainConfig(FaceConfig):
    """A training of the albedo network on synthetic faces, which need the pictures image, depth, albedo and mask."""

    size: int = 256
    batch_size: int = 8
    steps: int = 20_000
    learning_rate: float = 1e-3
    warmup: int = 100
    init: Path | None = None
    """Weights from which the training starts, as at another size."""
    levels: int = 6
    """Depth of the U-Net."""
    width: int = 16
    """Channels of its first level."""

    INTERVALS: ClassVar[Mapping[str, str]] = {**FaceConfig.INTERVALS, "levels": "[2, 12]", "width": "[1, 1024]"}
    PICTURES: ClassVar[tuple[str, ...]] = ("image", *DEPTH_LABELS, "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_multiple("size", self.size, 2**self.levels)

    def check_places(self) -> None:
        """Check data, device and the weights to start from."""
        super().check_places()
        check_weights("init", self.init, of=[WEIGHTS])
