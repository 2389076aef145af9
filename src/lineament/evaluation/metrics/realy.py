# SPDX-License-Identifier: Apache-2.0
"""REALY's error of one region of the face (Chai et al. 2022, "REALY: Rethinking the Evaluation of 3D Face
Reconstruction"; facts of its protocol are of github.com/czh-98/REALY).

The prediction is aligned by seven landmarks with scale, then, without scale, to the scan of one region and to the
landmarks that belong to it. Of the region's points the mean distance to the prediction counts. REALY looks the nearest
places up again from where a non-rigid deformation takes the region (bICP); that step is not here, so that distances are
somewhat smaller than its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import InputError
from lineament.evaluation.metrics.now import NOW_LANDMARKS
from lineament.evaluation.metrics.surface_distance import moved, refine_alignment, scan_to_mesh_distance
from lineament.geometry.mesh import Mesh
from lineament.geometry.similarity import Similarity, fit_similarity

LANDMARKS = 85
"""The 68 of iBUG and 17 on the cheeks."""

_MOUTH = (*range(48, 61), 64)


@dataclass(frozen=True)
class Region:
    """How a region of the scan is aligned."""

    landmarks: Sequence[int]
    """Of the 85."""
    share: float = 1.0
    """Weight of all of them beside that of the region's points."""


REGIONS: Mapping[str, Region] = {
    "nose": Region((27, 28, 29, 30, 31, 35, 32, 33, 34, 70, 71)),
    "mouth": Region(_MOUTH),
    "forehead": Region((*range(36, 48), *range(17, 27))),
    "cheek": Region((*_MOUTH, 76, 77, 36, 41, 40, 39, 42, 47, 46, 45, 7, 8, 9), 0.25),
}


def regional_error(mesh: Mesh, own_landmarks: ArrayLike, scan: Mesh, landmarks: ArrayLike, region: str) -> float:
    """The mean distance of a region's points to the prediction, in the scan's unit.

    Args:
        mesh: The prediction, in any frame and size.
        own_landmarks: [85, 3] on it.
        scan: The scan of the region.
        landmarks: [85, 3] on the scan of the whole face.
        region: One of `REGIONS`.

    Raises:
        InputError: Other numbers of landmarks.
    """
    own, other = np.asarray(own_landmarks, np.float64), np.asarray(landmarks, np.float64)
    if own.shape != (LANDMARKS, 3) or other.shape != (LANDMARKS, 3):
        raise InputError(f"REALY's {LANDMARKS} landmarks are needed, not {len(own)} on the prediction and {len(other)}")
    whole = by_absolute_size(own[NOW_LANDMARKS], other[NOW_LANDMARKS])
    placed, own = moved(mesh, whole), whole(own)
    chosen = list(REGIONS[region].landmarks)
    regional = refine_alignment(
        placed, scan.vertices, own[chosen], other[chosen], keypoint_share=REGIONS[region].share
    )  # fmt: skip
    return float(scan_to_mesh_distance(scan.vertices, moved(placed, regional)).mean())


def by_absolute_size(source: NDArray[np.float64], target: NDArray[np.float64]) -> Similarity:
    """The similarity of points [N, 3] whose scale is the ratio of the sums of absolute coordinates, as REALY has it."""
    rigid = fit_similarity(source, target, with_scale=False)
    turned = (source - source.mean(axis=0)) @ rigid.rotation.T
    scale = float(np.abs(target - target.mean(axis=0)).sum() / np.abs(turned).sum())
    return Similarity(scale, rigid.rotation, target.mean(axis=0) - scale * rigid.rotation @ source.mean(axis=0))
