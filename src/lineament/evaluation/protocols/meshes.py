# SPDX-License-Identifier: Apache-2.0
"""What tables of meshes measure of a system: see `lineament.evaluation.protocols.scoring`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset, Item
from lineament.datasets.meshes import view_mesh
from lineament.datasets.now import CHALLENGES
from lineament.errors import DataError, InputError, NoFaceError
from lineament.evaluation.metrics.now import NOW_LANDMARKS, now_distances
from lineament.evaluation.metrics.realy import REGIONS, regional_error
from lineament.evaluation.metrics.surface_distance import (
    chamfer_distance,
    facescape_normal_error,
    rolled,
    unroll,
)
from lineament.evaluation.protocols.scoring import Measured, Progress, check_some_found, each_sample
from lineament.evaluation.systems.stored import read_landmarks
from lineament.evaluation.systems.system import System
from lineament.geometry.mesh import Mesh


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
        errors = [
            float(sample.meta["scale"]) * regional_error(mesh, own, sample.regions[name], sample.landmarks, name)
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
    note = (
        "Mean distance after regional alignment. REALY's own programme deforms each region of the scan towards the "
        "prediction before it looks up the nearest places, which is not done here: its distances are somewhat larger."
    )
    done = sum(map(len, by_view.values()))
    check_some_found(dataset, not_found, done)
    return Measured(
        (("", row_metrics),), done + len(not_found), tuple(dataset.skipped), tuple(not_found), (note,), details
    )


def measure_scan_distance(
    dataset: Dataset,
    system: System,
    progress: Progress | None = None,
    columns: int = 3,
    views: Sequence[int] = (1,),
    naive: int = 0,
) -> Measured:
    """Median, mean and deviation of scan-to-mesh distances (mm) in NoW's way (`now_distances`).

    HRN, tables 2 and 4, the latter with the first of the three columns alone.

    Landmarks of a scan are looked for beside it, in a `.txt` of its name. Of a system's 68 landmarks (iBUG) NoW's seven
    are taken where the scan has seven. Which photos of a scan the paper took is not known: they are spread evenly over
    the list of their names; a scan with fewer than asked for gives all.

    Args:
        dataset: Photos with their scans.
        system: Whatever estimates.
        progress: Called with how many scans are done, and of how many.
        columns: How many of the figures are wanted.
        views: A row for each number of photos of a person.
        naive: A last row of so many photos, averaged; 0 for none.
    """
    by_scan: dict[Path, list[Item]] = {}
    for item in dataset.items:
        by_scan.setdefault(item.files["scan"], []).append(item)
    asked = [(count, False) for count in views] + ([(naive, True)] if naive else [])
    distances: list[list[NDArray[np.float64]]] = [[] for _ in asked]
    not_found: list[str] = []
    skipped: list[str] = []
    for number, (path, items) in enumerate(by_scan.items()):
        points = path.with_suffix(".txt")
        for row, (count, averaged) in enumerate(asked):
            chosen = [items[place] for place in _spread(len(items), count)]
            group = dataset.only(chosen)
            samples = list(each_sample(group, None))
            skipped += group.skipped
            if not samples:
                continue
            if samples[0].scan is None:
                raise DataError(f"sample {samples[0].name} has no scan")
            landmarks = read_landmarks(points, samples[0].scan)
            try:
                mesh, own = system.person(samples, averaged)
            except NoFaceError:
                not_found.append(samples[0].name)
                continue
            distances[row].append(now_distances(mesh, seven_of(own), samples[0].scan, landmarks))
        if progress is not None:
            progress(number + 1, len(by_scan))
    done = max(map(len, distances))
    missed = tuple(dict.fromkeys(not_found))
    check_some_found(dataset, list(missed), min(map(len, distances)))
    rows = []
    for (count, averaged), found in zip(asked, distances, strict=True):
        everything = np.concatenate(found)
        label = "" if len(asked) == 1 else f"{'naive, ' if averaged else ''}{count} view{'s' if count > 1 else ''}"
        rows.append(
            (label, (float(np.median(everything)), float(everything.mean()), float(everything.std()))[:columns])
        )
    return Measured(tuple(rows), done + len(missed), tuple(dict.fromkeys(skipped)), missed)


def seven_of(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """NoW's seven of 68 landmarks [68, 3]; others as they are."""
    return landmarks[NOW_LANDMARKS] if len(landmarks) == 68 else landmarks


def measure_now(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Median, mean and deviation of NoW's distances (mm) over all photos, and over those of each challenge."""
    distances: dict[str, list[NDArray[np.float64]]] = {challenge: [] for challenge in CHALLENGES}
    not_found: list[str] = []
    for sample in each_sample(dataset, progress):
        if sample.scan is None or sample.landmarks is None:
            raise DataError(f"sample {sample.name} has no scan, or no landmarks")
        try:
            mesh, own = system.mesh(sample), seven_of(system.landmarks(sample))
        except NoFaceError:
            not_found.append(sample.name)
            continue
        found = now_distances(mesh, own, sample.scan, sample.landmarks)
        distances.setdefault(str(sample.meta["challenge"]), []).append(found)
    done = sum(map(len, distances.values()))
    check_some_found(dataset, not_found, done)
    rows = []
    for label, parts in (("", [part for found in distances.values() for part in found]), *distances.items()):
        if parts:
            points = np.concatenate(parts)
            rows.append((label, (float(np.median(points)), float(points.mean()), float(points.std()))))
    return Measured(tuple(rows), done + len(not_found), tuple(dataset.skipped), tuple(not_found))


def _spread(available: int, wanted: int) -> list[int]:
    """So many places of a list, evenly spread; all of a shorter one."""
    return sorted({round(place) for place in np.linspace(0, available - 1, min(wanted, available))})
