# SPDX-License-Identifier: Apache-2.0
"""A UV chart of the face alone, which fills the unit square, and sampling it on a grid (HRN's and L2R's maps).

The face is what the rig calls so: skin from the hairline to below the chin and to before the ears. Its one border goes
to the square's, the mouth is closed for the map alone, and the sockets behind the lids are kept small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from lineament.geometry.mesh import Mesh, vertex_normals
from lineament.geometry.raster import Seen, rasterize
from lineament.images.inpaint import sampled
from lineament.rig.chart import border_loops, convex_map
from lineament.rig.model import Part, Rig

_SOCKET = 0.12  # linear density of the sockets behind the lids
_INSIDE = 1.45  # radii from an eyeball's centre within which skin that faces it is of its socket
_CENTRE, _REACH = 1.35, 45.0  # density at the features, and mm over which it falls to one beside them
_EARS = 0.55  # of the way from the ears to the jaw line's ends, where the chart ends
_HAIRLINE = 5.0  # mm before the hairline, where the chart ends
_JAW = 11.0  # mm around the jaw's landmarks within which the chart holds what is below them
_EYES = (Part.EYE_LEFT, Part.EYE_RIGHT)
_UNDER = (
    (Part.EYE_LEFT, "eye_line", 4.0),
    (Part.EYE_RIGHT, "eye_line", 4.0),
    (Part.MOUTH, "lip", 6.0),
    (Part.TEETH, "lip", 6.0),
)
"""Parts under the face, and the region and the mm from its edge that say which skin they follow."""
_FOLLOWS = 12.0  # mm over which the skin that the mouth follows counts
_FADE = 0.06  # of the chart's side, over which maps fade out towards its border
_LOWER_CORNERS = (4, 12)  # landmarks of the jaw nearest to the square's lower corners


def face_chart(rig: Rig) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Chart the face of a rig, whatever its own ``face_uv`` says.

    Returns:
        [V, 2] coordinates in [0, 1]², v up, origin bottom left, zero off the chart; [F] the triangles of the chart.
    """
    weld = rig.weld()
    on_chart = _without_spikes(weld[rig.faces], _chosen(rig))
    used, local = np.unique(weld[rig.faces[on_chart]], return_inverse=True)
    triangles = local.reshape(-1, 3).astype(np.int32)
    points = rig.mean[used].astype(np.float64)
    outer, *holes = border_loops(triangles)
    closed: list[NDArray[np.int32]] = [triangles]
    middles: list[NDArray[np.float64]] = []
    for hole in holes:
        centre = len(points) + len(middles)
        middles.append(points[hole].mean(0))
        closed.append(np.array([[centre, b, a] for a, b in zip(hole, hole[1:] + hole[:1], strict=True)], np.int32))
    whole = np.concatenate([points, np.array(middles).reshape(-1, 3)])
    fixed, places = _square(points, outer, rig.mean[rig.landmarks])
    density = np.full(len(whole), _SOCKET)
    density[: len(points)] = _density(rig, points, vertex_normals(Mesh(points, triangles.astype(np.int64))))
    uv = convex_map(whole, np.concatenate(closed), fixed, places, density)[: len(points)]
    number = np.full(rig.vertex_count, -1)
    number[used] = np.arange(len(used))
    chart = np.zeros((rig.vertex_count, 2), np.float32)
    mine = np.unique(rig.faces[on_chart])
    chart[mine] = uv[number[weld[mine]]]
    return chart, on_chart


def _chosen(rig: Rig) -> NDArray[np.bool_]:
    """[F] triangles of the face without those at ears and hairline, but with what is below the jaw's edge."""
    middle = rig.mean[rig.faces].mean(1)
    front = middle[:, 2] > _EARS * rig.mean[rig.landmarks[[0, 16]], 2].mean()
    forehead = rig.regions["hairline"][rig.faces].mean(1) < -_HAIRLINE
    jaw = cKDTree(rig.mean[rig.landmarks[2:15]]).query(middle)[0] < _JAW
    face, neck = rig.face_part == Part.FACE, rig.face_part == Part.NECK
    return np.asarray(front & ((face & forehead) | (neck & jaw)))


