# SPDX-License-Identifier: Apache-2.0
"""What HFFNE makes of coarse normals that others bring:
``python benchmarks/accuracy/refine.py --root YALEB --method WEIGHTS``.

Photos of Extended Yale B under lights within 35°, padded as `lineament evaluate yaleb` does. The exemplars: the
network's own coarse normals; the truth strongly blurred; another person's truth; MediaPipe's smooth mesh, where it is
installed. The angular error of each, and of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import lineament
from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import YaleB
from lineament.errors import UsageError
from lineament.evaluation.protocols.yaleb import SUBSETS
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.evaluation.systems.framing import Framing
from lineament.evaluation.systems.peer import peer_system
from lineament.geometry import angular_error
from lineament.result.geometry import unit_normals

Floats = NDArray[np.float32]
Source = Callable[[Sample], Floats]


def blurred(sample: Sample, share: float) -> Floats:
    """The truth, blurred by a share of the photo's height; zero outside the face."""
    normals, mask = sample.normals_and_mask()
    sigma = share * len(mask)
    inside = mask[..., None].astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(normals * inside, (0, 0), sigma), np.float32)
    return np.asarray(unit_normals(smooth) * inside, np.float32)


def unit_inside(normals: Floats) -> Floats:
    """Resized normals [H, W, 3] made unit again, zero where more than half of what they come from says nothing."""
    return np.asarray(unit_normals(normals) * (np.linalg.norm(normals, axis=-1, keepdims=True) > 0.5), np.float32)


def sources(dataset: YaleB) -> dict[str, Source]:
    """The exemplars, by name."""
    following = dict(zip(dataset.subjects, [*dataset.subjects[1:], dataset.subjects[0]], strict=True))

    def of_another(sample: Sample) -> Floats:
        truth = dataset.subject(following[sample.subject])[1]
        size = sample.image.shape[1::-1]
        other = cv2.resize(truth.normals * truth.mask[..., None], size, interpolation=cv2.INTER_LINEAR)
        return unit_inside(np.asarray(other, np.float32))

    found: dict[str, Source] = {
        "truth, blurred by 5 % of the height": lambda sample: blurred(sample, 0.05),
        "truth, blurred by 10 %": lambda sample: blurred(sample, 0.10),
        "truth, blurred by 20 %": lambda sample: blurred(sample, 0.20),
        "another person's truth": of_another,
    }
    try:
        peer = peer_system("mediapipe")
        found["MediaPipe Face Mesh"] = lambda sample: peer.normals(sample)[-1]
    except UsageError as error:
        print(f"MediaPipe is left out: {error}")
    return found


def main() -> None:
    """Measure and print, a row per exemplar and person."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--method", required=True, help="weights of HFFNE")
    arguments = parser.parse_args()
    estimator, framing, dataset = lineament.load(arguments.method), Framing(), YaleB(arguments.root)
    rows: list[tuple[Cell, ...]] = []
    every: dict[str, Source | None] = {"its own coarse normals": None, **sources(dataset)}
    for name, source in every.items():
        before: list[float] = []
        after: list[float] = []
        for subject in dataset.subjects:
            pairs = [
                errors_of(estimator, framing, sample, source)
                for sample in dataset.samples(subject, SUBSETS["frontal35"])
            ]
            given, refined = np.mean([pair for pair in pairs if pair is not None], axis=0)
            before.append(float(given))
            after.append(float(refined))
        for label, metrics in (("exemplar", before), ("refined", after)):
            rows.append((name, label, *metrics, float(np.mean(metrics))))
    people = (name.removeprefix("yaleB") for name in dataset.subjects)
    table = Table("Coarse normals of others, refined: angular error, °", ("exemplar", "", *people, "mean"), tuple(rows))
    report([table], arguments.output, [arguments.method])


def errors_of(
    estimator: lineament.Estimator, framing: Framing, sample: Sample, source: Source | None
) -> tuple[float, float] | None:
    """Mean angular error in degrees of an exemplar, where it says something, and of what is made of it there.

    None where it says nothing: MediaPipe finds no face in some of these photos.
    """
    truth, mask = sample.normals_and_mask()
    exemplar = None if source is None else source(sample)
    (height, width), size = mask.shape, estimator.predictor.size
    square = None if exemplar is None else framing.crop(height, width, size).normals_from_photo(exemplar)
    found = estimator.estimate_crop(framing.apply(sample.image, size), exemplar=square).normals
    own, refined = (framing.undo(normals, height, width) for normals in found)
    given = own if exemplar is None else exemplar
    valid = mask & (given != 0).any(-1)
    if not valid.any():
        return None
    first, second = (float(angular_error(m[valid], truth[valid]).mean()) for m in (given, refined))
    return first, second


if __name__ == "__main__":
    main()
