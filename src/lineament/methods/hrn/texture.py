# SPDX-License-Identifier: Apache-2.0
"""The position map P and the inpainted texture T of a coarse mesh (HRN, section 3.2), in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lineament.geometry.camera import Perspective
from lineament.geometry.mesh import Mesh, welded_normals
from lineament.geometry.raster import rasterize
from lineament.images.inpaint import inpainted, sampled
from lineament.rig import shipped_rig
from lineament.rig.face_chart import ChartGrid
from lineament.rig.regions import smoothstep

Floats = NDArray[np.float32]

SIDE = 256
"""Texels along a side of the maps."""

_GRAZING, _FRONTAL = 0.1, 0.35  # z of the normal from which on, and beyond which, a texel is sure of its colour
_BEHIND = 5.0  # mm behind the nearest surface from which on a point is hidden
_DEPTH_SIDE = 128  # pixels of the picture that tells what hides what
_MIRROR_BLUR = 1.0  # texels: the nearest texel on the other half is a whole number


@dataclass(frozen=True)
class ChartedPhoto:
    """What a photo shows of a mesh, on the face's chart of `SIDE` texels."""

    position: Floats
    """[T, T, 3] mm, in the mesh's frame."""
    texture: NDArray[np.uint8]
    """[T, T, 3] sRGB; what is hidden is filled in."""
    seen: Floats
    """[T, T] from 0, filled in, to 1, as the photo shows it."""


@lru_cache(maxsize=1)
def shipped_grid() -> ChartGrid:
    """The shipped rig's chart at `SIDE` texels."""
    return ChartGrid.of(shipped_rig(), SIDE)


@lru_cache(maxsize=1)
def weld() -> NDArray[np.int64]:
    """The shipped rig's seams, which its normals go over."""
    return shipped_rig().weld()


@lru_cache(maxsize=1)
def _mirror() -> Floats:
    """[T, T, 2] column and row of the texel on the other half, for `sampled`."""
    u, v = np.moveaxis(shipped_grid().mirror, -1, 0)
    places = np.stack([u * SIDE, (1.0 - v) * SIDE], axis=-1) - np.float32(0.5)
    return np.asarray(cv2.GaussianBlur(places.astype(np.float32), (0, 0), _MIRROR_BLUR))


def charted(picture: NDArray[np.uint8], mesh: Mesh, camera: Perspective) -> ChartedPhoto:
    """Lay a photo on the face's chart by a head of the shipped rig.

    What hides the face, hair or hands, is not known here and stays on it.

    Args:
        picture: S×S×3 RGB.
        mesh: The head in the camera frame, mm, its vertices those of the rig.
        camera: Of the picture's pixels.
    """
    side, grid = len(picture), shipped_grid()
    pixels = camera.project(mesh.vertices)
    normals = welded_normals(mesh, weld())
    known = grid.of_vertices(np.concatenate([mesh.vertices, pixels, normals[:, 2:]], axis=1))
    position, places, facing = known[..., :3], known[..., 3:5], known[..., 5]
    inside = ((places >= 0.0) & (places <= side)).all(-1)
    small = np.concatenate([pixels * (_DEPTH_SIDE / side), mesh.vertices[:, 2:]], axis=1)
    nearest = rasterize(small, mesh.triangles, _DEPTH_SIDE, _DEPTH_SIDE, -mesh.vertices[:, 2])
    drawn = nearest.of(mesh.vertices[:, 2:], mesh.triangles)[..., 0]
    depth: Floats = np.where(nearest.triangle >= 0, drawn, -np.inf).astype(np.float32)
    before = sampled(depth, places * np.float32(_DEPTH_SIDE / side) - np.float32(0.5), cv2.INTER_NEAREST)
    seen = smoothstep(_GRAZING, _FRONTAL, facing) * (position[..., 2] > before - _BEHIND) * inside
    colours = sampled(picture.astype(np.float32), places - np.float32(0.5))
    weight = np.asarray(seen, np.float32)
    texture = np.rint(inpainted(colours, weight, _mirror())).clip(0, 255).astype(np.uint8)
    return ChartedPhoto(position, texture, weight)
