# SPDX-License-Identifier: Apache-2.0
"""One function per kind of table: what it measures of a system on a dataset.

Datasets are streams; nothing here keeps maps. A prediction that is missing or cannot be used ends the run, since a
table over fewer samples would say something else; a sample that is broken itself is skipped and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset
from lineament.datasets.meshes import view_mesh
from lineament.datasets.realy import REGIONS
from lineament.datasets.sample import Sample
from lineament.datasets.synface import FIELD_OF_VIEW
from lineament.errors import DataError, InputError
from lineament.evaluation.metrics.angular import masked_angular_error
from lineament.evaluation.metrics.depth import align_depth, depth_correlation, scale_invariant_depth_error
from lineament.evaluation.metrics.surface_distance import (
    REALY_KEYPOINT_SHARE,
    chamfer_distance,
    facescape_normal_error,
    fit_similarity,
    moved,
    regional_error,
    rolled,
    scan_to_mesh_distance,
    unroll,
)
from lineament.evaluation.metrics.texture import FaceRecogniser, identity_similarity, structural_similarity
from lineament.evaluation.systems.stored import landmarks_of, read_rows
from lineament.evaluation.systems.system import System
from lineament.geometry.camera import Perspective
from lineament.geometry.mesh import Mesh
from lineament.geometry.normals import depth_to_normals

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Measured:
    """Figures of one system, in the order of a published table's columns."""

    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """A label ("", or "stage 1") and figures each."""
    samples: int
    """How many were measured."""
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Histograms of angular errors by label, `RunningAngles.BIN` degrees a bin, for cumulative curves."""


class RunningAngles:
    """Statistics of angular errors without keeping them."""

    BIN = 0.1
    """Degrees."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0
        self.histogram = np.zeros(1801, np.int64)
        self.images: list[float] = []

    def add(self, degrees: NDArray[np.float64]) -> None:
        """Take the errors of one image."""
        if degrees.size:
            self.count += degrees.size
            self.sum += float(degrees.sum())
            self.squares += float((degrees**2).sum())
            self.histogram += np.bincount((degrees / self.BIN).astype(np.int64).clip(0, 1800), minlength=1801)
            self.images.append(float(degrees.mean()))

    def figures(self) -> tuple[float, float, float, float, float]:
        """Mean and deviation over all pixels, degrees, and per cent below 20°, 25° and 30°."""
        if not self.count:
            raise DataError("no pixel could be compared")
        mean = self.sum / self.count
        below = [100.0 * float(self.histogram[: round(limit / self.BIN)].sum()) / self.count for limit in (20, 25, 30)]
        return mean, max(0.0, self.squares / self.count - mean**2) ** 0.5, below[0], below[1], below[2]


def measure_normals(
    dataset: Dataset, system: System, progress: Progress | None = None, degrade_to: int | None = None
) -> Measured:
    """Angular errors, one row per stage.

    Args:
        dataset: With true normals.
        system: Whatever estimates.
        progress: Called with how many samples are done, and of how many.
        degrade_to: Shrink photos to so many pixels a side and enlarge them again before they are estimated (L2R).
    """
    stages: list[RunningAngles] = []
    samples = 0
    for sample in _each(dataset, progress):
        truth, mask = sample.normals_and_mask()
        maps = system.normals(sample if degrade_to is None else degraded(sample, degrade_to))
        if stages and len(maps) != len(stages):
            raise InputError(f"{system.name} gave {len(maps)} stages for {sample.name}, {len(stages)} before")
        stages = stages or [RunningAngles() for _ in maps]
        for running, normals in zip(stages, maps, strict=True):
            running.add(masked_angular_error(normals, truth, mask))
        samples += 1
    labels = [f"stage {number}" for number in range(len(stages))] if len(stages) > 1 else [""]
    per_image = {
        f"{kind} over images{', ' + label if label else ''}": float(value)
        for label, running in zip(labels, stages, strict=False)
        for kind, value in (("mean", np.mean(running.images)), ("deviation", np.std(running.images)))
    }
    rows = tuple((label, running.figures()) for label, running in zip(labels, stages, strict=True))
    return Measured(
        rows,
        samples,
        tuple(dataset.skipped),
        details=per_image,
        curves={label: running.histogram for label, running in zip(labels, stages, strict=True)},
    )


def degraded(sample: Sample, side: int) -> Sample:
    """A sample whose photo went through ``side`` × ``side`` pixels."""
    import cv2

    height, width = sample.image.shape[:2]
    small = cv2.resize(sample.image, (side, side), interpolation=cv2.INTER_AREA)
    return replace(
        sample, image=np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    )


