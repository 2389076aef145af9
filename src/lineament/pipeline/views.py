# SPDX-License-Identifier: Apache-2.0
"""What a network is shown of a face, and how several looks at it become one answer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.normals import depth_to_normals
from lineament.inference.predictor import Prediction
from lineament.result.geometry import unit_normals

CLOSER = 1.2
"""How much larger the mirrored look shows the face: two sizes err less alike than one seen twice."""

DETAIL = 0.011
"""Sigma of the blur that parts shape from detail, of the crop's side."""

MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)
"""Of normals."""

_SEAM = 0.04  # of the crop's side, over which the closer look fades out


@dataclass(frozen=True)
class Look:
    """What the network sees of a face: a square picture, and an exemplar in its frame, if any."""

    picture: NDArray[np.uint8]
    exemplar: NDArray[np.float32] | None

    def at(self, size: int) -> Look:
        """The same with another number of pixels."""
        import cv2

        side = len(self.picture)
        if side == size:
            return self
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(self.picture, (size, size), interpolation=how), dtype=np.uint8)
        return Look(picture, None if self.exemplar is None else resized(self.exemplar, size))

    def closer(self) -> Look:
        """Its middle."""
        middle = middle_of(len(self.picture))
        exemplar = None if self.exemplar is None else np.ascontiguousarray(self.exemplar[middle])
        return Look(np.ascontiguousarray(self.picture[middle]), exemplar)

    def mirrored(self) -> Look:
        """Left and right exchanged."""
        exemplar = None if self.exemplar is None else self.exemplar[:, ::-1] * MIRROR
        return Look(self.picture[:, ::-1], exemplar)


def middle_of(side: int) -> tuple[slice, slice]:
    """Rows and columns of a square that the closer look shows."""
    margin = round(0.5 * side * (1.0 - 1.0 / CLOSER))
    inside = slice(margin, side - margin)
    return inside, inside


def joined(whole: NDArray[np.float32], closer: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of maps S×S or S×S×C of a look and of the closer one, where both see."""
    side = len(whole)
    middle = middle_of(side)
    inner = middle[0].stop - middle[0].start
    from_edge = np.minimum(np.arange(inner) + 0.5, np.arange(inner)[::-1] + 0.5) / (_SEAM * side)
    fade = from_edge.clip(0.0, 1.0).astype(np.float32)
    weight = np.minimum(fade[:, None], fade[None, :])
    weight = weight if whole.ndim == 2 else weight[..., None]
    both = whole.copy()
    both[middle] += 0.5 * weight * (resized(np.ascontiguousarray(closer), inner) - whole[middle])
    return both


def resized(crop_map: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """A square map with another number of pixels."""
    import cv2

    return np.asarray(cv2.resize(crop_map, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def multiple_of(side: float, step: int) -> int:
    """The multiple of a step that is closest to a side."""
    return max(step, step * round(side / step))


def with_detail(coarse: NDArray[np.float32], fine: NDArray[np.float32]) -> NDArray[np.float32]:
    """The shape of coarse normals with the detail of fine ones (`benchmarks/accuracy/own_resolution.py`).

    The network knows whole faces at its own size only; seen larger, the shape goes wrong but the detail is right.
    """
    import cv2

    side = len(fine)
    enlarged = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    sigma = DETAIL * side
    shape = cv2.GaussianBlur(enlarged, (0, 0), sigma) + fine - cv2.GaussianBlur(fine, (0, 0), sigma)
    return unit_normals(np.asarray(shape, dtype=np.float32))


def with_normals(prediction: Prediction) -> Prediction:
    """A prediction with normals, those of its depths where the method gives none itself."""
    if prediction.normals or not prediction.depths:
        return prediction
    side = prediction.depths[0].shape[1]
    normals = tuple(np.stack([depth_to_normals(side * one) for one in depth]) for depth in prediction.depths)
    return replace(prediction, normals=normals)
