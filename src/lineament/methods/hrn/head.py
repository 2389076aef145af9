# SPDX-License-Identifier: Apache-2.0
"""Heads of the shipped rig before the assumed camera, and what the camera sees of them, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.camera import Perspective
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.normals import normalize
from lineament.geometry.raster import Seen, rasterize
from lineament.images.inpaint import sampled
from lineament.methods.hrn.texture import SIDE, weld
from lineament.rig import Rig
from lineament.rig.posing import DISTANCE, FOCAL, head_rotation

Float32 = NDArray[np.float32]


def assumed_camera(side: int) -> Perspective:
    """The camera of a crop of S = ``side`` pixels."""
    return Perspective(FOCAL * side, (0.5 * side, 0.5 * side))


def mesh_of(rig: Rig, coefficients: Mapping[str, NDArray[np.floating]]) -> Mesh:
    """The head M_0 as the camera at the origin sees it, mm."""
    vertices = rig.vertices(coefficients["identity"], coefficients["expression"]).astype(np.float64)
    posed = vertices @ head_rotation(coefficients["angles"]).T + coefficients["translation"]
    return mesh_at(rig, posed)


def mesh_at(rig: Rig, vertices: NDArray[np.floating]) -> Mesh:
    """A head whose vertices [V, 3] are said from the point 1000 mm before the camera, from the camera."""
    moved = np.array(vertices, np.float64)
    moved[:, 2] = np.minimum(moved[:, 2] - DISTANCE, -1.0)  # no head reaches the camera, whatever networks say
    return Mesh(moved, rig.faces.astype(np.int64), rig.uv[rig.faces].astype(np.float64))


def drawn(mesh: Mesh, camera: Perspective, side: int) -> Seen:
    """Which triangle each of S×S pixels sees."""
    points = np.concatenate([camera.project(mesh.vertices), mesh.vertices[:, 2:]], axis=1)
    return rasterize(points, mesh.triangles, side, side, -mesh.vertices[:, 2])


def maps_of(mesh: Mesh, seen: Seen, camera: Perspective, slope: Float32 | None = None) -> tuple[Float32, Float32]:
    """Normals S×S×3 and depth S×S, shares of the side, of what a crop sees; beyond the head they go on flatly.

    Args:
        mesh: The head.
        seen: What is seen of it, `drawn`.
        camera: The crop's.
        slope: [S, S, 5]: what displacement takes from the normals, and the depth in mm that it adds, where it is
            known; the last number is 1 there. See `at_pixels`.
    """
    side = len(seen.triangle)
    values = seen.of(np.concatenate([welded_normals(mesh, weld()), mesh.vertices[:, 2:]], axis=1), mesh.triangles)
    here = seen.triangle >= 0
    normals, z = normalize(values[..., :3]), values[..., 3]
    if slope is not None:
        tilted = normalize(normals - slope[..., :3])
        normals = np.where((slope[..., 4:] > 0) & (tilted[..., 2:] > 0.0), tilted, normals)
        z = z + slope[..., 3] * slope[..., 4] * normals[..., 2]
    normals = np.where(here[..., None], normals, (0.0, 0.0, 1.0))
    scale = camera.focal_length / DISTANCE  # pixels per millimetre at the middle of the head
    depth = (z + DISTANCE) * scale / side
    depth = np.where(here, depth, depth[here].min() if here.any() else 0.0)
    return normals.astype(np.float32), depth.astype(np.float32)


def at_pixels(rig: Rig, seen: Seen, maps: Float32) -> Float32:
    """Maps of the face's chart [T, T, C] at pixels, [S, S, C + 1], the last being 1 where a pixel lies on the chart."""
    on_chart = (seen.triangle >= 0) & rig.on_chart[seen.triangle.clip(0)]
    uv = seen.of(rig.face_uv, rig.faces)
    places = np.stack([uv[..., 0] * SIDE, (1.0 - uv[..., 1]) * SIDE], axis=-1).astype(np.float32) - np.float32(0.5)
    found = sampled(maps, places) * on_chart[..., None]
    return np.concatenate([found, on_chart[..., None]], axis=-1).astype(np.float32)
