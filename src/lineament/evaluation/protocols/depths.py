# SPDX-License-Identifier: Apache-2.0
"""What tables of depth measure of a system: see `lineament.evaluation.protocols.scoring`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from lineament.datasets.dataset import Dataset
from lineament.datasets.sample import Sample
from lineament.datasets.synface import FIELD_OF_VIEW
from lineament.errors import DataError, InputError, NoFaceError
from lineament.evaluation.metrics.angular import masked_angular_error
from lineament.evaluation.metrics.depth import align_depth, depth_correlation, scale_invariant_depth_error
from lineament.evaluation.protocols.scoring import Measured, Progress, degraded, each_sample
from lineament.evaluation.systems.system import System
from lineament.geometry.camera import Perspective
from lineament.geometry.normals import depth_to_normals


def measure_depth(dataset: Dataset, system: System, progress: Progress | None = None) -> Measured:
    """Absolute depth errors after RANSAC, pooled over pixels (DF2Net, table 2).

    Median and quantile come from a histogram of 0.01 mm a bin.
    """
    histogram = np.zeros(20001, np.int64)
    total, squares, samples = 0.0, 0.0, 0
    answers = _Depths(system)
    for sample in each_sample(dataset, progress):
        depth, mask = _true_depth(sample)
        errors = np.abs(align_depth(answers.of(sample, mask), depth, mask) - depth)[mask]
        errors = errors[np.isfinite(errors)]
        histogram += np.bincount((errors * 100).astype(np.int64).clip(0, 20000), minlength=20001)
        total, squares, samples = total + float(errors.sum()), squares + float((errors**2).sum()), samples + 1
    count = int(histogram.sum())
    cumulative = np.cumsum(histogram) / count
    median, largest = (float((np.searchsorted(cumulative, share) + 0.5) / 100) for share in (0.5, 0.9))
    mean = total / count
    values = (mean, max(0.0, squares / count - mean**2) ** 0.5, median, largest)
    note = "The region is where the scan is seen; DF2Net masks by the outline of landmarks."
    return Measured(
        (("", values),), samples, tuple(dataset.skipped), tuple(answers.not_found), (note, answers.coverage())
    )


def measure_distances(
    dataset: Dataset, system: System, progress: Progress | None = None, degrade_to: int | None = None
) -> Measured:
    """SIDE (times 100) and mean angle deviation of each image, mean and deviation over images (L2R, tables 2 and 4).

    A depth becomes a distance by the camera of Unsup3D, 10° wide, the face one unit away (`as_distance`).
    """
    side: list[float] = []
    angles: list[float] = []
    answers = _Depths(system)
    for sample in each_sample(dataset, progress):
        depth, mask = _true_depth(sample)
        size = sample.image.shape[1]
        pixel = 2.0 * np.tan(np.radians(FIELD_OF_VIEW / 2)) / size
        seen = sample if degrade_to is None else degraded(sample, degrade_to)
        estimated = np.asarray(answers.of(seen, mask), np.float64)
        inside = mask & np.isfinite(estimated)
        distance = as_distance(estimated, depth, inside, pixel)
        side.append(100.0 * scale_invariant_depth_error(np.maximum(distance, 1e-3), -depth, inside))
        camera = Perspective.from_field_of_view(FIELD_OF_VIEW, size, size)
        truth = depth_to_normals(depth, inside, camera)
        own = depth_to_normals(-distance, inside, camera)
        known = inside & (truth != 0).any(axis=2) & (own != 0).any(axis=2)
        angles.append(float(masked_angular_error(own, truth, known).mean()))
    values = (float(np.mean(side)), float(np.std(side)), float(np.mean(angles)), float(np.std(angles)))
    return Measured((("", values),), len(side), tuple(dataset.skipped), tuple(answers.not_found), (answers.coverage(),))


def as_distance(
    depth: NDArray[np.float64], truth: NDArray[np.floating[Any]], inside: NDArray[np.bool_], pixel: float
) -> NDArray[np.float64]:
    """Distances from the camera [H, W], their median 1, of a depth of whatever sign and unit.

    A depth that grows where the truth gets farther is turned round. Values that were positive then and differ by less
    than half of their size were distances in some unit, of which only their ratios count; all others are pixels.

    Args:
        depth: [H, W].
        truth: [H, W], larger is nearer.
        inside: [H, W] where both are known.
        pixel: Width of a pixel at the face, of its distance.
    """
    values, nearness = depth[inside], np.asarray(truth[inside], np.float64)
    away = float(((values - values.mean()) * (nearness - nearness.mean())).sum()) < 0.0
    typical = float(np.median(values))
    if away and values.min() > 0.0 and np.ptp(values) < 0.5 * typical:
        return np.where(inside, depth / typical, 1.0)
    relief = (depth - typical) * (-pixel if away else pixel)
    return np.where(inside, 1.0 - relief, 1.0)


def measure_landmark_depth(
    dataset: Dataset, system: System, progress: Progress | None = None, degrade_to: int | None = None
) -> Measured:
    """Summed correlation of the depths at landmarks, and milliseconds a photo (L2R, table 5).

    A landmark where a system has no depth takes the nearest that it has.
    """
    taken = 0.0
    estimated: list[NDArray[np.float64]] = []
    truth: list[NDArray[np.float64]] = []
    answers = _Depths(system)
    for sample in each_sample(dataset, progress):
        if sample.landmarks is None or sample.landmarks.shape[1] != 3:
            raise DataError(f"sample {sample.name} has no landmarks in space")
        seen = sample if degrade_to is None else degraded(sample, degrade_to)
        start = time.perf_counter()
        depth = answers.of(seen)
        taken += time.perf_counter() - start
        unknown = ~np.isfinite(depth)
        nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
        depth = depth[tuple(nearest)]
        height, width = depth.shape
        column = sample.landmarks[:, 0].astype(int).clip(0, width - 1)
        row = sample.landmarks[:, 1].astype(int).clip(0, height - 1)
        estimated.append(np.asarray(depth[row, column], np.float64))
        truth.append(sample.landmarks[:, 2])
    if len(truth) < 2:
        raise DataError(f"fewer than two samples of {dataset.root} could be measured")
    metric = depth_correlation(np.array(estimated), np.array(truth))
    milliseconds = 1000.0 * taken / len(truth)
    note = (
        "Time is that of finding the face and estimating its depth on this machine; the paper's is its networks' alone."
    )
    skipped, missed = tuple(dataset.skipped), tuple(answers.not_found)
    return Measured((("", (metric, milliseconds)),), len(truth), skipped, missed, (note,))


class _Depths:
    """A system's depths, a flat one where it finds no face."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.not_found: list[str] = []
        self._labelled, self._known = 0, 0

    def of(self, sample: Sample, mask: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """Depth [H, W] of a sample whose labels lie in a mask.

        Raises:
            InputError: The system has no depth at any labelled pixel.
        """
        try:
            depth = self._system.depth(sample)
        except NoFaceError:
            self.not_found.append(sample.name)
            return np.zeros(sample.image.shape[:2], np.float32)
        known = np.isfinite(depth) if mask is None else np.isfinite(depth) & mask
        if not known.any():
            raise InputError(f"{self._system.name} has no depth of {sample.name} where there is a true one")
        self._labelled += known.size if mask is None else int(mask.sum())
        self._known += int(known.sum())
        return depth

    def coverage(self) -> str:
        """How much was compared."""
        share = 100 * self._known / max(1, self._labelled)
        return f"Depth is compared where the system has one: {share:.1f} % of the labelled pixels."


def _true_depth(sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if sample.depth is None:
        raise DataError(f"sample {sample.name} has no true depth")
    known = np.isfinite(sample.depth)
    return sample.depth, known if sample.mask is None else known & sample.mask
