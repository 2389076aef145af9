# SPDX-License-Identifier: Apache-2.0
"""Estimating crops: all views of several faces run through the networks together, one estimate per face comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lineament.alignment.crop import FaceCrop
from lineament.images.tone import camera_tones, face_contrast
from lineament.inference.predictor import Predictor
from lineament.pipeline.augmentation import at_side, averaged, crop_estimate, with_detail
from lineament.pipeline.options import Options
from lineament.pipeline.view import CLOSER, View
from lineament.result.crop_estimate import CropEstimate

FACES_A_RUN = 4
"""Most faces of a photo that are estimated together."""

FINER = 5 / 3
"""Side of the finer crop, of the network's own."""

_AS_IT_IS = np.arange(256, dtype=np.uint8)
_FINE_FROM = 2.0  # pixels of the photo per pixel of the crop from which there is detail that the crop does not show
_VIEWS_A_RUN = 2 * FACES_A_RUN  # at the network's own size; fewer of the larger ones, which take more memory


@dataclass(frozen=True)
class Views:
    """All that the networks are shown of one face."""

    whole: View
    """The canonical crop."""
    closer: View | None
    """The second view, which will be mirrored."""
    finer: View | None
    """The same square as the first with more pixels, of a large face."""

    @property
    def last(self) -> View:
        """The one whose pixels the estimate has."""
        return self.finer or self.whole


def views_of_photo(
    photo: NDArray[Any],
    crop: FaceCrop,
    exemplar: NDArray[np.float32] | None,
    predictor: Predictor,
    options: Options,
) -> Views:
    """The views of a face in a photo H×W×3, its crop and an exemplar H×W×3 in the photo's frame given."""
    own = crop.at(predictor.size)

    def view(seen: FaceCrop) -> View:
        return View.of_photo(photo, seen, exemplar)

    return Views(
        view(own),
        view(own.closer(CLOSER)) if options.second_view else None,
        view(own.at(finer_side(predictor.size, predictor.multiple)))
        if _has_detail(crop.side, predictor, options)
        else None,
    )


def views_of_crop(view: View, predictor: Predictor, options: Options) -> Views:
    """The views of a face whose crop is given, of any number of pixels."""
    return Views(
        view.at(predictor.size),
        view.closer().at(predictor.size) if options.second_view else None,
        view.at(finer_side(predictor.size, predictor.multiple))
        if _has_detail(len(view.picture), predictor, options)
        else None,
    )


def finer_side(size: int, multiple: int) -> int:
    """Side of the finer crop of networks that know crops of a size and take multiples of some number, pixels."""
    return max(multiple, multiple * round(FINER * size / multiple))


def _has_detail(side: float, predictor: Predictor, options: Options) -> bool:
    """Whether a face is to be seen finer whose crop has this side in the photo."""
    return options.fine_crop and side >= _FINE_FROM * predictor.size


def estimate_views(
    predictor: Predictor, faces: Sequence[Views], stages: int | None, tones: bool = True
) -> list[CropEstimate]:
    """One estimate per face; at the size of the finer crop for those that have one."""
    pairs = [[face.whole] if face.closer is None else [face.whole, face.closer.mirrored()] for face in faces]
    coarse = [averaged(*seen) if len(seen) == 2 else seen[0] for seen in run_views(predictor, pairs, stages, tones)]
    fine = iter(run_views(predictor, [[face.finer] for face in faces if face.finer is not None], stages, tones))
    return [
        one if face.finer is None else with_detail(one, next(fine)[0]) for face, one in zip(faces, coarse, strict=True)
    ]


def estimate_square(predictor: Predictor, view: View, options: Options) -> CropEstimate:
    """The estimate of one crop at its own number of pixels."""
    (estimate,) = estimate_views(
        predictor, [views_of_crop(view, predictor, options)], options.stages, options.camera_tones
    )
    return at_side(estimate, len(view.picture))


def run_views(
    predictor: Predictor, faces: Sequence[Sequence[View]], stages: int | None, tones: bool = True
) -> list[list[CropEstimate]]:
    """The estimate of every view of every face, of which all have as many views, of one size.

    The views of a face are seen with one tone curve, its first one's; without ``tones`` they are shown as they are.
    """
    if not faces:
        return []
    count, side = len(faces[0]), len(faces[0][0].picture)
    most = max(1, _VIEWS_A_RUN * predictor.size**2 // side**2 // count)
    estimates: list[list[CropEstimate]] = []
    for first in range(0, len(faces), most):
        group = faces[first : first + most]
        curves = [camera_tones(face_contrast(views[0].picture)) if tones else _AS_IT_IS for views in group]
        pictures = [curve[view.picture] for curve, views in zip(curves, group, strict=True) for view in views]
        exemplars = [view.exemplar for views in group for view in views if view.exemplar is not None]
        prediction = predictor.run(np.stack(pictures), stages, np.stack(exemplars) if exemplars else None)
        flat = [crop_estimate(prediction, index) for index in range(len(pictures))]
        estimates += [flat[index : index + count] for index in range(0, len(flat), count)]
    return estimates
