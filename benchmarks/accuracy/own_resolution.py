# SPDX-License-Identifier: Apache-2.0
"""Ways to bring a crop's normals to the photo's resolution:
``python benchmarks/accuracy/own_resolution.py [--faces 24]``.

Detailed synthetic faces of 768 pixels, seen by the network at its own size. Compared are cubic enlargement, guided
filtering by the photo (He et al. 2013), the network on a finer crop, and what ships: the shape of the crop with the
detail of the finer one. ``error`` is the mean angle to the truth over the face; ``detail`` is the same when everything
coarser than the crop's blur is taken from the truth.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop, crop_of_landmarks
from lineament.annotations.parsing import FACE_CLASSES
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Table
from lineament.models.parser.predictor import shipped_parser
from lineament.pipeline.augmentation import DETAIL, detailed_normals
from lineament.pipeline.crops import finer_side, run_views
from lineament.pipeline.estimator import Estimator, load
from lineament.pipeline.view import View
from lineament.result.geometry import unit_normals
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig
from lineament.synth.degrade import DegradeConfig

SIZE = 768
Normals = NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--faces", type=int, default=24)
    arguments = parser.parse_args()
    camera = replace(DegradeConfig(), low_resolution=0.0, defocus=0.0, motion=0.0, jpeg_lowest=60.0)
    config = SynthConfig(
        size=SIZE, seed=77, glasses=0.0, covered=0.0, hats=0.0, yaw=40.0, span_low=0.5, span_high=0.75, degrade=camera
    )
    generator, estimator = Generator(config, load_rig()), load()
    metrics: dict[str, list[tuple[float, float]]] = defaultdict(list)
    masks: dict[str, list[float]] = defaultdict(list)
    for index in range(arguments.faces):
        sample = generator.batch([index])
        image = (255 * sample.image[0].permute(1, 2, 0).numpy()).round().astype(np.uint8)
        truth = sample.normals[0].permute(1, 2, 0).numpy()
        mask = np.isin(sample.mask[0, 0].numpy(), FACE_CLASSES)
        crop = crop_of_landmarks(sample.landmarks[0].numpy().astype(np.float64), estimator.predictor.size)
        for name, found in masks_of(crop, image).items():
            masks[name].append((found & mask).sum() / max(1, (found | mask).sum()))
        mask = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        for name, normals in ways(estimator, crop, image).items():
            sigma = DETAIL * crop.side
            detail = unit_normals(blurred(truth, sigma) + normals - blurred(normals, sigma))
            metrics[name].append((angle(normals, truth, mask), angle(detail, truth, mask)))
    tables = [
        Table(
            title="Normals at the photo's resolution",
            columns=("normals", "error °", "detail °"),
            rows=tuple((name, *map(float, np.mean(values, axis=0))) for name, values in metrics.items()),
            notes=(f"{arguments.faces} synthetic faces of {SIZE} pixels.",),
        ),
        Table(
            title="Masks at the photo's resolution",
            columns=("mask", "intersection over union, %"),
            rows=tuple((name, 100.0 * float(np.mean(overlaps))) for name, overlaps in masks.items()),
        ),
    ]
    report(tables, arguments.output, ["casfne-s"])


def ways(estimator: Estimator, crop: FaceCrop, image: NDArray[np.uint8]) -> dict[str, Normals]:
    """Normals SIZE×SIZE×3 of a photo, by name of the way."""
    finer = crop.at(finer_side(crop.size, estimator.predictor.multiple))
    coarse = estimator.estimate_crop(crop.extract(image)).normals[-1]
    ((seen,),) = run_views(estimator.predictor, [[View(finer.extract(image))]], None)
    fine = seen.normals[-1]
    cubic = in_photo(crop, coarse)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / np.float32(255)
    planes = [guided(grey, np.ascontiguousarray(cubic[..., i]), 9, 1e-3) for i in range(3)]
    return {
        "cubic enlargement": cubic,
        "guided by the photo": unit_normals(np.stack(planes, axis=-1)),
        "finer crop alone": in_photo(finer, fine),
        "shape + finer detail (ships)": in_photo(finer, detailed_normals(coarse, fine)),
    }


def masks_of(crop: FaceCrop, image: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
    """The face's mask SIZE×SIZE in a photo, by name of the way."""
    parser = shipped_parser()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / np.float32(255)
    shares = {}
    for side in (parser.size, finer_side(parser.size, 32)):
        seen = crop.at(side)
        share = parser.run(seen.extract(image)[None])[0].parse[..., list(FACE_CLASSES)].sum(-1)
        shares[side] = np.zeros((SIZE, SIZE), np.float32)
        x, y, w, h = seen.place(SIZE, SIZE)
        shares[side][y : y + h, x : x + w] = seen.paste(share, SIZE, SIZE) * seen.covers(SIZE, SIZE)
    own, finer = shares.values()
    return {
        "cubic enlargement (ships)": own > 0.5,
        "guided by the photo": guided(grey, own, 9, 1e-3) > 0.5,
        "finer crop": finer > 0.5,
        "both crops averaged": own + finer > 1.0,
    }


def in_photo(crop: FaceCrop, normals: Normals) -> Normals:
    """Unit normals of a crop in the photo; towards the viewer elsewhere."""
    result = np.zeros((SIZE, SIZE, 3), np.float32)
    result[..., 2] = 1.0
    x, y, w, h = crop.place(SIZE, SIZE)
    result[y : y + h, x : x + w] = unit_normals(crop.paste(crop.normals_to_photo(normals), SIZE, SIZE))
    return result


def guided(guide: NDArray[np.float32], plane: NDArray[np.float32], side: int, epsilon: float) -> NDArray[np.float32]:
    """The guided filter with a grey guide."""

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.boxFilter(values, -1, (side, side)), dtype=np.float32)

    slope = (mean(guide * plane) - mean(guide) * mean(plane)) / (mean(guide * guide) - mean(guide) ** 2 + epsilon)
    return mean(slope) * guide + mean(mean(plane) - slope * mean(guide))


def blurred(normals: Normals, sigma: float) -> Normals:
    """Normals without what is finer than a Gaussian."""
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(normals), (0, 0), sigma), dtype=np.float32)


def angle(normals: Normals, truth: Normals, mask: NDArray[np.bool_]) -> float:
    """Mean angle in degrees."""
    cosine = np.einsum("hwc,hwc->hw", normals, truth).clip(-1, 1)
    return float(np.degrees(np.arccos(cosine))[mask].mean())


if __name__ == "__main__":
    main()
