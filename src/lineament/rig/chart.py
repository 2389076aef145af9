# SPDX-License-Identifier: Apache-2.0
"""One UV chart for the whole skin: a cut from the nape to the crown, then an injective convex map.

The map fixes the cut mesh's border to a rectangle and makes every other vertex a positive combination of its
neighbours, which is injective (Tutte 1963; Floater, "Parametrization and smooth approximation of surface
triangulations", 1997), with mean value weights (Floater 2003) that are then reweighted to even out the
stretch (Yoshizawa, Belyaev, Seidel, "A fast and simple stretch-minimizing mesh parameterization", SMI 2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

_STRETCH_ROUNDS = 12
# Share of the cut that lies on the two vertical sides of the rectangle; the rest makes the top.
_SIDE_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Chart:
    """A cut mesh with its UV map.

    Attributes:
        source: [M] vertex that each vertex of the cut mesh copies.
        triangles: [F, 3] int32 triangles of the cut mesh, in the order of the input.
        uv: [M, 2] in [0, 1]².
    """

    source: NDArray[np.int64]
    triangles: NDArray[np.int32]
    uv: NDArray[np.float64]


def skin_chart(vertices: NDArray[np.floating], triangles: NDArray[np.int32], density: NDArray[np.floating]) -> Chart:
    """Map a head's skin, a disc whose only border is at the neck, to the unit square.

    The face is in the middle, upright; the seam runs up the back of the head to the crown.

    Args:
        vertices: [V, 3] mm, rig frame.
        triangles: [F, 3] counter-clockwise seen from outside.
        density: [V] wanted linear density of the chart relative to the mean, for example 2 on the face.

    Returns:
        The cut mesh and its coordinates.
    """
    points = np.asarray(vertices, np.float64)
    border = border_loops(triangles)[0]
    path = _cut_path(points, triangles, border)
    source, cut = _cut_open(triangles, path, len(points))
    loop = border_loops(cut)[0]
    fixed, corners = _rectangle(points[source], source, loop, path)
    uv = convex_map(points[source], cut, fixed, corners, np.asarray(density)[source])
    return Chart(source=source, triangles=cut, uv=uv)


def border_loops(triangles: NDArray[np.integer]) -> list[list[int]]:
    """Border loops of an oriented mesh, the longest first, each along the direction of its triangles."""
    half_edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known = {(int(u), int(v)) for u, v in half_edges}
    following = {u: v for u, v in sorted(known) if (v, u) not in known}
    loops = []
    while following:
        start = min(following)
        loop = [start]
        while (vertex := following.pop(loop[-1])) != start:
            loop.append(vertex)
        loops.append(loop)
    return sorted(loops, key=len, reverse=True)


def edge_graph(vertices: NDArray[np.floating], triangles: NDArray[np.integer]) -> csr_matrix:
    """[V, V] symmetric sparse matrix of edge lengths, mm."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    graph = coo_matrix((lengths, (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)
    return csr_matrix(graph + graph.T)


