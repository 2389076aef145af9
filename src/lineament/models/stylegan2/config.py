# SPDX-License-Identifier: Apache-2.0
"""The configuration of StyleGAN2's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from lineament.errors import UsageError
from lineament.models.stylegan2.model import StyleGAN2Config, stylegan2_s
from lineament.options import COUNT
from lineament.training.config import FaceConfig, check_photos


@dataclass(frozen=True)
class StyleGAN2TrainConfig(FaceConfig):
    """A training of StyleGAN2 on pictures of faces in the canonical crop: synthetic ones, and photos besides.

    Rates, penalties and their intervals are the paper's configuration F where it names them.
    """

    size: int = 128
    """Side of the pictures, pixels: a power of two."""
    batch_size: int = 16
    steps: int = 800_000
    learning_rate: float = 2e-3
    clip: float = 1e3
    model: Literal["stylegan2-s", "stylegan2"] = "stylegan2-s"
    """Small, or the official FFHQ network's size (take --size 1024)."""
    init: Path | None = None
    """Weights from which the generator goes on: of this size, or of a smaller one, whose stages become the first of
    these."""
    start_steps: int = 0
    """Steps for which the generator first learns as the decoder of an autoencoder; 0 leaves that out, as the paper
    does."""
    start_minutes: float = 0.0
    """As minutes, for that start."""
    start_learning_rate: float = 1e-2
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote; their labels are not used."""
    photo_share: float = 0.25
    """Share of a batch that comes from photos, where there are any."""
    gamma: float = 10.0
    """Weight of R_1, of which the loss has the half."""
    gradient_interval: int = 16
    """Steps between R_1 penalties, each so many times as strong."""
    path_weight: float = 2.0
    """Weight of the path length regularisation."""
    path_interval: int = 4
    """Steps between path length regularisations, each so many times as strong."""
    mixing: float = 0.9
    """Share of pictures whose late stages have another code than their early ones."""
    colour_shift: float = 0.2
    """Largest shift of brightness of the pictures that the discriminator sees, real and made alike, against too few of
    them; they are mirrored and moved, too. 0 leaves all of that out, as the paper does."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **FaceConfig.INTERVALS,
        "start_steps": "[0, 1000000000]",
        "start_learning_rate": FaceConfig.INTERVALS["learning_rate"],
        "start_minutes": FaceConfig.INTERVALS["minutes"],
        "photo_share": "[0, 1)",
        **dict.fromkeys(("gamma", "path_weight"), "[0, 1000000]"),
        **dict.fromkeys(("gradient_interval", "path_interval"), COUNT),
        "mixing": "[0, 1]",
        "colour_shift": "[0, 1]",
    }
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size & (self.size - 1):
            raise UsageError(f"size must be a power of two, not {self.size}")

    def check_places(self) -> None:
        """Check data, device and photos."""
        super().check_places()
        check_photos("photos", self.photos)

    def start(self) -> StyleGAN2TrainConfig:
        """The same training as the loop of the start sees it."""
        return replace(
            self,
            output=self.output / "start",
            steps=self.start_steps,
            minutes=self.start_minutes,
            learning_rate=self.start_learning_rate,
        )

    def network(self) -> StyleGAN2Config:
        """The generator that the training asks for."""
        return stylegan2_s(self.size) if self.model == "stylegan2-s" else StyleGAN2Config(self.size)
