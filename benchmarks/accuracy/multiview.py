# SPDX-License-Identifier: Apache-2.0
"""HRN's table 4 on people whose geometry is known: ``python benchmarks/accuracy/multiview.py [--data FOLDER]
[--root DIR] [--people N] [--output table.json]``.

``FOLDER`` was written by ``lineament synth --identities 50``, five photos or more of a person; ``DIR`` holds
``gnm_heads.npz`` (`head_photos.py`). The first photo is the most frontal one, the next two are turned farthest to
either side. Meshes are laid on the true face as `head_meshes.py` does; the distance is the median over the face at the
size that fits best, mean over all photos of the fit, then over people, with the standard error over people.

The controls: one photo fitted with the same losses, the fit without another method's normals, and, of synthetic people,
the fit to the true landmarks in place of those that are found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from head_meshes import POINTS, REACH, distance, face_of
from head_photos import head_photos, read_heads

import lineament
from lineament.datasets.labelled_folder import read_picture
from lineament.errors import LineamentError, NoFaceError
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.inference.multiview import FitOptions
from lineament.pipeline.multiview import fit_of, fitted, largest_face
from lineament.result.geometry import FaceGeometry
from lineament.rig import Part, load_rig
from lineament.synth.person import RigTensors, pose_faces
from lineament.synth.random import SampleRandom
from lineament.synth.write import config_of

VIEWS = 5
POSES = ("frontal", "yaw +40", "yaw -40", "yaw +20", "yaw -20")
PAPER = {2: 1.17, 3: 1.13, 4: 1.11, 5: 1.10}
NAIVE = 1.23
ROWS: Mapping[str, tuple[int, FitOptions, bool]] = {
    "1 view": (1, FitOptions(steps=0), False),
    **{f"{count} views": (count, FitOptions(), False) for count in range(2, VIEWS + 1)},
    "naive, 3 views": (3, FitOptions(steps=0), False),
    "naive, 5 views": (5, FitOptions(steps=0), False),
    "1 view, fitted": (1, FitOptions(), False),
    "the paper's losses, 3 views": (3, FitOptions(landmark=1.6e-3, normal=0.0), False),
    "without another method's normals, 3 views": (3, FitOptions(normal=0.0), False),
    "true landmarks, 3 views": (3, FitOptions(), True),
}


@dataclass(frozen=True)
class View:
    """A face that was found, the points of the true one that meshes are compared with, and its landmarks."""

    face: FaceGeometry
    scan: np.ndarray
    """[N, 3] mm."""
    landmarks: np.ndarray
    """[68, 3] mm."""
    places: np.ndarray | None = None
    """[68, 2] the true landmarks in the photo, px."""


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", type=Path, help="folder of lineament synth")
    parser.add_argument("--root", type=Path, help="folder with gnm_heads.npz")
    parser.add_argument("--method", default="hrn-s", help="name or weights file of a method that fits heads")
    parser.add_argument("--people", type=int, help="only the first ones")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    try:
        tables = []
        if arguments.data is not None:
            tables.append(table_of("Synthetic people", arguments.method, synthetic(arguments)))
        if arguments.root is not None:
            tables.append(table_of("Heads of another model", arguments.method, heads(arguments)))
    except LineamentError as error:
        sys.exit(f"error: {error}")
    report(tables, arguments.output, [arguments.method])


def table_of(title: str, method: str, people: Iterator[list[View]]) -> Table:
    """Every row on the same people."""
    estimator = lineament.load(method, options=lineament.Options(second_view=False))
    fit, rig, everyone = fit_of(estimator), load_rig(), list(people)
    cells: list[tuple[Cell, ...]] = []
    for name, (count, options, true_landmarks) in ROWS.items():
        if true_landmarks and everyone[0][0].places is None:
            continue
        found = []
        for views in everyone:
            chosen = views[:count]
            faces = [
                replace(view.face, landmarks=view.places, visibility=np.ones(68, np.float32))
                if true_landmarks and view.places is not None
                else view.face
                for view in chosen
            ]
            person = fitted([str(number) for number in range(count)], faces, fit, options)
            meshes = [each.face.crop_estimate.mesh for each in person.views]
            away = [
                distance(mesh, rig, view.scan, view.landmarks).fitted
                for mesh, view in zip(meshes, chosen, strict=True)
                if mesh is not None
            ]
            found.append(float(np.mean(away)))
        error = float(np.std(found)) / max(1, len(found)) ** 0.5
        paper = PAPER.get(count) if name == f"{count} views" else NAIVE if name == "naive, 5 views" else None
        cells.append((name, float(np.mean(found)), error, paper))
    header = ("photos", "median, mm", "± over people", "paper, FaceScape")
    return Table(f"{title}: scan to mesh", header, tuple(cells), (f"{len(everyone)} people with {VIEWS} photos.",))


def synthetic(arguments: argparse.Namespace) -> Iterator[list[View]]:
    """People of the generator."""
    estimator = lineament.load(arguments.method, options=lineament.Options(second_view=False))
    rig, config = load_rig(), config_of(arguments.data)
    tensors = RigTensors.of(rig, torch.device("cpu"))
    skin = np.unique(rig.faces[rig.face_part == Part.FACE])
    lines = [json.loads(line) for line in (arguments.data / "samples.jsonl").read_text().splitlines()]
    for person in sorted({line["person"] for line in lines})[: arguments.people]:
        views: list[View] = []
        for line in [line for line in lines if line["person"] == person][:VIEWS]:
            try:
                face = largest_face(estimator, np.asarray(read_picture(arguments.data / line["files"]["image"])))
            except NoFaceError:
                continue
            draws = SampleRandom(config.seed, [line["index"]]), SampleRandom(config.seed + 0x5EED, [person])
            vertices = pose_faces(tensors, config, *draws).vertices[0].double().numpy()
            landmarks = vertices[rig.landmarks]
            near = np.flatnonzero(np.linalg.norm(vertices - landmarks[30], axis=1) < REACH)
            points = np.random.default_rng(0).permutation(np.intersect1d(near, skin))[:POINTS]
            views.append(View(face, vertices[points], landmarks, np.array(line["landmarks"])))
        if len(views) == VIEWS:
            yield spread(views)


def heads(arguments: argparse.Namespace) -> Iterator[list[View]]:
    """Heads of another model."""
    estimator = lineament.load(arguments.method, options=lineament.Options(second_view=False))
    rig = read_heads(arguments.root, arguments.people)
    found: dict[int, list[View]] = {}
    for photo in head_photos(arguments.root, arguments.people):
        if photo.pose not in POSES:
            continue
        with suppress(NoFaceError):
            view = View(largest_face(estimator, photo.picture), *face_of(rig, photo.head))
            found.setdefault(photo.head, []).append(view)
    yield from (spread(views) for views in found.values() if len(views) == VIEWS)


def spread(views: list[View]) -> list[View]:
    """The most frontal one first, then those turned farthest to either side."""
    order = sorted(views, key=lambda view: view.face.pose.yaw)
    first = min(order, key=lambda view: abs(view.face.pose.yaw))
    rest = [view for view in order if view is not first]
    return [first, rest[-1], rest[0], *rest[1:-1]]


if __name__ == "__main__":
    main()
