# SPDX-License-Identifier: Apache-2.0
"""How the measure of blur that `lineament check` uses tells sharp faces from blurred ones: ``python
benchmarks/diagnosis/blur.py [--photos DIR] [--count 48] [--output tables.json]``.

Sharp renderings of the generator, and photos if a folder of them is given, are blurred by Gaussians of 0 to 4 pixels,
the face seen 256 pixels large as the check sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import crop_of_landmarks
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.face import detect_faces
from lineament.images.read import find_images, read_image
from lineament.images.resize import to_uint8
from lineament.images.sharpness import blur_effect
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.degrade import DegradeConfig

SIDE, MARGIN = 256, 51  # pixels of the crop, and of it beside what is measured
SIGMAS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0)


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=48)
    arguments = parser.parse_args()
    rows = measured("renderings", renderings(arguments.count))
    if arguments.photos is not None:
        rows += measured("photos", photos(arguments.photos, arguments.count))
    columns = ("pictures", "blurred by", "5 of 100 below", "median", "95 of 100 below")
    report([Table("Blur by Crete's measure", columns, tuple(rows))], arguments.output, ["face-parser"])


def measured(name: str, crops: Iterator[NDArray[np.uint8]]) -> list[tuple[str | float, ...]]:
    """A row for every blur."""
    values: dict[float, list[float]] = {sigma: [] for sigma in SIGMAS}
    for crop in crops:
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        for sigma in SIGMAS:
            seen = cv2.GaussianBlur(grey, (0, 0), sigma) if sigma else grey
            values[sigma].append(float(blur_effect(seen[MARGIN:-MARGIN, MARGIN:-MARGIN])))
    return [(name, f"{sigma:g} px", *map(float, np.percentile(found, (5, 50, 95)))) for sigma, found in values.items()]


def renderings(count: int) -> Iterator[NDArray[np.uint8]]:
    """Crops of synthetic faces that no lens or sensor has touched."""
    lens = DegradeConfig(blur=0, defocus=0, motion=0, low_resolution=0, noise=0, coarse_noise=0, sharpen=0, jpeg=0)
    generator = Generator(SynthConfig(size=384, seed=3, frontal=1.0, degrade=lens), load_rig())
    for index in range(count):
        batch = generator.batch([index])
        picture = (255 * batch.image[0].permute(1, 2, 0).numpy()).astype(np.uint8)
        yield crop_of_landmarks(batch.landmarks[0].numpy().astype(np.float64), SIDE).extract(picture)


def photos(folder: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Crops of the first face of photos."""
    paths = find_images([str(folder)])
    for path in paths[:: max(1, len(paths) // count)][:count]:
        photo = to_uint8(read_image(path))
        for face in detect_faces(photo)[:1]:
            if face.parsing is not None:
                yield face.parsing.crop.at(SIDE).extract(photo)


if __name__ == "__main__":
    main()
