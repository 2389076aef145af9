# SPDX-License-Identifier: Apache-2.0
"""How well a method reads shading:
``python benchmarks/diagnosis/shading.py --root YALEB --method WEIGHTS [WEIGHTS ...]``.

The measured normals of Extended Yale B's people are lit by Lambert's law with one lamp and one albedo, in place of the
face in their photos: no beard, no gloss, no shadow, a camera without a tone curve. What a method errs on these pictures
is no matter of skin. Printed per lamp: the mean angular error over people, what the best rotation and the best
bas-relief of each person's estimate would leave, and the error of shape alone (both blurred).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from diagnose import Person, estimate, metrics
from numpy.typing import NDArray

import lineament
from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.protocols.yaleb import SUBSETS
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.evaluation.systems.framing import Framing
from lineament.pipeline.estimator import Estimator

LAMPS = {"at the camera": (0.0, 0.0, 1.0), "above": (0.0, 0.5, 1.0), "left": (-0.6, 0.1, 1.0), "both": (-0.5, 0.5, 1.0)}
"""Directions towards the lamp, camera frame, not yet unit."""
MEDIAN = 0.5  # brightness of the median pixel
SHOWN = ("error", "rotated", "relief", "shape")


def lit_people(samples: list[Sample], estimator: Estimator, lamp: NDArray[np.float64]) -> Iterator[Person]:
    """Every person's estimate on the render of their own truth."""
    framing = Framing()
    for sample in samples:
        normals, mask = sample.normals_and_mask()
        shading = (normals @ lamp).clip(0.0)
        shading *= MEDIAN / np.median(shading[mask])
        lit = np.rint(255.0 * shading.clip(0.0, 1.0)).astype(np.uint8)
        photo = np.where(mask[..., None], lit[..., None], sample.image)
        yield Person(sample.subject, normals, mask, [photo], [estimate(estimator, framing, photo, -1)], [])


def main() -> None:
    """Measure every method under every lamp."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", nargs="+", default=["casfne-s"])
    arguments = parser.parse_args()
    dataset = YaleB(arguments.root)
    samples = [next(iter(dataset.samples(name, SUBSETS["front"]))) for name in dataset.subjects]
    rows: list[tuple[Cell, ...]] = []
    for method in arguments.method:
        estimator = lineament.load(method)
        for name, direction in LAMPS.items():
            lamp = np.array(direction) / np.linalg.norm(direction)
            kinds = [metrics(person) for person in lit_people(samples, estimator, lamp)]
            rows.append((method, name, *(float(np.mean([k[kind] for k in kinds])) for kind in SHOWN)))
    table = Table("Real heads lit evenly: error, °", ("method", "lamp", *SHOWN), tuple(rows))
    report([table], arguments.output, arguments.method)


if __name__ == "__main__":
    main()
