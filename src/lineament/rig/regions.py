# SPDX-License-Identifier: Apache-2.0
"""Named fields on the mean head: lips, brows, eyelid margins, nostrils, hairline, beard and ears.

Everything is derived from the 68 landmarks and the geometry, in the rig frame and in millimetres. Signed
distances are three-dimensional distances to a dense contour, with the sign taken from a polygon or a height
function; off the skin they hold `FAR`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from lineament.rig.model import Part

Array = NDArray[np.float64]

FAR = 200.0
"""Value of a distance field where it means nothing, mm."""

JAW_RIGHT, JAW_LEFT, NOSE_TIP, SUBNASALE = 0, 16, 30, 33
ALA_RIGHT, ALA_LEFT = 31, 35
BROW_RIGHT, BROW_LEFT = (17, 18, 19, 20, 21), (26, 25, 24, 23, 22)  # outer end first
LIDS = (((36, 37, 38, 39), (39, 40, 41, 36)), ((42, 43, 44, 45), (45, 46, 47, 42)))
OUTER_LIP = ((48, 49, 50, 51, 52, 53, 54), (54, 55, 56, 57, 58, 59, 48))
INNER_LIP = ((60, 61, 62, 63, 64), (64, 65, 66, 67, 60))

# Half thickness of the brow band at its outer and inner end, mm.
_BROW_HALF_THICKNESS = (2.0, 4.0)
# Hairline: azimuth from the face's axis in degrees -> height over the brows, in brow-to-subnasale lengths.
# Forehead, temple, sideburn in front of the ear, then behind the ear down to the nape.
_HAIRLINE = np.array(
    [
        (0, 0.80), (14, 0.81), (27, 0.76), (37, 0.65), (45, 0.50), (51, 0.33), (56, 0.12), (60, -0.05),
        (64, -0.20), (68, -0.42), (72, -0.72), (82, -0.76), (95, -0.60), (106, -0.66), (116, -1.10),
        (128, -1.35), (150, -1.45), (180, -1.50),
    ]
)  # fmt: skip
# Upper border of the beard in the same terms, and its lower border on the throat.
_BEARD_TOP = np.array([(0, -0.97), (10, -0.98), (17, -1.10), (28, -1.28), (42, -1.15), (56, -0.92), (70, -0.66)])
_BEARD_BOTTOM = np.array([(0, -2.45), (30, -2.35), (55, -2.05), (80, -1.65)])
_BEARD_BACK_DEGREES = (76.0, 84.0)
_BEARD_SOFTNESS = 7.0


def smoothstep(low: float, high: float, values: NDArray[np.floating]) -> NDArray[Any]:
    """Cubic step from 0 at `low` to 1 at `high` (which may be the smaller one)."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def contour(points: Array, chains: Sequence[Sequence[int]], samples: int = 120) -> Array:
    """[N, 3] dense curve: one natural cubic spline per chain of landmarks, with corners where chains meet.

    Successive landmarks at one place, as on a coarse mesh, count once.
    """
    curves = []
    for chain in chains:
        knots = points[list(chain)]
        steps = np.linalg.norm(np.diff(knots, axis=0), axis=1)
        knots = knots[np.concatenate([[True], steps > 0.0])]
        if len(knots) < 2:
            curves.append(knots)
            continue
        length = np.concatenate([[0.0], np.cumsum(steps[steps > 0.0])])
        spline = CubicSpline(length, knots, bc_type="natural")
        curves.append(spline(np.linspace(0.0, length[-1], samples)))
    return np.concatenate(curves)


def inside_polygon(points: Array, polygon: Array) -> NDArray[np.bool_]:
    """[N] whether 2-D points lie inside a closed polygon (even-odd rule)."""
    x, y = points[:, :1], points[:, 1:2]
    x0, y0 = polygon[:, 0], polygon[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    rise = np.where(y1 == y0, 1.0, y1 - y0)
    crosses = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / rise)
    return np.asarray(crosses.sum(1) % 2 == 1)


def find_ears(vertices: Array, landmarks: Array) -> list[NDArray[np.bool_]]:
    """Masks of the outermost part of the left and the right ear; a mask is empty where there is no ear."""
    x, y, z = vertices.T
    middle = 0.5 * (landmarks[JAW_RIGHT, 0] + landmarks[JAW_LEFT, 0])
    reach = 0.55 * (landmarks[JAW_LEFT, 0] - landmarks[JAW_RIGHT, 0])
    brows = landmarks[list(BROW_RIGHT + BROW_LEFT), 1].mean()
    level = (y < brows) & (y > landmarks[SUBNASALE, 1] - 0.25 * (brows - landmarks[SUBNASALE, 1]))
    return [level & (side * (x - middle) > reach) & (z < landmarks[JAW_RIGHT, 2]) for side in (1.0, -1.0)]


