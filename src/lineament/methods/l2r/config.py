# SPDX-License-Identifier: Apache-2.0
"""The configuration of L2R's training, all of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from lineament.errors import UsageError
from lineament.methods.l2r.camera import PROXY_SIZE
from lineament.methods.l2r.method import PROXY_WEIGHTS, WEIGHTS
from lineament.methods.l2r.model import L2RConfig, l2r, l2r_s
from lineament.models.stylegan2.method import METHOD as STYLEGAN2
from lineament.networks.encoder import check_start
from lineament.options import COUNT
from lineament.synth.low_resolution import LowResolution
from lineament.training.config import FaceConfig, check_photos, check_weights
from lineament.weights import weights_path

Phase = Literal["restoring", "refining", "joint", "finetuning"]
SHARES: Mapping[Phase, int] = {"restoring": 30, "refining": 30, "joint": 20}
"""The paper's epochs of each phase (section 5): shares of the budget here."""
PRIOR = "face-prior"
"""Weights of the StyleGAN2 that ships."""
_LOSSES = ("alpha", "beta")
_LABELLED = ("normal", "depth", "likelihood")


@dataclass(frozen=True)
class L2RTrainConfig(FaceConfig):
    """A training of L2R: its proxy, then ARN, then GRN with ARN frozen, then both with view and light (section 4.3), in
    folders of the run; all without labels. Finetuning with labels may follow.

    The small size has a trained StyleGAN2 with it; the paper's needs one (--prior), unless --untrained-prior asks for
    the control without.
    """

    size: int = 128
    """Side of the restored pictures, pixels; the paper's is 256."""
    batch_size: int = 16
    steps: int = 200_000
    """Steps of ARN, GRN and both together, 30 : 30 : 20 (the paper's epochs)."""
    learning_rate: float = 1e-4
    model: Literal["l2r-s", "l2r"] = "l2r-s"
    """Small, or the paper's size (take --size 256)."""
    prior: Path | None = None
    """Weights of a StyleGAN2 (`lineament train stylegan2`); in the small size by default those that ship."""
    untrained_prior: bool = False
    """Leave the generator as it is before any training, and let it learn with ARN (Table 2, line 2)."""
    start: str = "random"
    """What GRN's encoder starts from, where it has one: random weights, imagenet, or a file (weights of ours with the
    same encoder, Cas-FNE's for instance)."""
    proxy: Path | None = None
    """Weights of a proxy (l2r-proxy.safetensors, or the whole method's); the first step is left out."""
    proxy_steps: int = 75_000
    proxy_minutes: float = 0.0
    """As minutes, for the first step."""
    proxy_batch_size: int = 64
    proxy_learning_rate: float = 1e-4
    init: Path | None = None
    """Weights of L2R from which finetuning starts; all steps before it are left out."""
    finetune_steps: int = 0
    """Steps of finetuning what tells shape with labels ("-ft"); 0 leaves it out."""
    finetune_minutes: float = 0.0
    """As minutes, for finetuning."""
    finetune_learning_rate: float = 1e-4
    photos: tuple[Path, ...] = ()
    """Folders with photos that `lineament label` wrote; their labels are not used."""
    photo_share: float = 0.25
    """Share of a batch that comes from photos, where there are any."""
    degrade: LowResolution = field(default_factory=LowResolution)
    """How inputs are degraded."""
    alpha: float = 0.1
    """Weight of the cross-view loss (equation 6); 0 leaves its discriminator out."""
    beta: float = 0.1
    """Weight of the displacement map's Laplacian."""
    perceptual: float = 1.0
    """Weight of the proxy's perceptual term."""
    normal: float = 1.0
    """Weight of finetuning's loss on the normals of both stages."""
    depth: float = 2.0
    """Weight of its loss on depth."""
    likelihood: float = 0.1
    """Weight of its loss on the normals' concentration."""
    codes: Literal["several", "single"] = "several"
    """One style code per stage of the generator, or one for all (Table 2, line 4)."""
    guidance: bool = True
    """Whether the albedo proxy guides the generator's first stages (--no-guidance: Table 2, line 5)."""
    decoder: bool = True
    """Whether a decoder makes the albedo from the priors (--no-decoder: the generator's own picture; line 6)."""
    restored: bool = True
    """Whether GRN sees the restored texture (--no-restored: line 7)."""
    displacement: bool = True
    """Whether GRN gives a displacement map (--no-displacement: line 8)."""

    INTERVALS: ClassVar[Mapping[str, str]] = {
        **FaceConfig.INTERVALS,
        "proxy_steps": COUNT,
        "finetune_steps": "[0, 1000000000]",
        **dict.fromkeys(("proxy_minutes", "finetune_minutes"), FaceConfig.INTERVALS["minutes"]),
        "proxy_batch_size": FaceConfig.INTERVALS["batch_size"],
        **dict.fromkeys(("proxy_learning_rate", "finetune_learning_rate"), FaceConfig.INTERVALS["learning_rate"]),
        "photo_share": "[0, 1)",
        **dict.fromkeys((*_LOSSES, *_LABELLED, "perceptual"), "[0, 1000000]"),
    }
    PICTURES: ClassVar[tuple[str, ...]] = ("image", "normals", "depth", "mask")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_start(self.start)
        if self.size < PROXY_SIZE or self.size % PROXY_SIZE:
            raise UsageError(f"the size must be a multiple of {PROXY_SIZE}, not {self.size}")
        if self.init is not None and not self.finetune_steps:
            raise UsageError("weights (--init) are where finetuning starts: say how long with --finetune-steps")
        if self.prior is not None and self.untrained_prior:
            raise UsageError("a trained StyleGAN2 (--prior) is none that is untrained: leave --untrained-prior out")
        if self.init is None and self.model == "l2r" and self.prior is None and not self.untrained_prior:
            raise UsageError(
                "name a trained StyleGAN2 with --prior, or take --untrained-prior, the control without one"
            )

    def check_places(self) -> None:
        """Check data, device, photos and the weights to start from."""
        super().check_places()
        check_photos("photos", self.photos)
        check_weights("prior", self.prior, of=[STYLEGAN2.weights_format])
        check_weights("proxy", self.proxy, of=[PROXY_WEIGHTS, WEIGHTS])
        check_weights("init", self.init, of=[WEIGHTS])

    @property
    def trained_prior(self) -> Path | None:
        """The StyleGAN2 that ARN takes; None for the control without a trained one."""
        return None if self.untrained_prior else self.prior or weights_path(PRIOR)

    def network(self) -> L2RConfig:
        """The networks that the training asks for, their prior as the model has it."""
        size = l2r_s(self.size) if self.model == "l2r-s" else l2r(self.size)
        changes: dict[str, Any] = {"codes": self.codes, "restored": "seen" if self.restored else "withheld"}
        changes |= {} if self.guidance else {"guided_stages": 0}
        changes |= {} if self.decoder else {"decoder_width": 0}
        changes |= {} if self.displacement else {"displacement_channels": 0}
        if self.finetune_steps:
            changes["concentration"] = "learned"
        return replace(size, **changes)

    def proxy_step(self) -> L2RTrainConfig:
        """The same training as the proxy's loop sees it."""
        return replace(
            self,
            output=self.output / "proxy",
            size=PROXY_SIZE,
            steps=self.proxy_steps,
            minutes=self.proxy_minutes,
            batch_size=self.proxy_batch_size,
            learning_rate=self.proxy_learning_rate,
        )

    def of(self, phase: Phase) -> L2RTrainConfig:
        """The same training as the loop of one phase sees it."""
        if phase == "finetuning":
            steps, minutes, rate = self.finetune_steps, self.finetune_minutes, self.finetune_learning_rate
        else:
            share = SHARES[phase] / sum(SHARES.values())
            steps, minutes, rate = max(1, round(share * self.steps)), share * self.minutes, self.learning_rate
        return replace(self, output=self.output / phase, steps=steps, minutes=minutes, learning_rate=rate)
