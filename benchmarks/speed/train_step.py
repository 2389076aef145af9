# SPDX-License-Identifier: Apache-2.0
"""What a training step of Cas-FNE costs by part:
``python benchmarks/speed/train_step.py [--encoder NAME] [--size 128] …``.

Faces are made once and kept, as a training keeps what it has read; a step is then reading, lighting anew and
augmenting, the network forth and back, the optimiser and the average. Times are medians over the steps.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.methods.casfne.config import CasFNETrainConfig
from lineament.methods.casfne.recipe import CasFNERecipe
from lineament.training.augment import prepared
from lineament.training.config import NORMALS_LABELS
from lineament.training.data import made_faces
from lineament.training.labels import Decoder
from lineament.training.loop import uses_bf16
from lineament.training.pool import pooled
from lineament.training.recipe import learners_of
from lineament.training.relight import relit
from lineament.training.schedule import AveragedModel

FACES = 64


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--encoder", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--contiguous", action="store_true", help="not channels last")
    parser.add_argument("--freeze-encoder", action="store_true", help="the encoder does not learn")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    config = CasFNETrainConfig(
        output=Path(),
        encoder=arguments.encoder,
        size=arguments.size,
        batch_size=arguments.batch_size,
        stages=0,
        half=arguments.half,
        losses=("rec", "likelihood", "tv"),
        reconstruction="angle",
        relight=0.4,
        precision=arguments.precision,
        channels_last=not arguments.contiguous,
        device=arguments.device,
    )
    recipe = CasFNERecipe(config)
    model = recipe.model.to(device)
    layout = torch.contiguous_format if arguments.contiguous else torch.channels_last
    model.to(memory_format=layout)  # type: ignore[call-overload]  # missing in torch's own stubs
    if arguments.freeze_encoder:
        model.encoder.requires_grad_(False)
        model.train()
    averaged, optimizers = AveragedModel(model, 0.999), recipe.optimizers()
    learners, decoder = learners_of(recipe, optimizers, config.clip), Decoder(NORMALS_LABELS)
    made = iter(made_faces(replace(config, batch_size=FACES), decoder, 0, device))
    source = pooled([next(made)], FACES, config.batch_size, 1.0, 0, device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(config))
    parts: dict[str, list[float]] = {name: [] for name in ("reading", "varying", "the whole step", "averaging")}
    for step in range(arguments.steps + 2):
        clock = [now(device)]
        batch = decoder.unpacked(next(source))
        clock.append(now(device))
        prepared(relit(batch, config.relight, config.seed, step), config, step)
        clock.append(now(device))
        recipe.step(batch, step, learners, autocast)  # varies the batch again
        clock.append(now(device))
        averaged.update(model, step)
        clock.append(now(device))
        if step >= 2:
            for name, start, end in zip(parts, clock, clock[1:], strict=False):
                parts[name].append(end - start)
    times = {name: 1000 * median(values) for name, values in parts.items()}
    total = times["reading"] + times["the whole step"] + times["averaging"]
    pictures = f"{arguments.size} px{' at half resolution' if arguments.half else ''}, batch {arguments.batch_size}"
    table = Table(
        title="A training step of Cas-FNE",
        columns=("part", "ms"),
        rows=tuple(times.items()),
        notes=(
            f"{arguments.encoder}, {pictures}, {arguments.device}, {arguments.threads} threads, {arguments.precision}.",
            f"{1000 * config.batch_size / total:.1f} faces a second.",
        ),
    )
    report([table], arguments.output)


def now(device: torch.device) -> float:
    """Seconds, once the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
