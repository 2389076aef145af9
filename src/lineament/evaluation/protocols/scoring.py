# SPDX-License-Identifier: Apache-2.0
"""One function per kind of table: what it measures of a system on a dataset.

Datasets are streams; nothing here keeps maps. A prediction that is missing or cannot be used ends the run, since a
table over fewer samples would say something else; a sample that is broken itself is skipped and named. A photo in
which a system finds no face is named, too: it counts as 90° where normals are measured, as a flat face where depth is,
and is left out where meshes or pictures are, for which nothing stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lineament.datasets.dataset import Dataset
from lineament.datasets.sample import Sample
from lineament.errors import DataError, InputError, NoFaceError
from lineament.evaluation.metrics.angular import masked_angular_error
from lineament.evaluation.metrics.texture import FaceRecogniser, identity_similarity, structural_similarity
from lineament.evaluation.systems.system import System

Progress = Callable[[int, int], None]

TEXTURE_SIDE = 256
"""Pixels a side at which L2R measures textures."""
_LOW_SIDE, _BLUR = 32, 2.0  # pixels a side of the systems' inputs, and of those 256 the blur before

UNANSWERED = 90.0
"""Degrees that a pixel counts for which a system has no normal."""


@dataclass(frozen=True)
class Measured:
    """Figures of one system, in the order of a published table's columns."""

    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    """A label ("", or "stage 1") and metrics each."""
    samples: int
    """How many were measured."""
    skipped: tuple[str, ...] = ()
    """What could not be read."""
    not_found: tuple[str, ...] = ()
    """Samples in whose photo the system found no face."""
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

    def summary(self) -> tuple[float, float, float, float, float]:
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
    missed: dict[str, int] = {}
    samples = 0
    for sample in each_sample(dataset, progress):
        truth, mask = sample.normals_and_mask()
        samples += 1
        try:
            maps = system.normals(sample if degrade_to is None else degraded(sample, degrade_to))
        except NoFaceError:
            missed[sample.name] = int(mask.sum())
            continue
        if stages and len(maps) != len(stages):
            raise InputError(f"{system.name} gave {len(maps)} stages for {sample.name}, {len(stages)} before")
        stages = stages or [RunningAngles() for _ in maps]
        for running, normals in zip(stages, maps, strict=True):
            running.add(masked_angular_error(normals, truth, mask))
    stages = stages or [RunningAngles()]
    for running in stages:  # at the end: how many stages there are, only an answer tells
        for pixels in missed.values():
            running.add(np.full(pixels, UNANSWERED))
    labels = [f"stage {number}" for number in range(len(stages))] if len(stages) > 1 else [""]
    per_image = {
        f"{kind} over images{', ' + label if label else ''}": float(value)
        for label, running in zip(labels, stages, strict=False)
        for kind, value in (("mean", np.mean(running.images)), ("deviation", np.std(running.images)))
    }
    rows = tuple((label, running.summary()) for label, running in zip(labels, stages, strict=True))
    return Measured(
        rows,
        samples,
        tuple(dataset.skipped),
        tuple(missed),
        details=per_image,
        curves={label: running.histogram for label, running in zip(labels, stages, strict=True)},
    )


def degraded(sample: Sample, side: int, blur: float = 0.0) -> Sample:
    """A sample whose photo was blurred by a Gaussian of so many of its pixels and went through ``side`` × ``side``."""
    import cv2

    height, width = sample.image.shape[:2]
    seen = cv2.GaussianBlur(sample.image, (0, 0), blur) if blur else sample.image
    small = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA)
    return replace(
        sample, image=np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    )


def measure_texture(
    dataset: Dataset, system: System, progress: Progress | None = None, recogniser: FaceRecogniser | None = None
) -> Measured:
    """Identity similarity over rendered views (with a recogniser) and SSIM on the face (L2R, tables 3 and 7).

    All of it at 256 × 256 pixels: photos are made that large first, blurred and taken through 32 × 32 for the system,
    and what it answers is held to the photo before that.
    """
    similar: list[float] = []
    alike: list[float] = []
    not_found: list[str] = []
    for whole in each_sample(dataset, progress):
        sample = _at_side(whole, TEXTURE_SIDE)
        given = degraded(sample, _LOW_SIDE, _BLUR)
        try:
            picture = system.picture(given)
            views = system.views(given) if recogniser is not None else []
        except NoFaceError:
            not_found.append(sample.name)
            continue
        alike.append(structural_similarity(picture, sample.image, sample.mask))
        if recogniser is not None:
            similar.append(identity_similarity(recogniser, sample.image, views))
    check_some_found(dataset, not_found, len(alike))
    row_metrics = (float(np.mean(similar)) if similar else None, float(np.mean(alike)))
    notes = (
        "Similarity is the mean over the views that a system shows: L2R's from the photo's side, from the front, and "
        "turned by 45° both ways about both axes; faces are cropped as ArcFace's, found anew in each.",
        f"Inputs are blurred by {_BLUR:g} of 256 pixels before they shrink; the paper says only that they are blurred.",
    )
    if recogniser is None:
        notes = (*notes[1:], "No recogniser was given (--recogniser FILE.onnx): no cosine similarity.")
    done = len(alike) + len(not_found)
    return Measured((("", row_metrics),), done, tuple(dataset.skipped), tuple(not_found), notes)


def _at_side(sample: Sample, side: int) -> Sample:
    """A sample whose photo and mask have so many pixels a side."""
    import cv2

    image = cv2.resize(sample.image, (side, side), interpolation=cv2.INTER_AREA)
    mask = sample.mask
    if mask is not None:
        mask = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
    return replace(sample, image=np.asarray(image, np.uint8), mask=mask)


def each_sample(dataset: Dataset, progress: Progress | None) -> Iterator[Sample]:
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


def check_some_found(dataset: Dataset, not_found: Sequence[str], found: int) -> None:
    """Raise NoFaceError where a system found no face at all, so that there is nothing to average."""
    if not found:
        raise NoFaceError(f"no face was found in any of the {len(not_found)} photos of {dataset.root}")
