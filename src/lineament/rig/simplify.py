# SPDX-License-Identifier: Apache-2.0
"""Mesh simplification that keeps a subset of the vertices, so that every basis carries over exactly.

Half-edge collapses in order of a cost that mixes the edge's length, relative to a wanted edge length per
vertex, with the quadric error of Garland and Heckbert, "Surface simplification using quadric error metrics"
(SIGGRAPH 1997); after them Delaunay flips round the triangles off.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

# Quadric error, as a share of the wanted edge length, that costs as much as an edge of the wanted length.
_ERROR_SHARE = 0.04
# A collapse may not turn a triangle further than this, nor make one thinner than this (1 is equilateral).
_MIN_NORMAL_COSINE = 0.5
_MIN_QUALITY = 0.2
# Edges flatter than this may be flipped.
_FLAT_COSINE = 0.9


def simplify(
    vertices: NDArray[np.floating],
    triangles: NDArray[np.integer],
    target_count: int,
    edge_length: NDArray[np.floating],
    label: NDArray[np.integer] | None = None,
    locked: NDArray[np.integer] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """Reduce a manifold triangle mesh to a subset of its vertices.

    Borders of the mesh and lines between different labels stay lines: a vertex on one moves along it only.

    Args:
        vertices: [N, 3] positions, mm.
        triangles: [T, 3] vertex indices; vertices that no triangle uses are dropped.
        target_count: Wanted number of vertices; more remain when no collapse is allowed any more.
        edge_length: [N] wanted edge length around each vertex, mm; only ratios matter.
        label: [T] part of each triangle, None for one part.
        locked: Vertices that must stay.

    Returns:
        kept: [M] source index of each remaining vertex, ascending.
        triangles: [F, 3] int32 indices into `kept`.
        labels: [F] label of each remaining triangle.
    """
    labels = np.zeros(len(triangles), np.int64) if label is None else np.asarray(label, dtype=np.int64)
    mesh = _Mesh(np.asarray(vertices, np.float64), np.asarray(triangles), labels, np.asarray(edge_length))
    if locked is not None:
        mesh.locked.update(int(index) for index in locked)
    mesh.collapse_to(target_count)
    mesh.flip_to_delaunay()
    alive = sorted(mesh.triangles)
    faces = np.array([mesh.triangles[index] for index in alive], dtype=np.int64).reshape(-1, 3)
    kept, compact = np.unique(faces, return_inverse=True)
    return kept, compact.reshape(-1, 3).astype(np.int32), labels[alive]


class _Mesh:
    """Triangles with vertex adjacency, edited in place."""

    def __init__(
        self,
        points: NDArray[np.float64],
        triangles: NDArray[np.integer],
        labels: NDArray[np.int64],
        edge_length: NDArray[np.floating],
    ) -> None:
        self.points, self.labels, self.edge_length = points, labels, edge_length
        self.triangles: dict[int, tuple[int, int, int]] = {
            index: (int(a), int(b), int(c)) for index, (a, b, c) in enumerate(triangles)
        }
        self.around: dict[int, set[int]] = defaultdict(set)
        for index, corners in self.triangles.items():
            for corner in corners:
                self.around[corner].add(index)
        self.features = self._feature_edges()
        self.locked = {vertex for vertex, others in self.features.items() if len(others) != 2}
        self.quadrics, self.areas = self._quadrics(triangles)

    def _feature_edges(self) -> dict[int, set[int]]:
        """Vertices on borders and label lines -> their neighbours along those lines."""
        sides: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, (a, b, c) in self.triangles.items():
            for u, v in ((a, b), (b, c), (c, a)):
                sides[min(u, v), max(u, v)].append(index)
        features: dict[int, set[int]] = defaultdict(set)
        for (u, v), owners in sides.items():
            if len(owners) != 2 or self.labels[owners[0]] != self.labels[owners[1]]:
                features[u].add(v)
                features[v].add(u)
        return features

    def _quadrics(self, triangles: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[N, 4, 4] area-weighted plane quadrics and [N] their areas, with planes that hold feature lines."""
        corners = self.points[triangles]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        doubled = np.linalg.norm(cross, axis=1)
        normals = cross / np.maximum(doubled, 1e-12)[:, None]
        planes = np.column_stack([normals, -np.einsum("ij,ij->i", normals, corners[:, 0])])
        weighted = planes[:, :, None] * planes[:, None, :] * doubled[:, None, None]
        quadrics = np.zeros((len(self.points), 4, 4))
        areas = np.zeros(len(self.points))
        for corner in range(3):
            np.add.at(quadrics, triangles[:, corner], weighted)
            np.add.at(areas, triangles[:, corner], doubled)
        for index, owner in self.triangles.items():
            for u, v in zip(owner, owner[1:] + owner[:1], strict=True):
                if v in self.features.get(u, ()):
                    along = self.points[v] - self.points[u]
                    across = np.cross(along, normals[index])
                    across /= max(float(np.linalg.norm(across)), 1e-12)
                    plane = np.append(across, -across @ self.points[u])
                    quadric = np.outer(plane, plane) * float(along @ along)
                    quadrics[u] += quadric
                    quadrics[v] += quadric
        return quadrics, np.maximum(areas, 1e-12)

    def neighbours(self, vertex: int) -> set[int]:
        found = {corner for index in self.around[vertex] for corner in self.triangles[index]}
        found.discard(vertex)
        return found

    def cost(self, gone: int, kept: int) -> float:
        """Cost of moving `gone` onto `kept`: 1 at the wanted edge length without any error."""
        wanted = 0.5 * float(self.edge_length[gone] + self.edge_length[kept])
        step = self.points[gone] - self.points[kept]
        target = np.append(self.points[kept], 1.0)
        square = float(target @ (self.quadrics[gone] + self.quadrics[kept]) @ target)
        error = max(square, 0.0) / float(self.areas[gone] + self.areas[kept])
        return float(step @ step) / wanted**2 + error / (_ERROR_SHARE * wanted) ** 2

    def allowed(self, gone: int, kept: int) -> bool:
        """Whether a collapse keeps the mesh manifold, its feature lines, and its triangles' orientation."""
        if gone in self.locked:
            return False
        if gone in self.features and kept not in self.features[gone]:
            return False
        shared = self.around[gone] & self.around[kept]
        if len(self.neighbours(gone) & self.neighbours(kept)) != len(shared) or not shared:
            return False
        moved = [self.triangles[index] for index in self.around[gone] - shared]
        if not moved:
            return False
        before = np.array(moved)
        after = np.where(before == gone, kept, before)
        old, new = self._cross(before), self._cross(after)
        old_length, new_length = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
        cosine = np.einsum("ij,ij->i", old, new) / np.maximum(old_length * new_length, 1e-12)
        if cosine.min() < _MIN_NORMAL_COSINE:
            return False
        worst_before, worst_after = self._quality(before).min(), self._quality(after).min()
        return bool(worst_after > min(_MIN_QUALITY, float(worst_before)))

    def _cross(self, corners: NDArray[np.integer]) -> NDArray[np.float64]:
        a, b, c = (self.points[corners[:, k]] for k in range(3))
        return np.asarray(np.cross(b - a, c - a))

    def _quality(self, corners: NDArray[np.integer]) -> NDArray[np.float64]:
        """Shape of triangles, 1 for equilateral and 0 for degenerate ones."""
        p = self.points[corners]
        squares = np.sum((p - np.roll(p, 1, axis=1)) ** 2, axis=(1, 2))
        doubled = np.linalg.norm(self._cross(corners), axis=1)
        return np.asarray(2.0 * np.sqrt(3.0) * doubled / np.maximum(squares, 1e-12))

    def collapse_to(self, target_count: int) -> None:
        """Collapse the cheapest half-edges until `target_count` vertices remain."""
        version = dict.fromkeys(self.around, 0)
        heap: list[tuple[float, int, int, int]] = []

        def push(gone: int, kept: int) -> None:
            if gone not in self.locked:
                stamp = version[gone] + version[kept]
                heapq.heappush(heap, (self.cost(gone, kept), gone, kept, stamp))

        for vertex in sorted(self.around):
            for other in sorted(self.neighbours(vertex)):
                push(vertex, other)
        remaining = len(self.around)
        while heap and remaining > target_count:
            _, gone, kept, stamp = heapq.heappop(heap)
            if gone not in version or kept not in version or version[gone] + version[kept] != stamp:
                continue
            if not self.allowed(gone, kept):
                continue
            self._collapse(gone, kept)
            del version[gone]
            remaining -= 1
            ring = sorted(self.neighbours(kept))
            version[kept] += 1
            for other in ring:
                version[other] += 1
            changed = {kept, *ring}
            for vertex in sorted(changed):
                for other in sorted(self.neighbours(vertex)):
                    push(vertex, other)
                    if other not in changed:
                        push(other, vertex)

    def _collapse(self, gone: int, kept: int) -> None:
        for index in self.around.pop(gone):
            corners = self.triangles[index]
            if kept in corners:
                del self.triangles[index]
                for corner in corners:
                    if corner != gone:
                        self.around[corner].discard(index)
            else:
                a, b, c = (kept if corner == gone else corner for corner in corners)
                self.triangles[index] = (a, b, c)
                self.around[kept].add(index)
        self.quadrics[kept] += self.quadrics[gone]
        self.areas[kept] += self.areas[gone]
        if gone in self.features:
            for other in self.features.pop(gone):
                self.features[other].discard(gone)
                if other != kept:
                    self.features[other].add(kept)
                    self.features[kept].add(other)

    def flip_to_delaunay(self, passes: int = 6) -> None:
        """Flip flat edges whose opposite angles sum to more than half a turn."""
        for _ in range(passes):
            flipped = sum(self._flip(*edge) for edge in self._flip_candidates())
            if not flipped:
                return

    def _flip_candidates(self) -> list[tuple[int, int]]:
        edges = {
            (min(u, v), max(u, v))
            for a, b, c in self.triangles.values()
            for u, v in ((a, b), (b, c), (c, a))
            if v not in self.features.get(u, ())
        }
        return sorted(edges)

    def _flip(self, u: int, v: int) -> bool:
        owners = sorted(self.around[u] & self.around[v])
        if len(owners) != 2:
            return False
        first, second = owners
        corners = self.triangles[first]
        start = corners.index(u)
        if corners[(start + 1) % 3] != v:
            u, v = v, u
        (p,) = set(corners) - {u, v}
        (q,) = set(self.triangles[second]) - {u, v}
        if p == q or self.around[p] & self.around[q]:
            return False
        if self._angle(p, u, v) + self._angle(q, u, v) <= np.pi + 1e-6:
            return False
        old = self._cross(np.array([[u, v, p], [v, u, q]]))
        new = self._cross(np.array([[p, q, v], [q, p, u]]))
        old /= np.maximum(np.linalg.norm(old, axis=1, keepdims=True), 1e-12)
        new /= np.maximum(np.linalg.norm(new, axis=1, keepdims=True), 1e-12)
        if old[0] @ old[1] < _FLAT_COSINE or (new @ old.sum(0) / 2.0).min() < _FLAT_COSINE:
            return False
        self.triangles[first], self.triangles[second] = (p, q, v), (q, p, u)
        self.around[u].discard(first)
        self.around[v].discard(second)
        self.around[v].add(first)
        self.around[u].add(second)
        self.around[p].add(second)
        self.around[q].add(first)
        return True

    def _angle(self, apex: int, u: int, v: int) -> float:
        a, b = self.points[u] - self.points[apex], self.points[v] - self.points[apex]
        return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))