def ear_field(vertices: Array, landmarks: Array) -> Array:
    """[V] 1 on the ears, 0 elsewhere: what sticks out of a quadratic fitted to the head around them."""
    field = np.zeros(len(vertices))
    for seeds, side in zip(find_ears(vertices, landmarks), (1.0, -1.0), strict=True):
        if seeds.sum() < 8:
            continue
        low, high = vertices[seeds][:, 1:].min(0), vertices[seeds][:, 1:].max(0)
        q = (vertices[:, 1:] - 0.5 * (low + high)) / (0.5 * (high - low))
        ellipse = np.linalg.norm(q, axis=1)
        outward = side * vertices[:, 0]
        near = outward > 0.5 * outward[seeds].mean()
        ring = near & (ellipse > 1.5) & (ellipse < 2.2)
        if ring.sum() < 12:
            continue
        terms = np.column_stack([np.ones(len(q)), q, q**2, q[:, 0] * q[:, 1]])
        plane = terms @ np.linalg.lstsq(terms[ring], outward[ring], rcond=None)[0]
        sticks_out = smoothstep(1.0, 3.0, outward - plane) * smoothstep(1.6, 1.35, ellipse)
        bowl = smoothstep(0.85, 0.65, ellipse)
        field = np.maximum(field, near * np.maximum(sticks_out, bowl))
    return field


def compute_regions(
    vertices: Array, normals: Array, triangles: NDArray[np.integer], part: NDArray[np.uint8], landmarks: Array
) -> dict[str, NDArray[np.float32]]:
    """All fields.

    Args:
        vertices: [V, 3] mean, mm, rig frame.
        normals: [V, 3] unit, outward.
        triangles: [F, 3].
        part: [V] with MOUTH, TEETH and eyes set; every other vertex is skin.
        landmarks: [68, 3] mm.

    Returns:
        name -> [V] float32, the names being lip, lip_inner, brow_left, brow_right, eye_line, nostril,
        hairline, beard and ear (see `lineament.rig.model.Rig`).
    """
    skin = part <= Part.NECK
    lips = {
        "lip": _signed_to_loop(vertices, contour(landmarks, OUTER_LIP)),
        "lip_inner": _signed_to_loop(vertices, contour(landmarks, INNER_LIP)),
    }
    ears = ear_field(vertices, landmarks) * skin
    hairline = _hairline(vertices, triangles, skin, landmarks)
    hairline = np.where(ears > 0.3, np.minimum(hairline, -5.0 * ears), hairline)
    lids = np.concatenate([contour(landmarks, chains) for chains in LIDS])
    fields = {
        "brow_left": _brow(vertices, landmarks, BROW_LEFT),
        "brow_right": _brow(vertices, landmarks, BROW_RIGHT),
        "eye_line": cKDTree(lids).query(vertices)[0],
        "nostril": _nostril(vertices, normals, triangles, skin, landmarks),
    }
    fields = {name: np.where(skin, values, FAR) for name, values in fields.items()}
    fields.update({name: np.where(part >= Part.TEETH, FAR, values) for name, values in lips.items()})
    fields["hairline"] = np.where(skin, hairline, -FAR)
    fields["beard"] = _beard(vertices, landmarks) * (1.0 - ears) * smoothstep(0.0, 3.0, fields["lip"]) * skin
    fields["ear"] = ears
    return {name: np.clip(values, -FAR, FAR).astype(np.float32) for name, values in fields.items()}


def _signed_to_loop(vertices: Array, loop: Array, reach: float = 25.0) -> Array:
    """3-D distance to a closed frontal curve, negative inside its outline and within `reach` of it."""
    distance = cKDTree(loop).query(vertices)[0]
    inside = inside_polygon(vertices[:, :2], loop[:, :2]) & (distance < reach)
    return np.asarray(np.where(inside, -distance, distance))


def _brow(vertices: Array, landmarks: Array, chain: Sequence[int]) -> Array:
    """Distance to a brow's centre line less its half thickness, which grows from the outer end inwards."""
    curve = contour(landmarks, [chain])
    distance, nearest = cKDTree(curve).query(vertices)
    outer, inner = _BROW_HALF_THICKNESS
    share = smoothstep(0.0, 0.7, nearest / (len(curve) - 1.0))
    return np.asarray(distance - (outer + (inner - outer) * share))


def _heights(vertices: Array, landmarks: Array) -> tuple[Array, Array]:
    """Azimuth from the face's axis [V] in degrees and height over the brows in brow-to-subnasale lengths."""
    brows = landmarks[list(BROW_RIGHT + BROW_LEFT), 1].mean()
    azimuth = np.degrees(np.arctan2(np.abs(vertices[:, 0]), vertices[:, 2]))
    return azimuth, (vertices[:, 1] - brows) / (brows - landmarks[SUBNASALE, 1])


