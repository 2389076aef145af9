# SPDX-License-Identifier: Apache-2.0
"""Time and memory of estimating one photo: ``python benchmarks/speed/estimate.py [--side 1024] [--threads 2]``.

The photo is scikit-image's astronaut, enlarged. Each part is timed by itself; medians of several runs.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import cv2

import lineament
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.face import detect_faces
from lineament.images.sample import sample_photo


def median_ms(work: Callable[[], object], runs: int) -> float:
    """Median wall time of a call, milliseconds, after one that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--method", default="casfne-s")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    start = time.perf_counter()
    model = lineament.load(arguments.method, arguments.threads)
    loading = 1e3 * (time.perf_counter() - start)
    photo = cv2.resize(sample_photo(), (arguments.side, arguments.side), interpolation=cv2.INTER_CUBIC)
    box = detect_faces(photo)[0].box
    one_view = lineament.Options(second_view=False)
    works: dict[str, Callable[[], object]] = {
        "finding": lambda: detect_faces(photo),
        "estimating, box given": lambda: model.estimate(photo, [box]),
        "estimating, box given, one view": lambda: model.estimate(photo, [box], options=one_view),
        "finding and estimating": lambda: model.estimate(photo),
    }
    times = {"loading": loading, **{name: median_ms(work, arguments.runs) for name, work in works.items()}}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = Table(
        title="Estimating one photo",
        columns=("part", "ms"),
        rows=tuple(times.items()),
        notes=(
            f"{arguments.method}, photo {arguments.side}², one face, {arguments.threads} threads, "
            f"median of {arguments.runs}.",
            f"Peak memory of the process: {peak:.0f} MB.",
        ),
    )
    report([table], arguments.output, [arguments.method])


if __name__ == "__main__":
    main()
