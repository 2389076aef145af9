# SPDX-License-Identifier: Apache-2.0
"""Accuracy on heads of exact geometry that no training saw: ``python benchmarks/accuracy/heads.py --root DIR --method
casfne-s hffne-s df2net-s [--heads N] [--given] [--pictures DIR] [--output tables.json]``.

``DIR`` holds ``gnm_heads.npz`` (`head_photos.py`). Every head is photographed in ten poses under five lights with five
skins, and every method estimates the same pictures as users have it: `lineament.load(name).estimate(picture)`, largest
face. With ``--given`` it is told where the face is, which parts finding from estimating.

Errors are angles to the mesh's interpolated normals over the face that the geometry shows (skin, lips, brows and eyes
up to the hairline), the mean of each picture first. They are taken from the estimate on its whole crop, so that how a
method cuts out the face does not count; *covered* is the share of those pixels that its mask keeps, *with gaps* the
mean error when all others count 90°. A face that is not found counts 90° and a correlation of 0. *Shape* is the error
when both are blurred, *detail r* and *detail ×* are the correlation and the relative strength of what the blur takes
away (`lineament.evaluation.metrics.detail`).

Beside the methods stands the mean of all heads, turned as each truly is: how little the heads differ. The light and the
skin are the generator's, which trainings see too, so the figures tell how a method fares with shapes that it never saw,
not with photos that it never saw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from head_photos import LIGHTS, POSES, SKINS, HeadPhoto, head_photos
from numpy.typing import NDArray

import lineament
from lineament.alignment.crop import crop_of_landmarks
from lineament.errors import LineamentError, NoFaceError
from lineament.evaluation.metrics.detail import BLUR, compare_shape_and_detail
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.geometry import angular_error
from lineament.images.encoding import encode_normals
from lineament.images.write import write_png

MEAN = "mean head"  # what to hold the methods against
NOTHING = 90.0  # degrees, of a pixel of which nothing is said
SAME = 0.3  # overlap of boxes (intersection over union) from which a face is the head's

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Score:
    """One method's figures on one picture; angles in degrees."""

    method: str
    head: int
    light: str
    pose: str
    skin: str
    found: bool
    mean: float
    median: float
    shape: float
    detail_correlation: float
    detail_strength: float
    covered: float
    with_gaps: float


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with gnm_heads.npz")
    parser.add_argument("--method", nargs="+", default=["casfne-s"], help="names or weights files")
    parser.add_argument("--heads", type=int, help="only the first ones")
    parser.add_argument("--given", action="store_true", help="give the face's box")
    parser.add_argument("--pictures", type=Path, help="folder for photo, truth and estimates side by side")
    arguments = parser.parse_args()
    if arguments.heads is not None and arguments.heads < 1:
        parser.error(f"--heads must be at least 1, not {arguments.heads}")
    torch.set_num_threads(1)  # as fast for single pictures, and sums are rounded alike on every machine
    try:
        measure(arguments)
    except LineamentError as error:
        sys.exit(f"error: {error}")


def measure(arguments: argparse.Namespace) -> None:
    """Measure the methods, print the tables and write what was asked for."""
    estimators = {name: lineament.load(name) for name in arguments.method}
    scores: list[Score] = []
    for number, photo in enumerate(head_photos(arguments.root, arguments.heads)):
        maps = [photo.normals * photo.mask[..., None]]
        scores.append(score(MEAN, photo, photo.mean_head, photo.mask))
        for name, estimator in estimators.items():
            normals, kept = estimate(estimator, photo, arguments.given)
            scores.append(score(name, photo, normals, kept))
            maps.append(np.zeros_like(photo.normals) if normals is None else normals * photo.mask[..., None])
        if arguments.pictures is not None:
            parts = (photo.head, photo.light, photo.pose, photo.skin)
            name = f"{number:03d} " + " ".join(str(part) for part in parts)
            arguments.pictures.mkdir(parents=True, exist_ok=True)
            sheet = np.hstack([photo.picture, *(encode_normals(m) for m in maps)])
            write_png(arguments.pictures / f"{name.replace(' ', '-')}.png", sheet)
    report(tables_of(scores, [*estimators, MEAN]), arguments.output, arguments.method)