def _without_spikes(triangles: NDArray[np.integer], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[F] the chosen triangles without those that a convex border would flatten, all of whose corners lie on it.

    The borders of holes stay as they are: they come to lie inside.
    """
    chosen = chosen.copy()
    holes = np.array([vertex for hole in border_loops(triangles[chosen])[1:] for vertex in hole], np.int64)
    while True:
        numbers = np.flatnonzero(chosen)
        own = triangles[numbers]
        edges = np.concatenate([own[:, [0, 1]], own[:, [1, 2]], own[:, [2, 0]]]).astype(np.int64)
        count = int(triangles.max()) + 1
        there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
        starts = edges[~np.isin(there, back), 0]
        border, often = np.unique(starts, return_counts=True)
        outer = np.isin(own, np.setdiff1d(border, holes))
        # Where the border touches itself, what hangs on there goes, too.
        spikes = outer.all(1) | np.isin(own, border[often > 1]).any(1)
        if not spikes.any():
            return chosen
        chosen[numbers[spikes]] = False


def _density(rig: Rig, points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] wanted linear density: higher about the features, low in the eyes' sockets, whose skin faces the eyeball."""
    marks = rig.mean[rig.landmarks[17:]]
    density = 1.0 + (_CENTRE - 1.0) * np.exp(-((cKDTree(marks).query(points)[0] / _REACH) ** 2))
    for centre, radius in zip(rig.eye_centre, rig.eye_radius, strict=True):
        away = points - centre
        inwards = (away * normals).sum(1) < 0.0
        density[inwards & (np.linalg.norm(away, axis=1) < _INSIDE * radius)] = _SOCKET
    return np.asarray(density)


def _square(
    points: NDArray[np.float64], loop: list[int], landmarks: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The border's vertices and their places on the square's: the hairline above, the jaw's underside below."""
    border = points[loop]
    middle = 0.5 * (border.min(0) + border.max(0))
    size = np.ptp(border, axis=0)
    spread = (border - middle) / size
    corners = [int(np.argmax(side * spread[:, 0] + spread[:, 1])) for side in (-1.0, 1.0)]
    # The rig's x runs to the image's right: landmark 4 is at the image's left.
    corners += [int(np.argmin(np.linalg.norm(border - landmarks[mark], axis=1))) for mark in reversed(_LOWER_CORNERS)]
    ends = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    order = np.argsort(corners)  # along the loop
    places = np.zeros((len(loop), 2))
    for first, second in zip(order, np.roll(order, -1), strict=True):
        start, stop = corners[first], corners[second]
        chain = [(start + step) % len(loop) for step in range((stop - start) % len(loop) + 1)]
        lengths = np.linalg.norm(np.diff(border[chain], axis=0), axis=1)
        share = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
        places[chain[:-1]] = (ends[first] + share[:, None] * (ends[second] - ends[first]))[:-1]
    return np.array(loop, np.int64), places


def chart_vertices(rig: Rig) -> NDArray[np.int64]:
    """The vertices that lie on the face's chart."""
    return np.unique(rig.faces[rig.on_chart]).astype(np.int64)


def at_vertices(rig: Rig, maps: NDArray[np.floating]) -> NDArray[np.float32]:
    """A map [S, S, C] of the face's chart at the rig's vertices, [V, C]; zero at those off the chart."""
    side, chart = len(maps), chart_vertices(rig)
    column, row = rig.face_uv[chart, 0] * side - 0.5, (1.0 - rig.face_uv[chart, 1]) * side - 0.5
    places = np.stack([column, row], axis=-1)[None].astype(np.float32)  # a picture one pixel high
    found = np.zeros((rig.vertex_count, maps.shape[-1]), np.float32)
    found[chart] = sampled(np.ascontiguousarray(maps, np.float32), places).reshape(len(chart), -1)
    return found


def deformed_by(rig: Rig, maps: NDArray[np.floating]) -> NDArray[np.float32]:
    """What a deformation map [S, S, 3] of the face's chart does to the rig's vertices, [V, 3].

    What lies under the face follows the skin around it, or would come through it: eyeballs as a whole, mouth and
    teeth smoothly. The rest of the head stays.
    """
    offsets = at_vertices(rig, maps)
    chart = chart_vertices(rig)
    for part, field, near in _UNDER:
        own, skin = np.flatnonzero(rig.part == part), chart[np.abs(rig.regions[field][chart]) < near]
        if part in _EYES:  # the lids of its own side
            skin = skin[np.sign(rig.mean[skin, 0]) == np.sign(rig.mean[own, 0].mean())]
        reach = np.inf if part in _EYES else _FOLLOWS
        away = np.square(rig.mean[own][:, None] - rig.mean[skin][None]).sum(-1)
        weight = np.exp(-(away - away.min(1, keepdims=True)) / reach**2)
        offsets[own] = weight @ offsets[skin] / weight.sum(1, keepdims=True)
    return offsets


def border_fade(side: int) -> NDArray[np.float32]:
    """[S, S] from 0 at the chart's border to 1, S being ``side``: what lies beyond it has no maps."""
    middle = (np.arange(side) + 0.5) / side
    away = np.minimum(middle, 1.0 - middle)
    t = (np.minimum(away[:, None], away[None, :]) / _FADE).clip(0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def texels_of(uv: NDArray[np.floating], triangles: NDArray[np.integer], side: int) -> Seen:
    """Which triangle each of S×S texels of a chart [V, 2] is on, row 0 being v = 1."""
    points = np.stack([uv[:, 0] * side, (1.0 - uv[:, 1]) * side, np.zeros(len(uv))], axis=1)
    return rasterize(points, triangles, side, side)


@dataclass(frozen=True)
class ChartGrid:
    """A grid of S×S texels over the face's chart; row 0 is the top, texel centres lie at (i + 0.5) / S."""

    corner: NDArray[np.int32]
    """[S, S, 3] vertices of the triangle that each texel is on; off the chart, those of the nearest texel on it."""
    weight: NDArray[np.float32]
    """[S, S, 3] their weights."""
    inside: NDArray[np.bool_]
    """[S, S] texels on the chart."""
    mirror: NDArray[np.float32]
    """[S, S, 2] coordinates (u, v) of the place on the other half of the mean face."""

    @classmethod
    def of(cls, rig: Rig, side: int) -> ChartGrid:
        """The grid of S = ``side`` of a rig's chart."""
        triangles = rig.faces[rig.on_chart]
        seen = texels_of(rig.face_uv, triangles, side)
        inside = seen.triangle >= 0
        nearest = tuple(ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True))
        corner, weight = triangles[seen.triangle[nearest]], seen.weight[nearest]
        rest = (rig.mean[corner] * weight[..., None]).sum(2)
        _, other = cKDTree(rest.reshape(-1, 3)).query(rest.reshape(-1, 3) * [-1.0, 1.0, 1.0])
        row, column = np.divmod(other.reshape(side, side), side)
        mirror = np.stack([(column + 0.5) / side, 1.0 - (row + 0.5) / side], axis=-1)
        return cls(corner.astype(np.int32), weight.astype(np.float32), inside, mirror.astype(np.float32))

    def of_vertices(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vertices' values [V, C] on the grid, [S, S, C]."""
        return np.asarray((values[self.corner] * self.weight[..., None]).sum(2), np.float32)
