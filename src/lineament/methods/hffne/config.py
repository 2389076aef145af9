# SPDX-License-Identifier: Apache-2.0
"""The configuration of HFFNE's training, both stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from lineament.errors import UsageError
from lineament.methods.hffne.encoders import Injection
from lineament.methods.hffne.method import COARSE_WEIGHTS, WEIGHTS
from lineament.methods.hffne.model import CoarseName, HFFNEConfig, Modulation, hffne, hffne_s
from lineament.networks.encoder import check_start
from lineament.options import COUNT
from lineament.training.config import FaceConfig, check_paths, check_photos, check_weights


@dataclass(frozen=True)
class HFFNETrainConfig(FaceConfig):
    """A training of HFFNE. Defaults are the paper's where it names a value (section 4.1).

    Stage one learns coarse normals from labelled faces, in the folder ``coarse`` of the run; stage two refines them
    on pictures without labels: the faces again, their labels withheld, and real photos. One command does both, and
    goes on where it was stopped.
    """

    steps: int = 150_000
    """Steps of stage two."""
    coarse_steps: int = 200_000
    """Steps of stage one."""
    init: Path | None = None
    """Weights (safetensors) from which stage two goes on, as at another size; its coarse network is stage one's."""
    coarse: Path | None = None
    """Weights of a coarse network (hffne-coarse.safetensors); stage one is left out."""
    coarse_learning_rate: float = 2e-4
    coarse_init: Path | None = None
    """Weights from which stage one goes on, as at another size."""
    coarse_network: CoarseName | None = None
    """What learns coarse normals: pix2pix's U-Net, or a decoder over an encoder; EfficientNet-Lite0 in the small size,
    pix2pix in the paper's, if left out."""
    start: str = "random"
    """What the encoder of stage one starts from: random weights, imagenet, or a file (weights of Cas-FNE with the same
    encoder, or as for `lineament train casfne`)."""
    relight: float = 0.0
    """Share of the pictures of stage one whose faces are lit anew in every step."""
    adversarial: float = 0.01
    """Weight of stage one's adversarial loss beside the L1 norm's 1, as in pix2pix; 0 leaves its discriminator out."""
    model: Literal["hffne-s", "hffne"] = "hffne-s"
    """Small (6.8 M parameters, 5.4 M in configuration A1) or the paper's size."""
    injection: Injection = "modulation"
    """How the exemplar joins the face: A1 skips, A2 bottleneck, A3 modulation."""
    modulation: Modulation = "stylegan2"
    """What A3's vector does: modulated convolutions, AdaIN, or none (it is concatenated)."""
    paired: bool = True
    """Give each photo its own coarse normals as the exemplar, or another's of the batch (--no-paired)."""
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote, for stage two: pictures and masks are all that is used."""
    photo_share: float = 0.5
    """Share of a batch of stage two that comes from them, where there are any."""
    perceptual: float = 1.0
    """Weight of the perceptual loss beside the reconstruction's 1; 0 leaves it out."""
    features: Path | None = None
    """Features for the perceptual loss and for E_R: torchvision's vgg19 checkpoint (paper size), or weights that
    `lineament train features` wrote; by default those that ship."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **FaceConfig.INTERVALS,
        "coarse_steps": COUNT,
        "coarse_learning_rate": FaceConfig.INTERVALS["learning_rate"],
        "adversarial": "[0, 1000000]",
        "photo_share": "[0, 1]",
        "relight": "[0, 1]",
        "perceptual": "[0, 1000000]",
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        network = self.network()
        if self.start != "random" and network.coarse_network == "pix2pix":
            raise UsageError("pix2pix's U-Net starts from random weights: name an encoder with --coarse-network")
        if not self.paired and self.batch_size < 2:
            raise UsageError("unpaired exemplars come from the same batch: take a batch_size of 2 or more")

    def check_places(self) -> None:
        """Check data, device, photos, and the weights of both stages."""
        super().check_places()
        check_weights("init", self.init, of=[WEIGHTS])
        check_weights("coarse", self.coarse, of=[COARSE_WEIGHTS])
        check_weights("coarse_init", self.coarse_init, of=[COARSE_WEIGHTS])
        check_paths("features", self.features)
        if self.start not in ("random", "imagenet"):
            check_paths("start", Path(self.start))
        check_photos("photos", self.photos)

    def network(self) -> HFFNEConfig:
        """The networks that the training asks for."""
        size = hffne_s(self.size) if self.model == "hffne-s" else hffne(self.size)
        coarse = self.coarse_network or size.coarse_network
        return replace(size, injection=self.injection, modulation=self.modulation, coarse_network=coarse)

    def stage_one(self) -> HFFNETrainConfig:
        """The same training as the loop of stage one sees it."""
        folder = self.output / "coarse"
        return replace(self, output=folder, steps=self.coarse_steps, learning_rate=self.coarse_learning_rate)