def _hairline(vertices: Array, triangles: NDArray[np.integer], skin: NDArray[np.bool_], landmarks: Array) -> Array:
    """Signed distance to the natural hairline: positive on the scalp."""
    azimuth, height = _heights(vertices, landmarks)
    above = height - _curve(_HAIRLINE, azimuth)
    faces = triangles[skin[triangles].all(1)]
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges[above[edges[:, 0]] * above[edges[:, 1]] < 0.0]
    if not len(edges):
        return np.where(above > 0, FAR, -FAR)
    a, b = above[edges[:, :1]], above[edges[:, 1:]]
    crossings = vertices[edges[:, 0]] + (a / (a - b)) * (vertices[edges[:, 1]] - vertices[edges[:, 0]])
    return np.asarray(np.sign(above) * cKDTree(crossings).query(vertices)[0])


def _curve(table: Array, azimuth: Array) -> Array:
    """Smooth periodic-looking interpolation of a table of (degrees, height), even in the azimuth."""
    grid = np.arange(-200.0, 201.0)
    line = np.interp(np.abs(grid), table[:, 0], table[:, 1])
    kernel = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    line = np.convolve(np.pad(line, 9, mode="edge"), kernel / kernel.sum(), mode="valid")
    return np.interp(azimuth, grid, line)


def _beard(vertices: Array, landmarks: Array) -> Array:
    """[V] in [0, 1]: moustache, cheeks below a line from the sideburn, chin and upper throat."""
    azimuth, height = _heights(vertices, landmarks)
    unit = landmarks[list(BROW_RIGHT + BROW_LEFT), 1].mean() - landmarks[SUBNASALE, 1]
    below_top = (_curve(_BEARD_TOP, azimuth) - height) * unit
    above_bottom = (height - _curve(_BEARD_BOTTOM, azimuth)) * unit
    top = smoothstep(0.0, _BEARD_SOFTNESS, below_top)
    bottom = smoothstep(-_BEARD_SOFTNESS, _BEARD_SOFTNESS, above_bottom)
    return np.asarray(top * bottom * smoothstep(_BEARD_BACK_DEGREES[1], _BEARD_BACK_DEGREES[0], azimuth))


def _nostril(
    vertices: Array,
    normals: Array,
    triangles: NDArray[np.integer],
    skin: NDArray[np.bool_],
    landmarks: Array,
) -> Array:
    """Distance to the inside of the nostrils: nose vertices whose normal soon meets skin again."""
    width = landmarks[ALA_LEFT, 0] - landmarks[ALA_RIGHT, 0]
    base, tip = landmarks[SUBNASALE], landmarks[NOSE_TIP]
    offset = vertices - base
    box = (
        skin
        & (np.abs(offset[:, 0]) < 0.55 * width)
        & (offset[:, 1] > -0.1 * width)
        & (offset[:, 1] < tip[1] - base[1])
        & (np.abs(offset[:, 2]) < tip[2] - base[2])
    )
    around = triangles[skin[triangles].all(1) & (np.abs(offset[triangles[:, 0]]).max(1) < 2.0 * width)]
    candidates = np.flatnonzero(box)
    inner = candidates[_ray_hits(vertices[candidates], normals[candidates], vertices[around], 0.6 * width)]
    between = 0.5 * (landmarks[[ALA_RIGHT, ALA_LEFT]] + landmarks[[32, 34]])
    inner_points = vertices[inner] if len(inner) else between
    return np.asarray(cKDTree(inner_points).query(vertices)[0])


def _ray_hits(origins: Array, directions: Array, corners: Array, reach: float) -> NDArray[np.bool_]:
    """[N] whether a ray meets one of [F, 3, 3] triangles within `reach` (Möller and Trumbore 1997)."""
    if not len(origins) or not len(corners):
        return np.zeros(len(origins), dtype=bool)
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    hits = []
    for origin, direction in zip(origins, directions, strict=True):
        p = np.cross(direction, edge2)
        determinant = np.einsum("ij,ij->i", edge1, p)
        safe = np.where(np.abs(determinant) < 1e-9, np.inf, determinant)
        s = origin - corners[:, 0]
        u = np.einsum("ij,ij->i", s, p) / safe
        q = np.cross(s, edge1)
        v = (q @ direction) / safe
        t = np.einsum("ij,ij->i", edge2, q) / safe
        hits.append(bool(np.any((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0.3) & (t < reach))))
    return np.array(hits, dtype=bool)
