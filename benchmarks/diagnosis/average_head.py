# SPDX-License-Identifier: Apache-2.0
"""How measured heads differ from the generator's on average:
``python benchmarks/diagnosis/average_head.py --root YALEB``.

The mean normals of Extended Yale B's people and of frontal synthetic people are brought to one frame by the centres of
eyes and mouth. Printed is the angle between both means, by which depth factor and shear (degrees; positive, if the chin
lies further forward) the synthetic mean would come closest, and how far single people lie from the means: against the
protocol's truth, and against the truth with each strobe's strength fitted (`yaleb_lights.py`). ``--plain`` takes the
face model's own average head.
``--picture`` shows where they differ: both means under two lamps, and the difference of n_x and n_y (orange: the real
one is larger).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from yaleb_lights import fit

from lineament.annotations.parsing import FACE_CLASSES
from lineament.datasets.yaleb import YaleB
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.face import crop_of_whole, parse_crop
from lineament.geometry import angular_error
from lineament.images.write import write_png
from lineament.render.preview import LIGHTS, shade_normals
from lineament.rig import load_rig
from lineament.synth import Generator, SynthConfig

SIDE = 128
PLACES = np.array([[44, 48], [84, 48], [64, 92]], np.float32)  # of eyes and mouth in the common frame
MARGIN = 0.4  # around the tight photos, for the reader of landmarks
PLAIN: dict[str, Any] = {"mean_depth": 1.0, "mean_profile": 0.0, "mean_curvature": 0.0}

Floats = NDArray[np.float64]
Person = tuple[Floats, NDArray[np.bool_]]
"""Normals and mask in the common frame."""


def main() -> None:
    """Print both comparisons."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with yaleB01, ...")
    parser.add_argument("--faces", type=int, default=320)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    dataset = YaleB(arguments.root)
    made = synthetic_people(arguments.faces, PLAIN if arguments.plain else {})
    synthetic = mean_of(made, arguments.faces // 2)
    rows: list[tuple[Cell, ...]] = []
    for name, fitted in (("protocol's truth", False), ("strobes' strengths fitted", True)):
        people = [real_person(dataset, subject, fitted) for subject in dataset.subjects]
        real = mean_of(people, 4)
        both = real[1] & synthetic[1]
        if arguments.picture is not None and not fitted:
            write_png(arguments.picture, difference(real[0], synthetic[0], both))
        truth, mean = real[0][both], synthetic[0][both]

        def gap(x: Floats, mean: Floats = mean, truth: Floats = truth) -> float:
            return float(angular_error(deepened(mean, x[0], x[1]), truth).mean())

        spread = (
            from_mean(people, real),
            from_mean(people, synthetic),
            from_mean(made[: 8 * len(people)], synthetic),
        )
        best = minimize(gap, [1.0, 0.0], method="Nelder-Mead")
        rows.append((name, gap(np.array([1.0, 0.0])), float(best.fun), *map(float, best.x), *spread))
    columns = (
        *("truth", "means apart °", "at best °", "if heads were × as deep", "and sheared by °"),
        *("real from real mean °", "real from synthetic mean °", "synthetic from synthetic mean °"),
    )
    report([Table("Average heads", columns, tuple(rows))], arguments.output)


def from_mean(people: list[Person], mean: Person) -> float:
    """How far people lie from a mean face, degrees: what an estimate would err that always says the mean."""
    errors = [angular_error(normals, mean[0])[mask & mean[1]].mean() for normals, mask in people]
    return float(np.mean(errors))


def difference(real: Floats, synthetic: Floats, both: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Both means lit from above and from the left, and how much larger the real n_x and n_y are (orange, to 0.3)."""
    tiles = [
        np.repeat(shade_normals(mean.astype(np.float32), LIGHTS[lamp], both)[..., None], 3, axis=2)
        for lamp in (3, 1)
        for mean in (real, synthetic)
    ]
    for axis in (0, 1):
        more = np.clip((real - synthetic)[..., axis] / 0.6, -0.5, 0.5)
        colour = np.stack([0.5 + more, np.full_like(more, 0.5), 0.5 - more], axis=-1) * both[..., None]
        tiles.append((255 * colour).astype(np.uint8))
    rows, columns = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sheet = np.concatenate([tile[window] for tile in tiles], axis=1)
    return np.asarray(cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


def mean_of(people: list[Person], fewest: int) -> Person:
    """Mean unit normals, and where at least so many people have one."""
    total = np.sum([normals * mask[..., None] for normals, mask in people], axis=0)
    seen = np.sum([mask for _, mask in people], axis=0) >= fewest
    return total / np.linalg.norm(total, axis=-1, keepdims=True).clip(1e-6), seen


def deepened(normals: Floats, factor: float, degrees: float) -> Floats:
    """Normals [P, 3] of a surface whose depth is scaled, then sheared along the line of sight."""
    across, up = (-normals[:, i] / normals[:, 2].clip(0.05) * factor for i in (0, 1))
    up = up - np.tan(np.radians(degrees))
    slopes = np.stack([-across, -up, np.ones_like(up)], axis=-1)
    return np.asarray(slopes / np.linalg.norm(slopes, axis=-1, keepdims=True))


def real_person(dataset: YaleB, name: str, fitted: bool) -> Person:
    """One person's normals in the common frame."""
    subject, truth = dataset.subject(name)
    normals = truth.normals.astype(np.float64)
    if fitted:
        normals = np.zeros_like(normals)
        normals[truth.mask] = fit(dataset, name, every=1)[1]
    height, width = subject.photos[0].shape
    margin = round(MARGIN * height)
    left = margin + (height - width) // 2
    photo = cv2.copyMakeBorder(subject.photos[0], margin, margin, left, left, cv2.BORDER_REPLICATE)
    crop = crop_of_whole(*photo.shape)
    landmarks = parse_crop(np.repeat(photo[..., None], 3, axis=2), crop).landmarks - [left, margin]
    return framed(normals, truth.mask, landmarks)


def synthetic_people(count: int, average: dict[str, Any]) -> list[Person]:
    """Frontal synthetic people in the common frame."""
    config = SynthConfig(
        size=SIDE, seed=77, frontal=1.0, yaw=6.0, roll=4.0, pitch=25.0, glasses=0.0, hats=0.0, covered=0.0
    )
    config = replace(config, **average)
    generator, people = Generator(config, load_rig()), []
    for first in range(0, count, 8):
        batch = generator.batch(range(first, min(count, first + 8)))
        for row in range(len(batch.image)):
            mask = np.isin(batch.mask[row, 0].numpy(), [int(c) for c in FACE_CLASSES])
            normals = batch.normals[row].permute(1, 2, 0).numpy().astype(np.float64)
            people.append(framed(normals, mask, batch.landmarks[row].numpy()))
    return people


def framed(normals: Floats, mask: NDArray[np.bool_], landmarks: Floats) -> Person:
    """Normals and mask where the common frame puts them."""
    marks = np.asarray(landmarks, np.float32)
    centres = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), 0.5 * (marks[48] + marks[54])])
    affine = cv2.getAffineTransform(centres, PLACES)
    inside = cv2.warpAffine(mask.astype(np.float32), affine, (SIDE, SIDE)) > 0.99
    return np.asarray(cv2.warpAffine(normals, affine, (SIDE, SIDE))), inside


if __name__ == "__main__":
    main()
