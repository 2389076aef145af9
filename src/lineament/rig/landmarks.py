# SPDX-License-Identifier: Apache-2.0
"""The jaw's landmarks slide: of a head that turns away people mark the outline that they see, no place on the skin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.rig.model import CONTOUR, Part, Rig

_REACH = 45.0  # mm along the skin, to both sides of the fixed landmark
_BAND = 3.5  # mm to both sides of the plane that a landmark slides in


def contour_candidates(
    mean: NDArray[np.floating],
    part: NDArray[np.uint8],
    landmarks: NDArray[np.integer],
    count: int = 15,
) -> NDArray[np.int32]:
    """Vertices along which the jaw's landmarks slide: across the jaw line, from the cheek over it to the neck.

    Args:
        mean: [V, 3] mm.
        part: [V] of `Part`.
        landmarks: [68] vertices.
        count: C.

    Returns:
        [17, C] vertices for landmarks 0 to 16, the fixed one in the middle, the first nearest to the face's middle.
    """
    marks = mean[landmarks].astype(np.float64)
    skin = np.flatnonzero(np.isin(part, (Part.FACE, Part.NECK, Part.EAR, Part.SCALP)))
    middle, rows = marks[27:36].mean(0), []
    for number in range(CONTOUR):
        here = marks[number]
        along = marks[min(number + 1, CONTOUR - 1)] - marks[max(number - 1, 0)]
        along /= np.linalg.norm(along)
        away = mean[skin] - here
        inwards = middle - here
        inwards -= along * (inwards @ along)
        inwards /= np.linalg.norm(inwards)
        # Signed by the way round the head: what lies towards the nose is before the landmark.
        near = (np.abs(away @ along) < _BAND) & (np.linalg.norm(away, axis=1) < _REACH)
        place = away @ inwards
        distance = np.linalg.norm(away, axis=1) * np.where(place > 0, -1.0, 1.0)
        wanted = np.linspace(-_REACH, _REACH, count)
        usable = np.flatnonzero(near)
        chosen = skin[usable[np.abs(distance[usable][None] - wanted[:, None]).argmin(1)]]
        chosen[count // 2] = landmarks[number]
        rows.append(chosen)
    return np.array(rows, np.int32)


def sliding_landmarks(rig: Rig, projected: NDArray[np.floating], normals_z: NDArray[np.floating]) -> NDArray[np.int32]:
    """Which vertices the 68 landmarks are on heads as they are seen.

    Args:
        rig: The rig.
        projected: [B, V, 2] vertices in the picture, x right, y down, in any unit.
        normals_z: [B, V] z of their normals, towards the viewer.

    Returns:
        [B, 68] vertices: on the side that turns away, the jaw's are those of their candidates that are seen and lie
        farthest out.
    """
    found = np.repeat(rig.landmarks[None], len(projected), axis=0).astype(np.int32)
    marks = projected[:, rig.landmarks]
    middle = marks[:, 27:36].mean(1)  # [B, 2]
    outwards = marks[:, :CONTOUR] - middle[:, None]  # [B, 17, 2]
    candidates = projected[:, rig.contour]  # [B, 17, C, 2]
    reach = np.einsum("bnci,bni->bnc", candidates - middle[:, None, None], outwards)
    # From the cheek on, as far as the skin faces the viewer: what comes after stands behind.
    seen = np.logical_and.accumulate(normals_z[:, rig.contour] > 0.0, axis=-1)
    seen[..., 0] = True
    farthest = np.where(seen, reach, -np.inf).argmax(-1)
    slid = np.take_along_axis(np.broadcast_to(rig.contour, candidates.shape[:3]), farthest[..., None], -1)[..., 0]
    hidden = normals_z[:, rig.landmarks[:CONTOUR]] < 0.0
    found[:, :CONTOUR] = np.where(hidden, slid, found[:, :CONTOUR])
    return found
