# SPDX-License-Identifier: Apache-2.0
"""Whether the uncertainty is large where the error is large, on real faces.

``python benchmarks/accuracy/uncertainty.py --root YALEB [--picture curve.png]``: photos of Extended Yale B under lights
within 35°, padded as `lineament evaluate yaleb` does.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.metrics.angular import sparsification
from lineament.evaluation.protocols.yaleb import SUBSETS
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.pictures import sparsification_plot
from lineament.evaluation.report.table import Cell, Table
from lineament.evaluation.systems.framing import Framing
from lineament.geometry import angular_error


def main() -> None:
    """Print the correlation per person and the curve over all, and draw it."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    estimator, framing, dataset = lineament.load(arguments.method), Framing(), YaleB(arguments.root)
    errors: list[NDArray[np.float64]] = []
    expected: list[NDArray[np.float64]] = []
    rows: list[tuple[Cell, ...]] = []
    for name in dataset.subjects:
        own_errors, own_expected = [], []
        for sample in dataset.samples(name, SUBSETS["frontal35"]):
            found = estimator.estimate_crop(framing.apply(sample.image, estimator.predictor.size))
            height, width = sample.image.shape[:2]
            normals = framing.undo(found.normals[-1], height, width)
            degrees = framing.cut(found.uncertainty[-1], height, width)
            truth, mask = sample.normals_and_mask()
            own_errors.append(angular_error(normals[mask], truth[mask]))
            own_expected.append(degrees[mask].astype(np.float64))
        errors.append(np.concatenate(own_errors))
        expected.append(np.concatenate(own_expected))
        rows.append(row(name, errors[-1], expected[-1]))
    whole, all_expected = np.concatenate(errors), np.concatenate(expected)
    rows.append(row("all", whole, all_expected))
    curve = sparsification(whole, all_expected)
    tables = [
        Table(
            title=f"Uncertainty of {arguments.method} on Extended Yale B, lights within 35°",
            columns=("person", "error °", "expected °", "rank correlation", "area", "by chance"),
            rows=tuple(rows),
        ),
        Table(
            title="Error of what is left when the least sure pixels are left out",
            columns=("left out, %", "error of the rest °", "at best °"),
            rows=tuple(
                (f"{100 * share:.0f}", float(error), float(best))
                for share, error, best in zip(curve.removed[::2], curve.error[::2], curve.oracle[::2], strict=True)
            ),
        ),
    ]
    report(tables, arguments.output, [arguments.method])
    if arguments.picture:
        sparsification_plot({arguments.method: curve}, arguments.picture)


def row(name: str, errors: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[Cell, ...]:
    """A line of the table."""
    s = sparsification(errors, expected)
    values = (errors.mean(), expected.mean(), s.rank_correlation, s.area, s.area_of_chance)
    return (name, *map(float, values))


if __name__ == "__main__":
    main()
