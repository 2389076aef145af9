# SPDX-License-Identifier: Apache-2.0
"""Images per second of the generator, and what a face costs by part:
``python benchmarks/speed/synth.py [--size 256] [--processes 2] [--device cpu]``.

The parts are measured on one thread by Python's profiler; some contain others, as the table says.
"""

from __future__ import annotations

import cProfile
import pstats
import time
from multiprocessing import get_context
from pathlib import Path

import torch

from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
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


PARTS = {
    "standing before the camera": ("pose_faces", ""),
    "rasterising, head and hair": ("rasterize", ""),
    "relief of the skin": ("skin_height", "with its noise"),
    "relief of the features": ("feature_height", ""),
    "colour of the skin": ("skin_albedo", "with its noise"),
    "noise": ("sample", "within relief, colours, hair, background"),
    "hair": ("_hair", "with its rasterising"),
    "glasses": ("wear_glasses", ""),
    "light": ("shade", "with shadows"),
    "shadows": ("cast_shadow", "within light"),
    "background": ("background", ""),
    "camera": ("__call__ degrade", "blur, noise, compression"),
}
"""A part of a face's work: the function that does it, and what it contains or is contained in."""


def parts_of(size: int, batch: int, batches: int = 6) -> Table:
    """Milliseconds of each part for a face, on one thread of a CPU."""
    torch.set_num_threads(1)
    generator = Generator(SynthConfig(size=size), load_rig())
    generator.batch(range(batch))
    profile = cProfile.Profile()
    profile.enable()
    for number in range(1, batches + 1):
        generator.batch(range(number * batch, (number + 1) * batch))
    profile.disable()
    seconds: dict[str, float] = {}
    whole = 0.0
    for (file, _, function), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if "lineament" in file:
            name = f"{function} {Path(file).stem}" if function.startswith("__") else function
            seconds[name] = seconds.get(name, 0.0) + cumulative
            whole = max(whole, cumulative)
    faces = batch * batches / 1000.0
    rows: list[tuple[Cell, ...]] = [
        (part, seconds.get(function, 0.0) / faces, 100.0 * seconds.get(function, 0.0) / whole, remark)
        for part, (function, remark) in PARTS.items()
    ]
    rows.append(("the whole face", whole / faces, 100.0, ""))
    return Table(f"A face of {size} pixels by part", ("part", "ms", "%", ""), tuple(rows))


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
    tables = [table, parts_of(arguments.size, arguments.batch)] if arguments.device == "cpu" else [table]
    report(tables, arguments.output)


if __name__ == "__main__":
    main()
