# SPDX-License-Identifier: Apache-2.0
"""The configuration of the albedo network's training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lineament.training.config import FaceConfig


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
