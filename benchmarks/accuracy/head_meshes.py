# SPDX-License-Identifier: Apache-2.0
"""Meshes against heads of exact geometry that no training saw: ``python benchmarks/accuracy/head_meshes.py --root DIR
[--method hrn-s] [--heads N] [--output table.json]``.

``DIR`` holds ``gnm_heads.npz`` (`head_photos.py`). Every head is photographed in ten poses under five lights with five
skins; the method finds the face itself. Its mesh is laid on the head by 51 landmarks, then rigidly, at the mesh's own
size and, for the second figure, at the size that fits best (one photo does not tell it); the distance is from every
vertex of the head's face to the mesh's surface, mm, median and mean of each photo, then their means.

Beside the method stand the rig's mean head and the average one of the generator, which makes it deeper, both aligned
alike, and the method's answer for another head in the same pose, which tells how much of it is this person's.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from head_photos import HeadPhoto, head_photos, read_heads

import lineament
from lineament.errors import LineamentError, NoFaceError
from lineament.evaluation.metrics.surface_distance import (
    moved,
    refine_alignment,
    scan_to_mesh_distance,
)
from lineament.evaluation.report.benchmark import benchmark_parser, report
from lineament.evaluation.report.table import Cell, Table
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import Similarity, fit_similarity
from lineament.result.head import head_of
from lineament.rig import Part, Rig, load_rig
from lineament.synth.config import SynthConfig
from lineament.synth.person import finished

INNER = slice(17, 68)  # landmarks that lie on features
REACH = 95.0  # mm from the nose's tip within which the face is compared
POINTS = 1500  # of the head that are compared


@dataclass(frozen=True)
class Distance:
    """How far a mesh is from a head, mm."""

    median: float
    mean: float
    fitted: float
    """The median at the size that fits best."""


def main() -> None:
    """Measure and print."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with gnm_heads.npz")
    parser.add_argument("--method", default="hrn-s", help="name or weights file of a method that gives heads")
    parser.add_argument("--heads", type=int, help="only the first ones")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    try:
        measure(arguments)
    except LineamentError as error:
        sys.exit(f"error: {error}")


def measure(arguments: argparse.Namespace) -> None:
    """Measure and print the table."""
    heads, ours, estimator = read_heads(arguments.root, arguments.heads), load_rig(), lineament.load(arguments.method)
    found: dict[tuple[int, str], Mesh] = {}
    photos: list[HeadPhoto] = []
    missed = 0
    for photo in head_photos(arguments.root, arguments.heads):
        try:
            faces = estimator.estimate(photo.picture)
        except NoFaceError:
            missed += 1
            continue
        face = max(faces, key=lambda face: face.box[2] * face.box[3])
        found[photo.head, photo.pose] = head_of(face.crop_estimate).mesh
        photos.append(photo)
    mean = Mesh(ours.mean.astype(np.float64), ours.faces.astype(np.int64))
    average = average_head(ours)
    names = (arguments.method, "of another head", "the rig's mean head", "the generator's average head")
    rows: dict[str, list[Distance]] = {name: [] for name in names}
    for photo in photos:
        scan, landmarks = face_of(heads, photo.head)
        others = [head for head, pose in found if pose == photo.pose and head != photo.head]
        rows[arguments.method].append(distance(found[photo.head, photo.pose], ours, scan, landmarks))
        rows["the rig's mean head"].append(distance(mean, ours, scan, landmarks))
        rows["the generator's average head"].append(distance(average, ours, scan, landmarks))
        if others:
            other = others[photo.head % len(others)]
            rows["of another head"].append(distance(found[other, photo.pose], ours, scan, landmarks))
    report([table_of(rows, len(photos), missed)], arguments.output, [arguments.method])


def average_head(rig: Rig) -> Mesh:
    """The head about which the generator's people vary."""
    config = SynthConfig()
    stretch = torch.tensor([[1.0, 1.0, config.mean_depth]])
    profile = torch.deg2rad(torch.tensor([config.mean_profile])).tan()
    curvature = torch.tensor([1e-3 * config.mean_curvature])
    vertices = finished(torch.from_numpy(rig.mean)[None], stretch, profile, curvature)
    return Mesh(vertices[0].double().numpy(), rig.faces.astype(np.int64))


def face_of(heads: Rig, head: int) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 3] of a head's face, spread evenly, and its landmarks [68, 3]; mm."""
    vertices = (heads.mean + heads.identity[head]).astype(np.float64)
    landmarks = vertices[heads.landmarks]
    near = np.linalg.norm(vertices - landmarks[30], axis=1) < REACH
    # The skin that a photo shows: not the sockets and the mouth's inside, whose vertices lie behind.
    used = np.unique(heads.faces[heads.face_part == Part.FACE])
    chosen = np.intersect1d(np.flatnonzero(near), used)
    return vertices[np.random.default_rng(0).permutation(chosen)[:POINTS]], landmarks


def distance(mesh: Mesh, rig: Rig, scan: np.ndarray, landmarks: np.ndarray) -> Distance:
    """Lay a mesh of our rig on a head and measure."""
    skin = Mesh(mesh.vertices, rig.faces[np.isin(rig.face_part, (Part.FACE, Part.NECK))].astype(np.int64))
    own = mesh.vertices[rig.landmarks]
    aligned = {}
    for with_scale in (False, True):
        first: Similarity = fit_similarity(own[INNER], landmarks[INNER], with_scale)
        laid = moved(skin, first)
        motion = refine_alignment(laid, scan, first(own[INNER]), landmarks[INNER], iterations=20)
        aligned[with_scale] = scan_to_mesh_distance(scan, moved(laid, motion))
    plain = aligned[False]
    return Distance(float(np.median(plain)), float(plain.mean()), float(np.median(aligned[True])))


def table_of(rows: dict[str, list[Distance]], photos: int, missed: int) -> Table:
    """The table of all."""
    cells: list[tuple[Cell, ...]] = [
        (
            name,
            *(
                float(np.mean([getattr(one, kind) for one in distances])) if distances else None
                for kind in ("median", "mean", "fitted")
            ),
        )
        for name, distances in rows.items()
    ]
    return Table(
        "Meshes on heads of exact geometry",
        ("mesh", "median, mm", "mean, mm", "median at the best size, mm"),
        tuple(cells),
        (f"{photos} photos, {missed} in which no face was found; distances from the head's face to the mesh.",),
    )


if __name__ == "__main__":
    main()
