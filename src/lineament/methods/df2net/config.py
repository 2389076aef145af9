# SPDX-License-Identifier: Apache-2.0
"""The configuration of DF²Net's training, all three steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from lineament.methods.df2net.method import WEIGHTS
from lineament.methods.df2net.model import DF2NetConfig, Refinement, df2net, df2net_s, matched
from lineament.methods.hffne.method import WEIGHTS as HFFNE
from lineament.models.albedo.method import WEIGHTS as ALBEDO
from lineament.options import COUNT
from lineament.training.config import DEPTH_LABELS, Decay, FaceConfig, check_photos, check_weights

NetworkName = Literal["dense", "fine", "finer"]
STEPS: tuple[NetworkName, ...] = ("dense", "fine", "finer")


@dataclass(frozen=True)
class DF2NetTrainConfig(FaceConfig):
    """A training of DF²Net (section 3.6). D-Net learns from renders and photos with depth of another method of ours,
    F-Net from the photos, Fr-Net from detailed photos alone; each step freezes the networks before it. One command
    does all three, in folders of the run named after them, and goes on where it was stopped.
    """

    size: int = 256
    steps: int = 20_000
    """Steps of D-Net."""
    fine_steps: int = 10_000
    """Steps of F-Net, and of Fr-Net."""
    learning_rate: float = 1e-3
    decay: Decay = "steps"
    """The paper's two divisions by ten, or a cosine."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or the paper's stochastic gradient descent (with momentum 0.9, which it does not name)."""
    fine_batch_size: int | None = None
    """Pictures a step of F-Net and Fr-Net; as many as D-Net's by default. The paper has 8, and 64 for D-Net."""
    model: Literal["df2net-s", "df2net"] = "df2net-s"
    """Small (2.1 M parameters, 256 pixels) or the paper's size (take --size 512)."""
    init: Path | None = None
    """Weights from which the three networks start, as at another size; or HFFNE's, whose coarse U-Net starts D-Net."""
    refinement: Refinement = "finer"
    """The last network: Fr-Net, Fr-Net without multi-resolution blocks, or a second F-Net."""
    matched: int = 0
    """Parameters of the last network, whose channels are chosen for it; 0 leaves those of the size."""
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote, for D-Net, F-Net and Fr-Net; F-Net and Fr-Net need some."""
    detailed: tuple[Path, ...] = ()
    """Such folders of photos with rich detail for Fr-Net, if other than these."""
    photo_share: float = 0.15
    """Share of a batch of D-Net that comes from photos, where there are any; the paper's is a seventh."""
    render_share: float = 0.0
    """Share of a batch of F-Net and Fr-Net that comes from renders, which know their depth and albedo; the paper has
    photos alone."""
    normal_weight: float = 0.1
    """Weight of the loss on normals of renders beside the depth's; a short training needs more for a smooth surface."""
    shading_weight: float = 100.0
    """Weight of Fr-Net's loss on shading beside the depth's 1; less keeps more of the shape."""
    albedo: Path | None = None
    """Weights of the albedo network; by default those that ship."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **FaceConfig.INTERVALS,
        "fine_steps": COUNT,
        "fine_batch_size": COUNT,
        "matched": "[0, 100000000]",
        "photo_share": "[0, 1)",
        "render_share": "[0, 1]",
        "normal_weight": "[0, 1000000]",
        "shading_weight": "[0, 1000000]",
    }
    PICTURES: ClassVar[tuple[str, ...]] = ("image", *DEPTH_LABELS, "mask")

    def check_places(self) -> None:
        """Check data, device, weights, and the photos, which the second and third step cannot do without."""
        super().check_places()
        self.network()  # not before: one of its steps sees pictures of half the size
        check_weights("init", self.init, of=[WEIGHTS, HFFNE])
        check_weights("albedo", self.albedo, of=[ALBEDO])
        check_photos("photos", self.photos, ("depth",), needed=not self.detailed and self.render_share < 1.0)
        check_photos("detailed", self.detailed, ("depth",))

    def network(self) -> DF2NetConfig:
        """The networks that the training asks for."""
        size = df2net_s(self.size) if self.model == "df2net-s" else df2net(self.size)
        chosen = replace(size, refinement=self.refinement)
        return matched(chosen, self.matched) if self.matched else chosen

    def of(self, step: NetworkName) -> DF2NetTrainConfig:
        """The same training as the loop of one step sees it."""
        if step == "dense":
            return replace(self, output=self.output / step)
        batch_size = self.fine_batch_size or self.batch_size
        return replace(self, output=self.output / step, steps=self.fine_steps, batch_size=batch_size)
