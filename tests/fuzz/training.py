# SPDX-License-Identifier: Apache-2.0
"""The smallest training there is: its network, its dataset, its configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNEConfig
from lineament.synth.config import SynthConfig

TINY = CasFNEConfig(width=0.125, decoder_channels=(8, 8, 4, 4, 4), normal_channels=4, stages=1, crop_size=64)

FACES: dict[str, Any] = {
    "count": 2,
    "config": SynthConfig(size=64, identities=50),
    "batch_size": 2,
    "pictures": ("image", "normals", "mask"),
}
"""How the dataset is written: number 0 is for validation, number 1 for training."""


def run_config(output: Path, faces: Path = Path("synth/faces")) -> CasFNETrainConfig:
    """Two steps on the dataset, which lies in the folder of the seeds, where everything runs."""
    return CasFNETrainConfig(
        output,
        data=(faces,),
        size=64,
        stages=1,
        batch_size=2,
        steps=2,
        warmup=1,
        learning_rate=1e-3,
        losses=("rec",),
        validate_every=1000,
        validation_batches=1,
        precision="fp32",
        device="cpu",
        threads=1,
    )


def tiny_network() -> Any:
    """A patch, to be entered or started, under which trainings are of `TINY`, which no configuration names."""
    return mock.patch("lineament.methods.casfne.recipe.model_config", return_value=TINY)


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    """Run in a folder (contextlib has it from Python 3.11 on)."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
