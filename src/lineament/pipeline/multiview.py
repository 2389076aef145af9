# SPDX-License-Identifier: Apache-2.0
"""Several photos of one person, one head (no torch, but for the method's fit, which is imported when it is run)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from lineament.errors import UsageError
from lineament.face.detect import detect_faces, largest
from lineament.inference.component import resolved
from lineament.inference.multiview import FitOptions, FitViews, MultiviewFit, SeenFace
from lineament.inference.predictor import Prediction
from lineament.methods.discovery import all_methods
from lineament.pipeline.augmentation import crop_estimate
from lineament.pipeline.estimator import Estimator, Photo, load
from lineament.pipeline.options import Options
from lineament.result.crop_estimate import CropEstimate
from lineament.result.geometry import FaceGeometry
from lineament.result.head_texture import parse_of_crop
from lineament.result.person import PersonGeometry, PersonView

DEFAULT_METHOD = "hrn-s"
SIDE = 256
"""Pixels of the crops that a head is fitted to."""

_DEFAULT = FitOptions()
_OUTLIER = 2.0  # times the median residual of the other views, from which on a view spoils the fit
_LARGE = 1.5  # per cent of the crop's side up to which no view spoils it
_UNLIKE = 0.0  # cosine of two views' identities below which they may be two people


def multiview(
    photos: Sequence[Photo],
    method: str | PathLike[str] = DEFAULT_METHOD,
    options: FitOptions = _DEFAULT,
    robust: bool = False,
    told: Callable[[int], None] | None = None,
) -> PersonGeometry:
    """One head from several photos of a person.

    Args:
        photos: At least two, as `Estimator.estimate` takes them; of each the largest face is taken.
        method: Name or weights file of a method that fits heads.
        options: How it is fitted.
        robust: Leave out a photo that the others' head does not explain, and fit again.
        told: Is told how many steps are made.

    Raises:
        NoFaceError: A photo without a face.
        UsageError: Less than two photos, or a method that fits no heads.
        InputError: A photo that cannot be used.
    """
    if isinstance(photos, (str, PathLike)) or not isinstance(photos, Sequence):
        raise UsageError("several photos are needed, in a list")
    if len(photos) < 2:
        raise UsageError(f"a head is fitted to two photos of a person or more, not to {len(photos)}")
    estimator = load(method, options=Options(second_view=False))
    fit = fit_of(estimator)
    names = [name_of(photo, number) for number, photo in enumerate(photos, 1)]
    faces = [largest_face(estimator, photo) for photo in photos]
    return fitted(names, faces, fit, options, robust, told)


def fit_of(estimator: Estimator) -> FitViews:
    """A method's fit of one head to several photos.

    Raises:
        UsageError: It has none, or torch is missing.
    """
    name = estimator.predictor.FORMAT.name
    reference = all_methods()[name].multiview
    if reference is None:
        able = " and ".join(name for name, method in all_methods().items() if method.multiview is not None)
        raise UsageError(f"{name} fits no head to several photos, only {able} does")
    try:
        fit: FitViews = resolved(reference)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UsageError("fitting a head needs torch: pip install 'lineament[fit]'") from None
    return fit


def name_of(photo: Photo, number: int) -> str:
    """What a photo is called."""
    return Path(photo).name if isinstance(photo, (str, PathLike)) else f"photo {number}"


def largest_face(estimator: Estimator, photo: Photo) -> FaceGeometry:
    """The largest face of a photo."""
    (face,) = estimator.iter_estimate(photo, largest(detect_faces))
    return face


def fitted(
    names: Sequence[str],
    faces: Sequence[FaceGeometry],
    fit: FitViews,
    options: FitOptions,
    robust: bool = False,
    told: Callable[[int], None] | None = None,
) -> PersonGeometry:
    """One head from faces that are estimated already; see `multiview`."""
    reference = load() if options.normal and options.steps else None
    seen = [_seen(face, reference) for face in faces]
    told = told or (lambda step: None)
    result = fit(seen, options, told)
    spoiling = _spoiling(result)
    left_out = robust and bool(spoiling) and len(faces) - len(spoiling) >= 2
    said = "does not fit the others and is left out" if left_out else "does not fit the others"
    warnings = [f"{names[number]} {said}" for number in spoiling] + _unlike(names, faces)
    if left_out:
        kept = [number for number in range(len(faces)) if number not in spoiling]
        result = fit([seen[number] for number in kept], options, told)
        names, faces = [names[number] for number in kept], [faces[number] for number in kept]
    views = [
        PersonView(name, replace(face, crop_estimate=crop_estimate(prediction, 0)), residual)
        for name, face, prediction, residual in zip(names, faces, result.predictions, result.residuals, strict=True)
    ]
    return PersonGeometry(tuple(views), result.steps, tuple(warnings))


def _seen(face: FaceGeometry, reference: Estimator | None) -> SeenFace:
    """A face as a fit sees it, with the normals of another method."""
    crop = face.crop.at(SIDE)
    picture = crop.extract(face.photo)
    return SeenFace(
        picture=picture,
        landmarks=crop.to_crop(face.landmarks) / SIDE,
        visibility=face.visibility,
        parse=parse_of_crop(face.region, SIDE),
        said=_said(face.crop_estimate),
        normals=None if reference is None else reference.estimate_crop(picture).normals[-1],
    )


def _said(estimate: CropEstimate) -> Prediction:
    """The estimate of one crop as what networks say."""
    return Prediction(
        normals=tuple(normals[None] for normals in estimate.normals),
        deformation_map=None if estimate.deformation_map is None else estimate.deformation_map[None],
        displacement_map=None if estimate.displacement_map is None else estimate.displacement_map[None],
        coefficients={name: values[None] for name, values in estimate.coefficients.items()},
    )


def _spoiling(result: MultiviewFit) -> list[int]:
    """Photos that the head does not explain while it explains the others."""
    found = []
    for number, residual in enumerate(result.residuals if len(result.residuals) > 1 else ()):
        others = np.delete(result.residuals, number)
        if residual > max(_LARGE, _OUTLIER * float(np.median(others))):
            found.append(number)
    return found


def _unlike(names: Sequence[str], faces: Sequence[FaceGeometry]) -> list[str]:
    """A warning for each photo whose identity is unlike every other's."""
    if len(faces) < 2:
        return []
    identities = np.stack([face.crop_estimate.coefficients["identity"] for face in faces]).astype(np.float64)
    length = np.linalg.norm(identities, axis=1, keepdims=True)
    cosine = (identities / np.maximum(length, 1e-9)) @ (identities / np.maximum(length, 1e-9)).T
    np.fill_diagonal(cosine, -1.0)
    return [
        f"{name} may show another person than the others"
        for name, best in zip(names, cosine.max(1), strict=True)
        if best < _UNLIKE
    ]
