# SPDX-License-Identifier: Apache-2.0
"""Figures that compare meshes: rigid alignment, distances between surfaces, error per region of the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.datasets.meshes import cast_rays, nearest_on_mesh
from lineament.errors import InputError
from lineament.geometry.angular import angular_error
from lineament.geometry.mesh import Mesh, normals_at, triangle_normals, vertex_normals
from lineament.geometry.normals import normalize
from lineament.geometry.similarity import Similarity, fit_similarity

Floats = NDArray[np.float64]


def moved(mesh: Mesh, motion: Similarity) -> Mesh:
    """A mesh under a similarity."""
    return Mesh(motion(mesh.vertices), mesh.triangles, mesh.corner_uv)


def refine_alignment(
    mesh: Mesh,
    points: Floats,
    own_landmarks: Floats,
    landmarks: Floats,
    iterations: int = 100,
    keypoint_share: float = 1.0,
) -> Similarity:
    """Iterative closest points: the rigid motion that lays a mesh under a scan's points, held by landmarks.

    REALY's regional alignment (rICP): every point's nearest place on the mesh, and the landmarks repeated until they
    weigh ``keypoint_share`` as much as the points; no scale.

    Args:
        mesh: The prediction, already near.
        points: [N, 3] of the scan.
        own_landmarks: [K, 3] on the mesh.
        landmarks: [K, 3] on the scan.
        iterations: At most so many.
        keypoint_share: Weight of all landmarks beside that of all points.
    """
    repeats = max(1, int(keypoint_share * len(points) / max(1, len(landmarks))))
    target = np.concatenate([points, *[landmarks] * repeats])
    current = Similarity(1.0, np.eye(3), np.zeros(3))
    before = np.inf
    for _ in range(iterations):
        here = moved(mesh, current)
        nearest, _, _ = nearest_on_mesh(points, here)
        source = np.concatenate([nearest, *[current(own_landmarks)] * repeats])
        step = fit_similarity(source, target, with_scale=False)
        error = float(((step(source) - target) ** 2).sum(axis=1).mean())
        current = Similarity(1.0, step.rotation @ current.rotation, step(current.translation[None])[0])
        if abs(before - error) < 1e-6:  # as in its programme
            break
        before = error
    return current


def scan_to_mesh_distance(scan: ArrayLike, mesh: Mesh) -> Floats:
    """Distance of every scan point [N, 3] to the mesh's surface (NoW; HRN, tables 2 and 4), in their unit."""
    points = np.asarray(scan, np.float64)
    nearest, _, _ = nearest_on_mesh(points, mesh)
    return np.asarray(np.linalg.norm(nearest - points, axis=1))


def chamfer_distance(first: Mesh, second: Mesh) -> float:
    """Mean over the vertices of both meshes of the distance to the other's surface (FaceScape's benchmark)."""
    valid = scan_to_mesh_distance(first.vertices, second)
    back = scan_to_mesh_distance(second.vertices, first)
    return float(np.concatenate([valid, back]).mean())


def mean_normal_error(truth: Mesh, predicted: Mesh, largest_distance: float = np.inf) -> float:
    """Mean angle, radians, between the normals at the truth's vertices and at the nearest places of the prediction.

    FaceScape's benchmark compares normals where rays from a cylinder's axis meet both surfaces, and shifts all normals
    by one before it takes angles between them, which makes its angles several times smaller than they are; metrics of
    this function are true angles, so they must not be set beside published ones. `facescape_normal_error` repeats what
    the benchmark computes.

    Args:
        truth: The scan.
        predicted: Aligned with it.
        largest_distance: Vertices further from the prediction are left out.
    """
    nearest, triangle, weights = nearest_on_mesh(truth.vertices, predicted)
    near = np.linalg.norm(nearest - truth.vertices, axis=1) <= largest_distance
    if not near.any():
        raise InputError("the prediction lies too far from the truth to be compared")
    return float(
        np.radians(angular_error(normals_at(predicted, triangle, weights), vertex_normals(truth))[near]).mean()
    )


@dataclass(frozen=True)
class Unrolled:
    """A head on a cylinder around its upright axis."""

    radius: Floats
    """[S, S] distance from the axis, millimetres; not a number where there is nothing."""
    normals: Floats
    """[S, S, 3] of the triangles that are met, in the head's frame."""


def unroll(mesh: Mesh, size: int = 256, half_height: float = 150.0) -> Unrolled:
    """A mesh in the head's frame (y up, face along z) as seen from outside towards the y axis (FaceScape's benchmark).

    Row 0 is ``half_height`` millimetres above the origin; columns go round once, beginning at the back of the head.
    """
    angle = np.arange(size) * 2.0 * np.pi / (size - 1)
    outwards = np.stack([-np.sin(angle), np.zeros(size), -np.cos(angle)], axis=1)
    far = 2.0 * float(np.abs(mesh.vertices).max()) + half_height
    origins = far * np.tile(outwards, (size, 1))
    origins[:, 1] = np.repeat(np.linspace(half_height, -half_height, size), size)
    triangle, _, distance = cast_rays(mesh, origins, -np.tile(outwards, (size, 1)))
    hit = (triangle >= 0) & (np.nan_to_num(distance, nan=far) < far)  # the wall behind the axis is no outside
    radius = np.where(hit, far - distance, np.nan)
    normals = normalize(triangle_normals(mesh))[triangle] * hit[:, None]
    return Unrolled(radius.reshape(size, size), normals.reshape(size, size, 3))


def rolled(radius: Floats, mask: NDArray[np.bool_], half_height: float = 150.0, gap: float = 15.0) -> Mesh:
    """The inverse of `unroll`: a grid of triangles, open where neighbours are more than ``gap`` millimetres apart."""
    size = len(radius)
    angle = np.arange(size) * 2.0 * np.pi / (size - 1)
    r = np.where(mask, radius, 0.0)
    height = np.repeat(np.linspace(half_height, -half_height, size)[:, None], size, axis=1)
    vertices = np.stack([-np.sin(angle) * r, height, -np.cos(angle) * r], axis=-1).reshape(-1, 3)
    corner = np.stack([r[:-1, :-1], r[:-1, 1:], r[1:, :-1], r[1:, 1:]])
    whole = mask[:-1, :-1] & mask[:-1, 1:] & mask[1:, :-1] & mask[1:, 1:] & (np.ptp(corner, axis=0) < gap)
    if not whole.any():
        raise InputError("the prediction does not overlap the truth")
    row, column = np.nonzero(whole)
    a = row * size + column
    triangles = np.concatenate([np.stack([a, a + size, a + 1], 1), np.stack([a + size, a + size + 1, a + 1], 1)])
    used, renumbered = np.unique(triangles, return_inverse=True)
    return Mesh(vertices[used], renumbered.reshape(-1, 3).astype(np.int64))


def facescape_normal_error(truth: ArrayLike, predicted: ArrayLike, mask: ArrayLike) -> float:
    """MNE as FaceScape's benchmark (and HRN's table 1) computes it from normals on a common cylinder, radians.

    Args:
        truth: Normals [H, W, 3] of the scan, unrolled onto a cylinder.
        predicted: Normals [H, W, 3] of the prediction, likewise.
        mask: [H, W], non-zero where both exist.
    """
    inside = np.asarray(mask) != 0
    a, b = (normalize(np.asarray(n, np.float64)[inside] + 1.0) for n in (truth, predicted))
    return float(np.arccos(np.clip((a * b).sum(axis=1), -1.0, 1.0)).mean())
