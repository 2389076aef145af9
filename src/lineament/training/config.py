# SPDX-License-Identifier: Apache-2.0
"""One dataclass says everything about a training; the command line is made from it.

What all methods share is `LoopConfig`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lineament.errors import UsageError

Decay = Literal["cosine", "steps"]
LossName = Literal["rec", "likelihood", "tv", "adv"]


@dataclass(frozen=True)
class LoopConfig:
    """What every training has; each method's configuration adds its own and sets other defaults."""

    output: Path
    """Folder of the run: configuration, logs, checkpoints, sheets, weights. An interrupted run goes on from it."""
    data: tuple[Path, ...] = ()
    """Datasets written by `lineament synth`."""
    size: int = 256
    """Side of the crops, pixels."""
    batch_size: int = 8
    """Samples of a step; with several processes (torchrun), of each of them."""
    steps: int = 500_000
    learning_rate: float = 1e-4
    warmup: int = 500
    """Steps of linear warm-up, before the decay."""
    decay: Decay = "cosine"
    """A cosine down to a fiftieth, or steps: divided by ten after seven and again after eight tenths (DF²Net)."""
    weight_decay: float = 0.0
    ema: float = 0.999
    """Decay of the averaged weights, which are the ones that ship."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 where the processor has it."""
    channels_last: bool = True
    augment: bool = True
    """Vary each picture: frame, colours, blur and more."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 0
    """Threads of one operation on the CPU; 0 leaves torch's choice."""
    workers: int = 0
    """Processes that make or read data beside the training."""
    seed: int = 0
    checkpoint_minutes: float = 3.0
    validate_every: int = 1000
    """Steps between validations, each with a sample sheet."""
    validation_batches: int = 8

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("batch_size", 1), ("warmup", 0), ("validation_batches", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"{name} must be at least {low}, not {getattr(self, name)}")
        if self.size % 32 or self.size < 32:
            raise UsageError(f"size must be a multiple of 32, not {self.size}")
        if not 0.0 <= self.ema < 1.0:
            raise UsageError(f"ema must be in [0, 1), not {self.ema}")

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain values."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return values

    def without_places(self) -> dict[str, Any]:
        """`to_json` with the names of files and folders only, for weights that leave this machine."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self), default=lambda path: path.name))
        return values


@dataclass(frozen=True)
class FaceConfig(LoopConfig):
    """A training on synthetic faces: read from folders (data), or made while training when there are none."""

    cache: float = 4.0
    """Gigabytes of memory for samples that were read once; those beyond are read again each time."""


@dataclass(frozen=True)
class TrainConfig(FaceConfig):
    """A training of Cas-FNE. Defaults are the paper's where it names a value (section IV-C).

    Faces are made while training when no data is given.
    """

    model: Literal["casfne-s", "casfne"] = "casfne-s"
    """Small (5.7 M parameters) or the paper's size."""
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
    imagenet: Path | None = None
    """A torchvision ResNet-18 checkpoint to start the encoder from (paper size only)."""
    init: tuple[Path, ...] = ()
    """Weights (safetensors) to start from, as when going on at another size; the mean of several that come from one
    start. From weights without cascade, the cascade starts as a copy of the initial block."""
    hold: bool = False
    """Hold the initial block still and train the cascade alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = get_args(LossName)
        if not set(self.losses) <= set(known) or not self.losses:
            raise UsageError(f"losses must be some of {', '.join(known)}, not {', '.join(self.losses) or 'none'}")
        if self.half and (self.stages or "adv" in self.losses):
            raise UsageError("at half resolution (--half) only the initial block is trained: take --stages 0, no adv")
        if self.hold and not (self.stages and self.init):
            raise UsageError("--hold trains the cascade alone: take --stages 1 or more, and weights with --init")
        if not 0.0 <= self.relight <= 1.0:
            raise UsageError(f"relight is a share of the pictures, 0 to 1, not {self.relight}")
        if not 0 <= self.stages <= 5:
            raise UsageError(f"stages must be 0 to 5, not {self.stages}")