def estimate(
    estimator: lineament.Estimator, photo: HeadPhoto, given: bool
) -> tuple[Floats | None, NDArray[np.bool_] | None]:
    """Normals [S, S, 3] on the whole crop, zero beyond, and the mask of the largest face; None if it is another's."""
    try:
        faces = estimator.estimate(photo.picture, faces=[photo.box] if given else None)
    except NoFaceError:
        return None, None
    face = max(faces, key=lambda face: face.box[2] * face.box[3])
    if overlap(face.box, photo.box) < SAME:
        return None, None
    height, width = photo.mask.shape
    x, y, w, h = face.crop.place(height, width)
    normals = np.zeros_like(photo.normals)
    inside = face.crop.covers(height, width)
    normals[y : y + h, x : x + w] = face.crop.paste(face.stages[-1], height, width) * inside[..., None]
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(length, 1e-6), face.mask


def overlap(first: Box, second: Box) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    low = np.maximum(first[:2], second[:2])
    high = np.minimum(np.add(first[:2], first[2:]), np.add(second[:2], second[2:]))
    shared = float(np.prod((high - low).clip(0.0)))
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def score(method: str, photo: HeadPhoto, normals: Floats | None, kept: NDArray[np.bool_] | None) -> Score:
    """One method's figures on one picture."""
    about = (method, photo.head, photo.light, photo.pose, photo.skin)
    mask = photo.mask
    if normals is None or kept is None:
        return Score(*about, False, NOTHING, NOTHING, NOTHING, 0.0, 0.0, 0.0, NOTHING)
    errors = angular_error(normals[mask], photo.normals[mask])
    sigma = BLUR * crop_of_landmarks(photo.landmarks).side
    parts = compare_shape_and_detail(normals, photo.normals, mask, sigma)
    return Score(
        *about,
        found=True,
        mean=float(errors.mean()),
        median=float(np.median(errors)),
        shape=parts.shape_error,
        detail_correlation=parts.correlation,
        detail_strength=parts.strength,
        covered=float(kept[mask].mean()),
        with_gaps=float(np.where(kept[mask], errors, NOTHING).mean()),
    )


def tables_of(scores: list[Score], methods: list[str]) -> list[Table]:
    """A table of the methods, and one of their mean errors by light, pose, skin and head."""
    pictures = len(scores) // len(methods)
    figures: dict[str, Callable[[Score], float]] = {
        "mean °": lambda s: s.mean,
        "median °": lambda s: s.median,
        "shape °": lambda s: s.shape,
        "detail r": lambda s: s.detail_correlation,
        "detail ×": lambda s: s.detail_strength,
        "covered, %": lambda s: 100.0 * s.covered,
        "with gaps °": lambda s: s.with_gaps,
    }
    rows: list[tuple[Cell, ...]] = []
    for method in methods:
        own = [each for each in scores if each.method == method]
        means = (float(np.mean([metric(each) for each in own])) for metric in figures.values())
        rows.append((method, str(sum(each.found for each in own)), *means))
    parts: list[tuple[Cell, ...]] = []
    groups: list[tuple[str, Iterable[object]]] = [
        ("light", LIGHTS),
        ("pose", POSES),
        ("skin", SKINS),
        ("head", sorted({each.head for each in scores})),
    ]
    for group, names in groups:
        for name in names:
            of_name = [s for s in scores if getattr(s, group) == name]
            if of_name:
                means = (float(np.mean([s.mean for s in of_name if s.method == m])) for m in methods)
                parts.append((group, str(name), *means))
    return [
        Table(f"{pictures} pictures of heads", ("method", "found", *figures), tuple(rows)),
        Table("Mean error by part, °", ("", "", *methods), tuple(parts)),
    ]


if __name__ == "__main__":
    main()
