# SPDX-License-Identifier: Apache-2.0
"""Images per second of the generator:
``python benchmarks/speed/synth.py [--size 256] [--processes 2] [--device cpu]``.
"""

from __future__ import annotations

import time
from multiprocessing import get_context

import torch

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig


def measure(size: int, device: str, batch: int, seconds: float, threads: int) -> tuple[int, float]:
    """Number of images made and the seconds they took, after one batch of warm-up."""
    torch.set_num_threads(threads)
    generator = Generator(SynthConfig(size=size), load_rig(), device)
    generator.batch(range(batch))
    made, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        generator.batch(range(made, made + batch)).image.sum().item()  # the sum waits for a GPU
        made += batch
    return made, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    job = (arguments.size, arguments.device, arguments.batch, arguments.seconds, 1)
    if arguments.device == "cpu" and arguments.processes > 1:
        with get_context("spawn").Pool(arguments.processes) as pool:
            results = pool.starmap(measure, [job] * arguments.processes)
    else:
        results = [measure(*job)]
    rate = sum(made / taken for made, taken in results)
    table = Table(
        title="Images per second of the generator",
        columns=("side, px", "device", "processes of one thread", "batch", "images per second"),
        rows=((str(arguments.size), arguments.device, str(len(results)), str(arguments.batch), rate),),
    )
    report([table], arguments.output)


if __name__ == "__main__":
    main()
