# SPDX-License-Identifier: Apache-2.0
"""How much closer the second view should be:
``python benchmarks/diagnosis/second_view.py --root YALEB [--method casfne-s]``.

Normals are the mean of two views of a face, the second one mirrored and closer. Printed is the mean angular error over
real people (every light within 35°) and over synthetic ones cut alike, with one view and with a second one that shows
the face by so much larger.
"""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import diagnose
import numpy as np

import lineament
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.pipeline import view

FACTORS = (1.0, 1.1, 1.2, 1.3)


def main() -> None:
    """Print the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--synthetic", type=int, default=64, help="synthetic people")
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method)
    rows: list[tuple[Cell, ...]] = []
    for factor in (None, *FACTORS):
        with mock.patch.object(view, "CLOSER", factor or 1.0):
            people = (
                diagnose.real_people(arguments.root, estimator, -1, second_view=factor is not None),
                diagnose.synthetic_people(arguments.synthetic, estimator, -1, second_view=factor is not None),
            )
            errors = [float(np.mean([diagnose.mean_error(person) for person in each])) for each in people]
        name = "none" if factor is None else f"{factor:g} times as large"
        rows.append((name, *errors))
    table = Table(f"Second view, {arguments.method}", ("second view", "real °", "synthetic °"), tuple(rows))
    report([table], arguments.output, [arguments.method])


if __name__ == "__main__":
    main()
