# SPDX-License-Identifier: Apache-2.0
"""What giving photos the contrast of cameras is worth:
``python benchmarks/diagnosis/tones.py --root YALEB [--portraits DIR]``.

The database's photos hold linear light, synthetic ones have a camera's curve, or none if it is taken away. Printed is
the mean angular error over real people (every light within 35°) and over synthetic ones cut alike, as the estimator
works and with tones as they are; and quantiles of the contrast of all faces that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import diagnose
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.errors import LineamentError
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.images import find_images, read_image
from lineament.images.tone import camera_tones, face_contrast
from lineament.pipeline import crops as module

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
CURVE = 2.2  # exponent that takes a camera's curve away


def main() -> None:
    """Print both tables."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", default="casfne-s")
    parser.add_argument("--synthetic", type=int, default=64, help="synthetic people")
    parser.add_argument("--portraits", type=Path, help="a folder with photos, of which every 14th is looked at")
    arguments = parser.parse_args()
    estimator = lineament.load(arguments.method)
    synthetic = partial(diagnose.synthetic_people, arguments.synthetic, estimator, -1)
    kinds: dict[str, Callable[[], Iterator[diagnose.Person]]] = {
        "real, linear light": partial(diagnose.real_people, arguments.root, estimator, -1),
        "synthetic, linear light": partial(synthetic, tone=1.0 / CURVE),
        "synthetic, a camera's curve": synthetic,
    }
    contrasts: dict[str, list[float]] = {}
    rows: list[tuple[Cell, ...]] = []
    for name, people in kinds.items():
        errors: list[float] = []
        for tones in (lambda contrast: np.arange(256, dtype=np.uint8), camera_tones):
            seen = contrasts[name] = []
            with mock.patch.object(module, "camera_tones", noting(tones, seen)):
                errors.append(float(np.mean([diagnose.mean_error(person) for person in people()])))
        rows.append((name, *errors))
    if arguments.portraits:
        contrasts["portraits"] = list(portrait_contrasts(arguments.portraits, estimator.predictor.size))
    quantiles: list[tuple[Cell, ...]] = [
        (name, *map(float, np.quantile(values, QUANTILES))) for name, values in contrasts.items()
    ]
    tables = [
        Table("Error, °", ("photos", "tones as they are", "with usual contrast"), tuple(rows)),
        Table("Contrast", ("photos", *(f"{100 * q:.0f} %" for q in QUANTILES)), tuple(quantiles)),
    ]
    report(tables, arguments.output, [arguments.method])


def noting(tones: Callable[[float], NDArray[np.uint8]], seen: list[float]) -> Callable[[float], NDArray[np.uint8]]:
    """The same tones, which write down the contrasts that they are asked for."""

    def noted(contrast: float) -> NDArray[np.uint8]:
        seen.append(contrast)
        return tones(contrast)

    return noted


def portrait_contrasts(folder: Path, size: int) -> Iterator[float]:
    """Contrast of the faces in a folder's photos."""
    for path in find_images([folder])[::14]:
        try:
            image = read_image(path)
        except LineamentError:
            continue
        for face in lineament.face.detect_faces(image):
            if face.parsing is not None:
                yield face_contrast(face.parsing.crop.at(size).extract(image))


if __name__ == "__main__":
    main()
