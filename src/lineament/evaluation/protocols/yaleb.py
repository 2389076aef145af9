# SPDX-License-Identifier: Apache-2.0
"""Protocol: angular error of single-photo normals on the Extended Yale Face Database B.

Truth is photometric stereo over all lights of a subject (`lineament.datasets.yaleb`). Tested is every photo
of the chosen subset of lights. The photos are tight crops whose brows and chin nearly touch the border, so our
methods see them set into a larger square with repeated border pixels (`Settings.padding`), and no face is searched
for unless the evaluation asks for that. A photo in which a system finds no face counts as 90° at every pixel. Errors
are pooled over pixels and photos per subject; the figure of all subjects is the mean of theirs.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.sample import Sample
from lineament.datasets.yaleb import Light, YaleB
from lineament.errors import InputError, NoFaceError
from lineament.evaluation.metrics.angular import masked_angular_error, slope_scale
from lineament.evaluation.protocols.scoring import UNANSWERED
from lineament.evaluation.systems.settings import Crop
from lineament.evaluation.systems.system import System
from lineament.geometry.angular import AngularErrorStatistics, angular_error_statistics

log = logging.getLogger(__name__)

CROP: Crop = "given"
"""Photos are cut to the face already, so tightly that brows and chin touch the border."""

SUBSETS: Mapping[str, Callable[[Light], bool]] = {
    "front": lambda light: light.azimuth == 0 and light.elevation == 0,
    "frontal20": lambda light: abs(light.azimuth) <= 20 and abs(light.elevation) <= 20,
    "frontal35": lambda light: abs(light.azimuth) <= 35 and abs(light.elevation) <= 35,
    "lateral": lambda light: max(abs(light.azimuth), abs(light.elevation)) > 35 and light.direction[2] > 0.2,
    "subset1": lambda light: light.from_camera <= 12,
    "subset2": lambda light: 12 < light.from_camera <= 25,
    "subset3": lambda light: 25 < light.from_camera <= 50,
    "subset4": lambda light: 50 < light.from_camera <= 77,
    "subset5": lambda light: light.from_camera > 77,
}
"""Lights by name: the one at the camera; all within 20° and 35° in azimuth and elevation; those further aside; and the
five subsets of Georghiades et al., by the angle between the light and the camera's axis."""


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
    not_found: tuple[str, ...] = ()
    """Photos in which no face was found."""

    def repeated(self, stages: int) -> SubjectResult:
        """The same for a number of stages, where none of its photos told how many there are."""
        lights = {light: errors * stages for light, errors in self.by_light.items()}
        return replace(self, stages=self.stages * stages, slope_scale=self.slope_scale * stages, by_light=lights)


@dataclass(frozen=True)
class YaleBResult:
    """The protocol's outcome for one method."""

    method: str
    subset: str
    subjects: tuple[SubjectResult, ...]
    skipped: tuple[str, ...]
    """Files and subjects that could not be used, one line each."""

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the stages."""
        return tuple(range(len(self.subjects[0].stages)))

    @property
    def photos(self) -> int:
        """How many were tested."""
        return sum(subject.photos for subject in self.subjects)

    @property
    def not_found(self) -> tuple[str, ...]:
        """Photos in which no face was found."""
        return tuple(name for subject in self.subjects for name in subject.not_found)

    def mean(self, stage: int) -> float:
        """Mean of the subjects' mean errors in degrees."""
        return self.average(stage, "mean")

    def average(self, stage: int, metric: str) -> float:
        """Mean over subjects of one figure of `AngularErrorStatistics`."""
        return float(np.mean([getattr(subject.stages[stage], metric) for subject in self.subjects]))


def evaluate_yaleb(
    dataset: YaleB,
    system: System,
    subset: str = "frontal35",
    progress: Callable[[str, int, int], None] | None = None,
) -> YaleBResult:
    """Run the protocol.

    Args:
        dataset: The database.
        system: What is tested.
        subset: One of `SUBSETS`.
        progress: Called after each photo with the subject, how many of its photos are done, and of how many.

    Returns:
        Figures per subject and stage. Subjects that cannot be used are named in `skipped`.

    Raises:
        InputError: If the subset does not exist, a prediction cannot be used, or no subject is left.
    """
    if subset not in SUBSETS:
        raise InputError(f"unknown subset {subset!r}: take one of {', '.join(SUBSETS)}")
    results: list[SubjectResult] = []
    skipped: list[str] = []
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
        results.append(_evaluate_subject(name, samples, system, progress))
    if not results:
        raise InputError(f"no subject in {dataset.root} could be used: {'; '.join(skipped)}")
    counts = {result.subject: len(result.stages) for result in results if len(result.not_found) < result.photos}
    if len(set(counts.values())) > 1:
        raise InputError(f"subjects differ in their number of stages: {counts}")
    stages = max(counts.values(), default=1)
    known = tuple(result if result.subject in counts else result.repeated(stages) for result in results)
    return YaleBResult(system.name, subset, known, tuple(skipped))


def _evaluate_subject(
    name: str,
    samples: Sequence[Sample],
    system: System,
    progress: Callable[[str, int, int], None] | None,
) -> SubjectResult:
    errors: list[list[NDArray[np.float64]]] = []  # [photos][stages]
    factors: list[list[float]] = []
    missed: list[Sample] = []
    lights: list[str] = []
    for done, sample in enumerate(samples, start=1):
        truth, mask = sample.normals_and_mask()
        try:
            maps = system.normals(sample)
        except NoFaceError:
            missed.append(sample)
        else:
            errors.append([masked_angular_error(normals, truth, mask) for normals in maps])
            factors.append([slope_scale(normals, truth, mask) for normals in maps])
            lights.append(str(sample.meta["light"]))
        if progress is not None:
            progress(name, done, len(samples))
    if len({len(photo) for photo in errors}) > 1 or [] in errors:
        raise InputError(f"the predictions for {name} differ in their number of stages")
    stages = len(errors[0]) if errors else 1
    for sample in missed:  # at the end: how many stages there are, only an answer tells
        errors.append([np.full(int(sample.normals_and_mask()[1].sum()), UNANSWERED)] * stages)
        factors.append([math.nan] * stages)
        lights.append(str(sample.meta["light"]))
    return SubjectResult(
        subject=name,
        photos=len(samples),
        stages=tuple(
            angular_error_statistics(np.concatenate([photo[stage] for photo in errors])) for stage in range(stages)
        ),
        slope_scale=tuple(_median(photo[stage] for photo in factors) for stage in range(stages)),
        by_light={
            light: tuple(float(error.mean()) for error in photo) for light, photo in zip(lights, errors, strict=True)
        },
        not_found=tuple(sample.name for sample in missed),
    )


def _median(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan
