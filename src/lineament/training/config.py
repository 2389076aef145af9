# SPDX-License-Identifier: Apache-2.0
"""One dataclass says everything about a training; the command line is made from it.

What all methods share is `LoopConfig`; each method's own is in its `config.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lineament.errors import UsageError
from lineament.synth.config import SynthConfig

Decay = Literal["cosine", "steps"]


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
    minutes: float = 0.0
    """Time after which the training ends even if steps are left; the learning rate decays with whichever is ahead. 0
    sets no limit."""
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
        if self.minutes < 0.0:
            raise UsageError(f"minutes must be at least 0, not {self.minutes}")
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

    synth: SynthConfig = field(default_factory=SynthConfig)
    """What faces are like that are made while training; size and seed are the training's."""
    pool: int = 0
    """Faces kept on the device while the workers make others: each step draws its batch from them and waits for none,
    so that a face is seen several times. Such a training does not repeat exactly. 0 takes every face once, in order."""
    pool_views: float = 1.0
    """How often a face of the pool is seen, on average, before others are made: workers that are faster wait."""

    cache: float = 4.0
    """Gigabytes of memory for samples that were read once; those beyond are read again each time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool and (self.data or self.workers < 1 or self.pool < self.batch_size):
            raise UsageError(
                "a pool holds at least a batch of faces that workers make while training: take --workers 1 or more and "
                "no --data"
            )
