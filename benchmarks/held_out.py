# SPDX-License-Identifier: Apache-2.0
"""Angular error on synthetic people that no training saw: ``python benchmarks/held_out.py [--faces 200]``.

The faces are made on the spot from another seed; they are neither augmented nor averaged with their mirror image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import validate
from lineament.networks.weight_files import load_weights
from lineament.weights import weights_path

BATCH = 8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--method", default="casfne-s")
    arguments = parser.parse_args()
    model = load_weights(weights_path(arguments.method), CasFNE)
    config = CasFNETrainConfig(
        output=Path(),
        size=model.config.crop_size,
        stages=arguments.stages,
        batch_size=BATCH,
        validation_batches=-(-arguments.faces // BATCH),
        seed=arguments.seed,
    )
    for name, error in validate(model, config, torch.device("cpu"), None).items():
        print(f"{name.replace('_', ' ')}: {error:.2f}°")


if __name__ == "__main__":
    main()
