# SPDX-License-Identifier: Apache-2.0
"""The configuration of the feature network's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lineament.training.config import FaceConfig


@dataclass(frozen=True)
class FeaturesTrainConfig(FaceConfig):
    """A training of the VGG-style features that perceptual losses compare, on synthetic faces.

    The tasks: clean photos from noisy ones, normals, and where the face is.
    """

    size: int = 128
    batch_size: int = 16
    steps: int = 4000
    learning_rate: float = 1e-3
    warmup: int = 100
    weight_decay: float = 1e-4
    width: float = 0.25
    """Width of the VGG-19; 1.0 is the original."""
    noise: float = 0.2
    """Largest standard deviation of the noise that is to be taken away."""

    INTERVALS: ClassVar[Mapping[str, str]] = {**FaceConfig.INTERVALS, "width": "(0, 4]", "noise": "[0, 10]"}