def _cut_path(points: NDArray[np.float64], triangles: NDArray[np.int32], border: list[int]) -> list[int]:
    """Vertices from the middle of the border's back to the crown, along the midline."""
    middle = points[border].mean(0)
    start = min(border, key=lambda i: float(points[i, 2] + 3.0 * abs(points[i, 0] - middle[0])))
    used = np.unique(triangles)
    top = points[used, 1].max()
    crown = points[used][points[used, 1] > top - 0.1 * np.ptp(points[used, 1])].mean(0)
    crown[1] = top
    end = int(used[np.argmin(np.linalg.norm(points[used] - crown, axis=1))])
    graph = edge_graph(points, triangles).tocoo()
    off_midline = 0.5 * np.abs(points[graph.row, 0] + points[graph.col, 0]) / np.ptp(points[used, 0])
    graph.data = graph.data * (1.0 + 100.0 * off_midline)
    inner_border = np.isin(graph.row, border) & np.isin(graph.col, border)
    graph.data[inner_border] *= 1e3  # leave the border at once
    _, before = dijkstra(graph.tocsr(), indices=start, return_predecessors=True)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _cut_open(triangles: NDArray[np.int32], path: list[int], count: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Duplicate the vertices of a path (all but its end) for the triangles on its left side."""
    cut = triangles.astype(np.int32)
    on_path = {frozenset(edge) for edge in pairwise(path)}
    source = list(range(count))
    for step, vertex in enumerate(path[:-1]):
        fan = [int(index) for index in np.flatnonzero((triangles == vertex).any(1))]
        left = {
            index
            for index in fan
            if any(triangles[index, k] == vertex and triangles[index, (k + 1) % 3] == path[step + 1] for k in range(3))
        }
        grown = True
        while grown:
            grown = False
            for index in fan:
                if index not in left and any(
                    frozenset((vertex, int(other))) not in on_path
                    for mate in left
                    for other in set(triangles[index]) & set(triangles[mate]) - {vertex}
                ):
                    left.add(index)
                    grown = True
        for index in left:
            cut[index, triangles[index] == vertex] = len(source)
        source.append(vertex)
    return np.array(source, dtype=np.int64), cut


def _rectangle(
    points: NDArray[np.float64], source: NDArray[np.int64], loop: list[int], path: list[int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Border vertices and their places on the unit square: neck at the bottom, the cut on the other sides."""
    start_right, start_left = (i for i in loop if source[i] == path[0])
    end = next(i for i in loop if source[i] == path[-1])
    ring = loop[loop.index(end) :] + loop[: loop.index(end)]
    first, second = sorted((ring.index(start_right), ring.index(start_left)))
    # The loop runs as its triangles do: from the crown down one copy of the cut, round the neck, and up.
    down, neck, up = ring[: first + 1], ring[first : second + 1], [*ring[second:], end]
    side, top = _SIDE_SHARE, 1.0 - _SIDE_SHARE

    def along(chain: list[int]) -> NDArray[np.float64]:
        steps = np.linalg.norm(np.diff(points[chain], axis=0), axis=1)
        length = np.concatenate([[0.0], np.cumsum(steps)])
        return np.asarray(length / length[-1])

    def on_side(distance: NDArray[np.float64], outer: float) -> NDArray[np.float64]:
        # distance 0 at the crown (top middle), 1 at the neck (bottom corner)
        u = np.where(distance < top, 0.5 + (outer - 0.5) * distance / top, outer)
        v = np.where(distance < top, 1.0, 1.0 - (distance - top) / side)
        return np.column_stack([u, v])

    down_uv = on_side(along(down), 0.0)
    neck_uv = np.column_stack([along(neck), np.zeros(len(neck))])
    up_uv = on_side(1.0 - along(up), 1.0)
    order = np.array(down[:-1] + neck[:-1] + up[:-1], dtype=np.int64)
    return order, np.concatenate([down_uv[:-1], neck_uv[:-1], up_uv[:-1]])


def convex_map(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    fixed: NDArray[np.int64],
    places: NDArray[np.float64],
    density: NDArray[np.floating],
) -> NDArray[np.float64]:
    """[M, 2] coordinates; the round of reweighting with the least stretch wins."""
    row, column, weight = _mean_value_weights(points, triangles)
    count = len(points)
    free = np.setdiff1d(np.arange(count), fixed)
    uv = np.zeros((count, 2))
    uv[fixed] = places
    best, least = uv, np.inf
    for _ in range(_STRETCH_ROUNDS):
        matrix = coo_matrix((weight, (row, column)), shape=(count, count)).tocsr()
        total = np.asarray(matrix.sum(1)).reshape(-1)
        laplacian = csr_matrix((total, (np.arange(count),) * 2), shape=(count, count)) - matrix
        rows = laplacian[free]
        uv = uv.copy()
        uv[free] = splu(rows[:, free].tocsc()).solve(-(rows[:, fixed] @ places))
        stretch, overall = _vertex_stretch(points, triangles, uv, density)
        if overall < least:
            best, least = uv, overall
        weight = weight / np.sqrt(stretch[column])
    return best


def _mean_value_weights(
    points: NDArray[np.float64], triangles: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Floater's mean value weights as rows, columns and values: tan of half angles over edge lengths."""
    rows, columns, values = [], [], []
    for k in range(3):
        centre, first, second = (triangles[:, (k + j) % 3] for j in range(3))
        a, b = points[first] - points[centre], points[second] - points[centre]
        length_a, length_b = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        sine = np.linalg.norm(np.cross(a, b), axis=1)
        half_tangent = sine / np.maximum(length_a * length_b + np.einsum("ij,ij->i", a, b), 1e-9)
        rows += [centre, centre]
        columns += [first, second]
        values += [half_tangent / length_a, half_tangent / length_b]
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values)


def _vertex_stretch(
    points: NDArray[np.float64],
    triangles: NDArray[np.int32],
    uv: NDArray[np.float64],
    density: NDArray[np.floating],
) -> tuple[NDArray[np.float64], float]:
    """Root mean square stretch (3-D length per chart length, times the density) per vertex, and overall."""
    p, q = points[triangles], uv[triangles]
    e1, e2 = q[:, 1] - q[:, 0], q[:, 2] - q[:, 0]
    doubled_uv = np.maximum(e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0], 1e-12)[:, None]
    d1, d2 = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]
    by_u = (d1 * e2[:, 1:] - d2 * e1[:, 1:]) / doubled_uv
    by_v = (d2 * e1[:, :1] - d1 * e2[:, :1]) / doubled_uv
    square = 0.5 * (np.sum(by_u**2, 1) + np.sum(by_v**2, 1)) * density[triangles].mean(1) ** 2
    area = 0.5 * np.linalg.norm(np.cross(d1, d2), axis=1)
    summed, weights = np.zeros(len(points)), np.full(len(points), 1e-12)
    for k in range(3):
        np.add.at(summed, triangles[:, k], square * area)
        np.add.at(weights, triangles[:, k], area)
    overall = float(np.sqrt(np.sum(square * area) / area.sum()))
    return np.sqrt(summed / weights) / overall, overall
