# SPDX-License-Identifier: Apache-2.0
"""Whether the uncertainty is large where the error is large, on real faces.

``python benchmarks/uncertainty.py --root YALEB [--picture curve.png]``: photos of Extended Yale B under lights within
35°, padded as `lineament evaluate yaleb` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.framing import Framing
from lineament.evaluation.metrics import Sparsification, sparsification
from lineament.evaluation.yaleb import PADDING, SUBSETS
from lineament.geometry import angular_error


def main() -> None:
    """Print the correlation per person and the curve over all, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    estimator, framing, dataset = lineament.load(arguments.method), Framing(PADDING), YaleB(arguments.root)
    errors: list[NDArray[np.float64]] = []
    expected: list[NDArray[np.float64]] = []
    print("| person | error, ° | expected, ° | rank correlation | area | by chance |\n|---|---:|---:|---:|---:|---:|")
    for name in dataset.subjects:
        own_errors, own_expected = [], []
        for sample in dataset.samples(name, SUBSETS["frontal35"]):
            found = estimator.estimate_crop(framing.apply(sample.image), flip=True)
            height, width = sample.image.shape[:2]
            normals = framing.undo(found.normals[-1], height, width)
            degrees = framing.cut(found.uncertainty[-1], height, width)
            own_errors.append(angular_error(normals[sample.mask], sample.normals[sample.mask]))
            own_expected.append(degrees[sample.mask].astype(np.float64))
        errors.append(np.concatenate(own_errors))
        expected.append(np.concatenate(own_expected))
        print(row(name, errors[-1], expected[-1]))
    whole, all_expected = np.concatenate(errors), np.concatenate(expected)
    print(row("all", whole, all_expected))
    curve = sparsification(whole, all_expected)
    print("\n| left out | error of the rest, ° | at best, ° |\n|---:|---:|---:|")
    for share, error, best in zip(curve.removed[::2], curve.error[::2], curve.oracle[::2], strict=True):
        print(f"| {100 * share:.0f} % | {error:.2f} | {best:.2f} |")
    if arguments.picture:
        draw(curve, arguments.picture)


def row(name: str, errors: NDArray[np.float64], expected: NDArray[np.float64]) -> str:
    """A line of the table."""
    s = sparsification(errors, expected)
    figures = (errors.mean(), expected.mean(), s.rank_correlation, s.area, s.area_of_chance)
    return f"| {name} | " + " | ".join(f"{value:.2f}" for value in figures) + " |"


def draw(curve: Sparsification, path: Path, side: int = 420) -> None:
    """The curve (blue) over the oracle's (grey): across, the share left out; up, the error of the rest."""
    picture = np.full((side, side, 3), 255, np.uint8)
    room, top = 46, 1.1 * curve.error[0]

    def points(values: NDArray[np.float64]) -> NDArray[np.int32]:
        x = room + curve.removed * (side - room - 10)
        y = side - room - values / top * (side - room - 10)
        return np.stack([x, y], axis=1).round().astype(np.int32)

    for degrees in range(0, int(top) + 1, 2):
        height = int(side - room - degrees / top * (side - room - 10))
        cv2.line(picture, (room, height), (side - 10, height), (225, 225, 225), 1)
        cv2.putText(
            picture, str(degrees), (14, height + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA
        )
    for percent in range(0, 100, 20):
        x = int(room + percent / 100 * (side - room - 10))
        text = f"{percent}%"
        cv2.putText(picture, text, (x - 8, side - 22), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60, 60, 60), 1, cv2.LINE_AA)
    for values, colour in ((curve.oracle, (150, 150, 150)), (curve.error, (200, 90, 20))):
        cv2.polylines(picture, [points(values)], False, colour, 2, cv2.LINE_AA)
    cv2.imwrite(str(path), picture)


if __name__ == "__main__":
    main()
