# SPDX-License-Identifier: Apache-2.0
"""Protocol: angular error of single-photo normals on the Extended Yale Face Database B.

Truth is photometric stereo over all lights of a subject (`lineament.datasets.yaleb`). Tested is every photo
of the chosen subset of lights. The photos are tight crops whose brows and chin nearly touch the border, so
they are set into a larger square with repeated border pixels first. Errors are pooled over pixels and photos
per subject; the figure of all subjects is the mean of theirs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import Light, YaleB
from lineament.errors import InputError
from lineament.evaluation.metrics.angular import masked_angular_error, slope_scale
from lineament.geometry.angular import AngularErrorStatistics, angular_error_statistics

log = logging.getLogger(__name__)

PADDING = 0.4
"""Default margin around the photos, a share of their height: the face then spans about 0.55 of the square."""

SUBSETS: Mapping[str, Callable[[Light], bool]] = {
    "front": lambda light: light.azimuth == 0 and light.elevation == 0,
    "frontal35": lambda light: abs(light.azimuth) <= 35 and abs(light.elevation) <= 35,
    "lateral": lambda light: max(abs(light.azimuth), abs(light.elevation)) > 35 and light.direction[2] > 0.2,
    "subset1": lambda light: light.from_camera <= 12,
    "subset2": lambda light: 12 < light.from_camera <= 25,
    "subset3": lambda light: 25 < light.from_camera <= 50,
    "subset4": lambda light: 50 < light.from_camera <= 77,
    "subset5": lambda light: light.from_camera > 77,
}
"""Lights by name: the one at the camera; all within 35° in azimuth and elevation; those further aside; and the five
subsets of Georghiades et al., by the angle between the light and the camera's axis."""

SamplePredictor = Callable[[Sample], Sequence[NDArray[np.float32]]]
"""From a sample's photo to normals [H, W, 3] at the photo's own resolution, one map per stage."""


@dataclass(frozen=True)
class SubjectResult:
    """One person's errors."""

    subject: str
    photos: int
    """How many photos were tested."""
    stages: tuple[AngularErrorStatistics, ...]
    """Over all pixels of all photos, one per stage, initial stage first."""
    slope_scale: tuple[float, ...]
    """Median over photos of the factor by which slopes are too flat, one per stage."""
    by_light: Mapping[str, tuple[float, ...]]
    """Mean error per stage of each photo, by its light."""


@dataclass(frozen=True)
class YaleBResult:
    """The protocol's outcome for one method."""

    method: str
    subset: str
    subjects: tuple[SubjectResult, ...]
    stages: tuple[int, ...]
    """Numbers of the stages that results hold, in the same order."""
    skipped: tuple[str, ...]
    """Files and subjects that could not be used, one line each."""

    def mean(self, stage: int) -> float:
        """Mean of the subjects' mean errors in degrees; `stage` counts in the order of `stages`."""
        return self.average(stage, "mean")

    def average(self, stage: int, figure: str) -> float:
        """Mean over subjects of one figure of `AngularErrorStatistics`."""
        return float(np.mean([getattr(subject.stages[stage], figure) for subject in self.subjects]))


def evaluate_yaleb(
    dataset: YaleB,
    predict: SamplePredictor,
    method: str,
    subset: str = "frontal35",
    stages: Sequence[int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> YaleBResult:
    """Run the protocol.

    Args:
        dataset: The database.
        predict: Gives normals of each stage for a sample; it may use nothing but `image`, `name` and
            `subject`.
        method: Its name in reports.
        subset: One of `SUBSETS`.
        stages: Which of the predictor's stages to keep; all when left out.
        progress: Called after each photo with the subject, how many of its photos are done, and of how many.

    Returns:
        Figures per subject and stage. Subjects that cannot be used are named in `skipped`.

    Raises:
        InputError: If the subset or a stage does not exist, a prediction cannot be used, or no subject is
            left.
    """
    if subset not in SUBSETS:
        raise InputError(f"unknown subset {subset!r}: take one of {', '.join(SUBSETS)}")
    results: list[SubjectResult] = []
    skipped: list[str] = []
    kept: tuple[int, ...] = ()
    for name in dataset.subjects:
        try:
            subject, truth = dataset.subject(name)
        except InputError as error:
            log.warning("left out %s: %s", name, error)
            skipped.append(f"{name}: {error}")
            continue
        skipped.extend(f"{name}/{line}" for line in subject.skipped)
        samples = list(dataset.samples(name, SUBSETS[subset]))
        if not samples or not truth.mask.any():
            skipped.append(f"{name}: no photo of the subset {subset} or no pixel with ground truth")
            log.warning("left out %s", skipped[-1])
            continue
        result, kept = _evaluate_subject(name, samples, predict, stages, progress)
        if results and len(result.stages) != len(results[0].stages):
            raise InputError(
                f"{name} has {len(result.stages)} stages, {results[0].subject} has {len(results[0].stages)}"
            )
        results.append(result)
    if not results:
        raise InputError(f"no subject in {dataset.root} could be used: {'; '.join(skipped)}")
    return YaleBResult(method, subset, tuple(results), kept, tuple(skipped))


def _evaluate_subject(
    name: str,
    samples: Sequence[Sample],
    predict: SamplePredictor,
    stages: Sequence[int] | None,
    progress: Callable[[str, int, int], None] | None,
) -> tuple[SubjectResult, tuple[int, ...]]:
    errors: list[list[NDArray[np.float64]]] = []  # [photos][stages]
    factors: list[list[float]] = []
    by_light: dict[str, tuple[float, ...]] = {}
    kept: tuple[int, ...] = ()
    for done, sample in enumerate(samples, start=1):
        predicted = predict(sample)
        kept = tuple(range(len(predicted))) if stages is None else tuple(stages)
        beyond = [stage for stage in kept if not 0 <= stage < len(predicted)]
        if beyond or not kept:
            raise InputError(f"there is no stage {beyond or list(kept)}: stages are 0 to {len(predicted) - 1}")
        chosen = [predicted[stage] for stage in kept]
        truth, mask = sample.normals_and_mask()
        errors.append([masked_angular_error(normals, truth, mask) for normals in chosen])
        factors.append([slope_scale(normals, truth, mask) for normals in chosen])
        by_light[str(sample.meta["light"])] = tuple(float(error.mean()) for error in errors[-1])
        if progress is not None:
            progress(name, done, len(samples))
    if len({len(photo) for photo in errors}) > 1:
        raise InputError(f"the predictions for {name} differ in their number of stages")
    figures = tuple(
        angular_error_statistics(np.concatenate([photo[stage] for photo in errors])) for stage in range(len(kept))
    )
    return (
        SubjectResult(
            subject=name,
            photos=len(samples),
            stages=figures,
            slope_scale=tuple(_median(photo[stage] for photo in factors) for stage in range(len(kept))),
            by_light=by_light,
        ),
        kept,
    )


def _median(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan
