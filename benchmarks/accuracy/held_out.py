# SPDX-License-Identifier: Apache-2.0
"""Angular error on synthetic people that no training saw: ``python benchmarks/accuracy/held_out.py [--faces 200]``.

The faces are made on the spot from another seed; they are neither augmented nor averaged with their mirror image.
"""

from __future__ import annotations

from pathlib import Path

import torch

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.model import CasFNE
from lineament.methods.casfne.recipe import validate
from lineament.networks.weight_files import load_weights
from lineament.weights import weights_path

BATCH = 8


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
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
    errors = validate(model, config, torch.device("cpu"), None)
    table = Table(
        title=f"{arguments.method} on {arguments.faces} synthetic people of seed {arguments.seed}, one view",
        columns=("stage", "mean angular error, °"),
        rows=tuple((name.rpartition("_")[2], error) for name, error in errors.items()),
    )
    report([table], arguments.output, [arguments.method])


if __name__ == "__main__":
    main()
