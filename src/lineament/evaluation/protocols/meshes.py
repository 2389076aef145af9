# SPDX-License-Identifier: Apache-2.0
"""What tables of meshes measure of a system: see `lineament.evaluation.protocols.scoring`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset
from lineament.datasets.meshes import view_mesh
from lineament.datasets.realy import REGIONS
from lineament.errors import DataError, InputError, NoFaceError
from lineament.evaluation.metrics.surface_distance import (
    REALY_KEYPOINT_SHARE,
    chamfer_distance,
    facescape_normal_error,
    moved,
    regional_error,
    rolled,
    scan_to_mesh_distance,
    unroll,
)
from lineament.evaluation.protocols.scoring import Measured, Progress, check_some_found, each_sample
from lineament.evaluation.systems.stored import landmarks_of, read_rows
from lineament.evaluation.systems.system import System
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import fit_similarity

NOW_LANDMARKS = [36, 39, 42, 45, 33, 48, 54]
"""Of the 68: corners of the eyes from the right one's outer to the left one's, below the nose, corners of the mouth, in
the order of NoW's files."""


def measure_facescape(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Chamfer distance (mm) and mean normal error (rad) on a common cylinder (FaceScape's benchmark; HRN, table 1)."""
    distances: list[float] = []
    angles: list[float] = []
    not_found: list[str] = []
    for sample in each_sample(dataset, progress):
        if sample.scan is None or sample.head is None:
            raise DataError(f"sample {sample.name} has no scan")
        try:
            own = system.mesh(sample, "picture" if sample.meta["part"] == "wild" else "camera")
        except NoFaceError:
            not_found.append(sample.name)
            continue
        mesh = Mesh(own.vertices * float(sample.meta["pupil_scale"]), own.triangles)
        mesh = shifted_in_depth(mesh, sample.scan, perspective=sample.meta["part"] == "lab")
        rotation, offset = sample.head[:3, :3], sample.head[:3, 3]
        valid, here = (
            unroll(Mesh(m.vertices @ rotation.T + offset, m.triangles)) for m in (sample.scan, mesh)
        )  # fmt: skip
        common = np.isfinite(valid.radius) & np.isfinite(here.radius)
        distances.append(chamfer_distance(rolled(valid.radius, common), rolled(here.radius, common)))
        angles.append(facescape_normal_error(valid.normals, here.normals, common))
    check_some_found(dataset, not_found, len(angles))
    row_metrics = (float(np.mean(distances)), float(np.mean(angles)))
    return Measured((("", row_metrics),), len(angles) + len(not_found), tuple(dataset.skipped), tuple(not_found))


def shifted_in_depth(mesh: Mesh, truth: Mesh, perspective: bool) -> Mesh:
    """A mesh moved along z by the median difference of both depths; scaled about the camera under perspective."""
    both = np.concatenate([truth.vertices, mesh.vertices])
    low, high = truth.vertices.min(axis=0), truth.vertices.max(axis=0)
    low[2], high[2] = both[:, 2].min(), both[:, 2].max()
    seen, own = (view_mesh(m, 256, bounds=(low, high)) for m in (truth, mesh))
    common = seen.mask & own.mask
    if not common.any():
        raise InputError("the prediction does not overlap the truth in the picture")
    difference = float(np.median((seen.depth - own.depth)[common]))
    if not perspective:
        return Mesh(mesh.vertices + np.array([0.0, 0.0, difference]), mesh.triangles)
    distance = float(np.mean(own.depth[common]))
    return Mesh(mesh.vertices * ((distance + difference) / distance), mesh.triangles)


def measure_realy(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Regional errors (mm), averaged over the four regions, of frontal and of side pictures (HRN, table 1)."""
    by_view: dict[bool, list[list[float]]] = {True: [], False: []}
    not_found: list[str] = []
    for sample in each_sample(dataset, progress):
        if sample.landmarks is None:
            raise DataError(f"sample {sample.name} has no landmarks")
        try:
            mesh, own = system.mesh(sample), system.landmarks(sample)
        except NoFaceError:
            not_found.append(sample.name)
            continue
        if len(own) != len(sample.landmarks):
            raise InputError(f"{len(own)} landmarks are given for {sample.name}, the scan has {len(sample.landmarks)}")
        errors = [
            float(sample.meta["scale"])
            * regional_error(mesh, sample.regions[name], own, sample.landmarks, REALY_KEYPOINT_SHARE[name])
            for name in REGIONS
        ]
        by_view[sample.meta["view"] == "frontal"].append(errors)
    row_metrics = tuple(float(np.mean(by_view[front])) if by_view[front] else None for front in (True, False))
    details = {
        f"{'frontal' if front else 'side'} {name}": float(np.mean([errors[number] for errors in by_view[front]]))
        for front in (True, False)
        if by_view[front]
        for number, name in enumerate(REGIONS)
    }
    note = "Root mean square after regional alignment; REALY's own programme deforms the prediction besides."
    done = sum(map(len, by_view.values()))
    check_some_found(dataset, not_found, done)
    return Measured(
        (("", row_metrics),), done + len(not_found), tuple(dataset.skipped), tuple(not_found), (note,), details
    )


def measure_scan_distance(
    dataset: Dataset, system: System, progress: Progress | None = None, columns: int = 3
) -> Measured:
    """Median, mean and deviation of scan-to-mesh distances (mm) after rigid alignment by seven landmarks.

    NoW's way; HRN, tables 2 and 4, the latter with the first of the three columns alone.

    Landmarks of a scan are looked for beside it, in a `.txt` of its name. Of a system's 68 landmarks (iBUG) NoW's seven
    are taken where the scan has seven.
    """
    distances: list[NDArray[np.float64]] = []
    not_found: list[str] = []
    # One reconstruction per scan, however many views it is made from.
    first = {item.files["scan"]: item for item in reversed(dataset.items)}
    points_of = {item.name: path.with_suffix(".txt") for path, item in first.items()}
    scans = dataset.only([item for item in dataset.items if item.name in points_of])
    for sample in each_sample(scans, progress):
        if sample.scan is None:
            raise DataError(f"sample {sample.name} has no scan")
        points = points_of[sample.name]
        landmarks = landmarks_of(read_rows(points), sample.scan, points)
        try:
            mesh, own = system.mesh(sample), system.landmarks(sample)
        except NoFaceError:
            not_found.append(sample.name)
            continue
        if len(own) == 68 and len(landmarks) == len(NOW_LANDMARKS):
            own = own[NOW_LANDMARKS]
        if len(own) != len(landmarks):
            raise InputError(f"{len(own)} landmarks are given for {sample.name}, the scan has {len(landmarks)}")
        motion = fit_similarity(own, landmarks, with_scale=False)
        distances.append(scan_to_mesh_distance(sample.scan.vertices, moved(mesh, motion)))
    check_some_found(dataset, not_found, len(distances))
    everything = np.concatenate(distances)
    row_metrics = (float(np.median(everything)), float(everything.mean()), float(everything.std()))[:columns]
    return Measured((("", row_metrics),), len(distances) + len(not_found), tuple(scans.skipped), tuple(not_found))
