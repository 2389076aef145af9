# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes: their normals, and the mesh of a depth map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lineament.errors import DataError, InputError
from lineament.geometry.camera import Camera, ScaledOrthography, pixel_centres
from lineament.geometry.normals import known_depth, normalize

STEEPEST = 6.0
"""Steps in depth between neighbouring pixels, in pixels, from which on a surface is cut: slopes of about 80°."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, such as a scan."""

    vertices: NDArray[np.float64]
    """[V, 3], millimetres unless the dataset says otherwise."""
    triangles: NDArray[np.int64]
    """[T, 3] indices of vertices, counter-clockwise seen from outside."""
    corner_uv: NDArray[np.float64] | None = None
    """[T, 3, 2] texture coordinates of the triangles' corners, origin bottom left, where the file has them."""

    def __post_init__(self) -> None:
        v, t = self.vertices, self.triangles
        if v.ndim != 2 or v.shape[1] != 3 or t.ndim != 2 or t.shape[1] != 3 or not len(t):
            raise DataError(f"a mesh needs vertices [V, 3] and triangles [T, 3], got {v.shape} and {t.shape}")
        if not np.isfinite(v).all() or t.min() < 0 or t.max() >= len(v):
            raise DataError("the mesh has vertices that are no numbers, or triangles without vertices")
        if self.corner_uv is not None and self.corner_uv.shape != (len(t), 3, 2):
            raise DataError(f"texture coordinates {self.corner_uv.shape} do not fit {len(t)} triangles")


def triangle_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Normals [T, 3] of the triangles, as long as twice their area."""
    corners = mesh.vertices[mesh.triangles]
    return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))


def normals_at(
    mesh: Mesh, triangle: NDArray[np.int64], weights: NDArray[np.float64], whole: Mesh | None = None
) -> NDArray[np.float64]:
    """Interpolated vertex normals [N, 3], unit, at places given by triangle [N] and barycentric weights [N, 3].

    ``whole`` is the mesh with the same vertices of which ``mesh`` is a part, whose edges would bend.
    """
    return normalize((vertex_normals(whole or mesh)[mesh.triangles[triangle]] * weights[:, :, None]).sum(axis=1))


def vertex_normals(mesh: Mesh) -> NDArray[np.float64]:
    """Unit normals [V, 3]: means of the triangles around, weighted by their area."""
    crossed = triangle_normals(mesh)
    sums = np.zeros_like(mesh.vertices)
    for corner in range(3):
        np.add.at(sums, mesh.triangles[:, corner], crossed)
    return normalize(sums)


def welded_normals(mesh: Mesh, weld: NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit normals [V, 3] as if vertices on seams were one: ``weld`` [V] names the first vertex at each one's place."""
    return vertex_normals(Mesh(mesh.vertices, weld[mesh.triangles]))[weld]


def depth_to_mesh(
    depth: ArrayLike,
    mask: ArrayLike | None = None,
    camera: Camera | None = None,
    steepest: float = STEEPEST,
) -> Mesh:
    """The surface of a depth map: a vertex per pixel, two triangles per four neighbours.

    Squares with an unknown corner are left out, and so are those over which depth jumps: there one surface hides
    another. Each square is split along the diagonal over which depth changes less.

    Args:
        depth: [H, W], the z coordinate in the camera frame, larger is nearer, in the camera's unit of length.
        mask: [H, W], non-zero where depth is known; everywhere when left out. Pixels that are not finite are left out.
        camera: The camera; scaled orthography of one unit per pixel when left out.
        steepest: Largest step between neighbours, in steps of a pixel in the image plane.

    Returns:
        The mesh in the camera frame, triangles counter-clockwise as the camera sees them; the texture coordinates are
        those of the whole picture, origin bottom left. Vertices without a triangle are left out.

    Raises:
        InputError: Wrong shapes, or nothing is left of the surface.
    """
    z, known = known_depth(depth, mask)
    height, width = z.shape
    pixels = pixel_centres(height, width)
    filled = np.where(known, z, z[known].mean() if known.any() else 0.0)
    points = (camera or ScaledOrthography()).unproject(pixels, filled)

    def corner(values: NDArray[np.generic], row: int, column: int) -> NDArray[np.generic]:
        return values[row : height - 1 + row, column : width - 1 + column]

    numbers = np.arange(height * width).reshape(height, width)
    # Upper left, lower left, lower right, upper right: counter-clockwise as seen, y being up.
    around = ((0, 0), (1, 0), (1, 1), (0, 1))
    whole = np.logical_and.reduce([corner(known, *place) for place in around])
    ring = np.stack([points[row : height - 1 + row, column : width - 1 + column] for row, column in around])
    steps = np.roll(ring, -1, axis=0) - ring  # [4, H-1, W-1, 3]
    across = np.linalg.norm(steps[..., :2], axis=-1)
    whole &= (np.abs(steps[..., 2]) <= steepest * across).all(axis=0)
    if not whole.any():
        raise InputError("no four neighbouring pixels of the depth map are known and lie on one surface")
    a, b, c, d = (corner(numbers, *place)[whole] for place in around)
    falling = np.abs(ring[0, ..., 2] - ring[2, ..., 2])[whole] <= np.abs(ring[1, ..., 2] - ring[3, ..., 2])[whole]
    first = np.where(falling[:, None], np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(falling[:, None], np.stack([a, c, d], -1), np.stack([b, c, d], -1))
    triangles = np.concatenate([first, second])
    used, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3).astype(np.int64)
    uv = (pixels / np.array([width, height])).reshape(-1, 2)[used]
    uv[:, 1] = 1.0 - uv[:, 1]
    return Mesh(points.reshape(-1, 3)[used], triangles, uv[triangles])


def grid_triangles(rows: int, columns: int) -> NDArray[np.int64]:
    """Triangles [T, 3] between the points of a grid, numbered row by row from the top; counter-clockwise as seen."""
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    return np.concatenate([np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, c, b), (b, c, d))])