def measure_depth(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Absolute depth errors after RANSAC, pooled over pixels (DF2Net, table 2).

    Median and quantile come from a histogram of 0.01 mm a bin.
    """
    histogram = np.zeros(20001, np.int64)
    total, squares, samples = 0.0, 0.0, 0
    for sample in _each(dataset, progress):
        depth, mask = _true_depth(sample)
        errors = np.abs(align_depth(system.depth(sample), depth, mask) - depth)[mask]
        errors = errors[np.isfinite(errors)]
        histogram += np.bincount((errors * 100).astype(np.int64).clip(0, 20000), minlength=20001)
        total, squares, samples = total + float(errors.sum()), squares + float((errors**2).sum()), samples + 1
    count = int(histogram.sum())
    cumulative = np.cumsum(histogram) / count
    median, largest = (float((np.searchsorted(cumulative, share) + 0.5) / 100) for share in (0.5, 0.9))
    mean = total / count
    figures = (mean, max(0.0, squares / count - mean**2) ** 0.5, median, largest)
    note = "The region is where the scan is seen; DF2Net masks by the outline of landmarks."
    return Measured((("", figures),), samples, tuple(dataset.skipped), (note,))


def measure_distances(
    dataset: Dataset, system: System, progress: Progress | None = None, degrade_to: int | None = None
) -> Measured:
    """SIDE (times 100) and mean angle deviation of each image, mean and deviation over images (L2R, tables 2 and 4).

    A depth in pixels becomes a distance by the camera of Unsup3D: 10° wide, the face one unit away.
    """
    side: list[float] = []
    angles: list[float] = []
    for sample in _each(dataset, progress):
        depth, mask = _true_depth(sample)
        size = sample.image.shape[1]
        pixel = 2.0 * np.tan(np.radians(FIELD_OF_VIEW / 2)) / size
        seen = sample if degrade_to is None else degraded(sample, degrade_to)
        estimated = np.asarray(system.depth(seen), np.float64) * pixel
        inside = mask & np.isfinite(estimated)
        distance = 1.0 - (estimated - float(np.median(estimated[inside])))
        side.append(100.0 * scale_invariant_depth_error(np.maximum(distance, 1e-3), -depth, inside))
        camera = Perspective.from_field_of_view(FIELD_OF_VIEW, size, size)
        truth = depth_to_normals(depth, inside, camera)
        own = depth_to_normals(-distance, inside, camera)
        known = inside & (truth != 0).any(axis=2) & (own != 0).any(axis=2)
        angles.append(float(masked_angular_error(own, truth, known).mean()))
    figures = (float(np.mean(side)), float(np.std(side)), float(np.mean(angles)), float(np.std(angles)))
    return Measured((("", figures),), len(side), tuple(dataset.skipped))


def measure_landmark_depth(
    dataset: Dataset, system: System, progress: Progress | None = None, degrade_to: int | None = None
) -> Measured:
    """Summed correlation of the depths at landmarks (L2R, table 5)."""
    estimated: list[NDArray[np.float64]] = []
    truth: list[NDArray[np.float64]] = []
    for sample in _each(dataset, progress):
        if sample.landmarks is None or sample.landmarks.shape[1] != 3:
            raise DataError(f"sample {sample.name} has no landmarks in space")
        depth = system.depth(sample if degrade_to is None else degraded(sample, degrade_to))
        height, width = depth.shape
        column = sample.landmarks[:, 0].astype(int).clip(0, width - 1)
        row = sample.landmarks[:, 1].astype(int).clip(0, height - 1)
        estimated.append(np.asarray(depth[row, column], np.float64))
        truth.append(sample.landmarks[:, 2])
    if len(truth) < 2:
        raise DataError(f"fewer than two samples of {dataset.root} could be measured")
    figure = depth_correlation(np.array(estimated), np.array(truth))
    return Measured((("", (figure,)),), len(truth), tuple(dataset.skipped))


def measure_facescape(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Chamfer distance (mm) and mean normal error (rad) on a common cylinder (FaceScape's benchmark; HRN, table 1)."""
    distances: list[float] = []
    angles: list[float] = []
    for sample in _each(dataset, progress):
        if sample.scan is None or sample.head is None:
            raise DataError(f"sample {sample.name} has no scan")
        own = system.stored("meshes").mesh(sample)
        mesh = Mesh(own.vertices * float(sample.meta["pupil_scale"]), own.triangles)
        mesh = shifted_in_depth(mesh, sample.scan, perspective=sample.meta["part"] == "lab")
        rotation, offset = sample.head[:3, :3], sample.head[:3, 3]
        there, here = (
            unroll(Mesh(m.vertices @ rotation.T + offset, m.triangles)) for m in (sample.scan, mesh)
        )  # fmt: skip
        common = np.isfinite(there.radius) & np.isfinite(here.radius)
        distances.append(chamfer_distance(rolled(there.radius, common), rolled(here.radius, common)))
        angles.append(facescape_normal_error(there.normals, here.normals, common))
    return Measured((("", (float(np.mean(distances)), float(np.mean(angles)))),), len(angles), tuple(dataset.skipped))


def shifted_in_depth(mesh: Mesh, truth: Mesh, perspective: bool) -> Mesh:
    """A mesh moved along z by the median difference of both depths; scaled about the camera under perspective."""
    both = np.concatenate([truth.vertices, mesh.vertices])
    low, high = truth.vertices.min(axis=0), truth.vertices.max(axis=0)
    low[2], high[2] = both[:, 2].min(), both[:, 2].max()
    seen, own = (view_mesh(m, 256, bounds=(low, high)) for m in (truth, mesh))
    common = seen.mask & own.mask
    if not common.any():
        raise InputError("the prediction does not overlap the truth in the picture")
    apart = float(np.median((seen.depth - own.depth)[common]))
    if not perspective:
        return Mesh(mesh.vertices + np.array([0.0, 0.0, apart]), mesh.triangles)
    distance = float(np.mean(own.depth[common]))
    return Mesh(mesh.vertices * ((distance + apart) / distance), mesh.triangles)


def measure_realy(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Regional errors (mm), averaged over the four regions, of frontal and of side pictures (HRN, table 1)."""
    by_view: dict[bool, list[list[float]]] = {True: [], False: []}
    for sample in _each(dataset, progress):
        if sample.landmarks is None:
            raise DataError(f"sample {sample.name} has no landmarks")
        stored = system.stored("meshes")
        mesh = stored.mesh(sample)
        own = stored.landmarks(sample, mesh)
        if len(own) != len(sample.landmarks):
            raise InputError(f"{len(own)} landmarks are given for {sample.name}, the scan has {len(sample.landmarks)}")
        errors = [
            float(sample.meta["scale"])
            * regional_error(mesh, sample.regions[name], own, sample.landmarks, REALY_KEYPOINT_SHARE[name])
            for name in REGIONS
        ]
        by_view[sample.meta["view"] == "frontal"].append(errors)
    figures = tuple(float(np.mean(by_view[front])) if by_view[front] else None for front in (True, False))
    details = {
        f"{'frontal' if front else 'side'} {name}": float(np.mean([errors[number] for errors in by_view[front]]))
        for front in (True, False)
        if by_view[front]
        for number, name in enumerate(REGIONS)
    }
    note = "Root mean square after regional alignment; REALY's own programme deforms the prediction besides."
    done = sum(map(len, by_view.values()))
    return Measured((("", figures),), done, tuple(dataset.skipped), (note,), details)


def measure_scan_distance(
    dataset: Dataset, system: System, progress: Progress | None = None, columns: int = 3
) -> Measured:
    """Median, mean and deviation of scan-to-mesh distances (mm) after rigid alignment by seven landmarks.

    NoW's way; HRN, tables 2 and 4, the latter with the first of the three columns alone.

    Landmarks of a scan are looked for beside it, in a `.txt` of its name.
    """
    distances: list[NDArray[np.float64]] = []
    # One reconstruction per scan, however many views it is made from.
    first = {item.files["scan"]: item for item in reversed(dataset.items)}
    points_of = {item.name: path.with_suffix(".txt") for path, item in first.items()}
    scans = dataset.only([item for item in dataset.items if item.name in points_of])
    for sample in _each(scans, progress):
        if sample.scan is None:
            raise DataError(f"sample {sample.name} has no scan")
        points = points_of[sample.name]
        landmarks = landmarks_of(read_rows(points), sample.scan, points)
        stored = system.stored("meshes")
        mesh = stored.mesh(sample)
        motion = fit_similarity(stored.landmarks(sample, mesh), landmarks, with_scale=False)
        distances.append(scan_to_mesh_distance(sample.scan.vertices, moved(mesh, motion)))
    everything = np.concatenate(distances)
    figures = (float(np.median(everything)), float(everything.mean()), float(everything.std()))[:columns]
    return Measured((("", figures),), len(distances), tuple(scans.skipped))


def measure_texture(
    dataset: Dataset, system: System, progress: Progress | None = None, recogniser: FaceRecogniser | None = None
) -> Measured:
    """Identity similarity over rendered views (with a recogniser) and SSIM on the face (L2R, tables 3 and 7)."""
    similar: list[float] = []
    alike: list[float] = []
    for sample in _each(dataset, progress):
        stored = system.stored("pictures")
        alike.append(structural_similarity(stored.picture(sample), sample.image, sample.mask))
        if recogniser is not None:
            similar.append(identity_similarity(recogniser, sample.image, stored.views(sample)))
    figures = (float(np.mean(similar)) if similar else None, float(np.mean(alike)))
    notes = (
        () if recogniser is not None else ("No recogniser was given (--recogniser FILE.onnx): no cosine similarity.",)
    )
    return Measured((("", figures),), len(alike), tuple(dataset.skipped), notes)


def _each(dataset: Dataset, progress: Progress | None) -> Iterator[Sample]:
    """The samples, each reported when it is done.

    Raises:
        DataError: At the end, if there was none.
    """
    done = 0
    for sample in dataset:
        yield sample
        done += 1
        if progress is not None:
            progress(done, len(dataset))
    if not done:
        why = "; ".join(dataset.skipped[:3]) or "it is empty"
        raise DataError(f"no sample of {dataset.root} could be measured: {why}")


def _true_depth(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if sample.depth is None:
        raise DataError(f"sample {sample.name} has no true depth")
    known = np.isfinite(sample.depth)
    return sample.depth, known if sample.mask is None else known & sample.mask
