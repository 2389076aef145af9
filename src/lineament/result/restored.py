# SPDX-License-Identifier: Apache-2.0
"""A restored face as pictures: its crop, the same from other sides, and under other lights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lineament.errors import UsageError
from lineament.geometry.mesh import grid_triangles
from lineament.geometry.raster import rasterize
from lineament.methods.discovery import all_methods
from lineament.render.preview import LIGHTS, shade_normals
from lineament.result.crop_estimate import CropEstimate

TURN = 45.0
"""Degrees to either side, and up and down (L2R, section 5)."""
_HEIGHT = 150.0  # millimetres of a face that a view shows, above and below its middle together
_GREY = 96  # of what a view does not show


def restored_picture(estimate: CropEstimate) -> NDArray[np.uint8]:
    """The crop as a better photo would show it, S×S×3 RGB.

    Raises:
        UsageError: The method restores no photos.
    """
    if estimate.restored is None:
        raise _given_by_others("restored photo")
    return np.asarray(np.rint(255.0 * estimate.restored).clip(0, 255), np.uint8)


def turned_views(estimate: CropEstimate, size: int = 256) -> list[NDArray[np.uint8]]:
    """The restored face from its own side, from the front, turned to its left and right, and nodding down and up.

    Args:
        estimate: What the method said.
        size: Side of each picture, pixels.

    Returns:
        [S, S, 3] RGB each, grey where nothing is known.

    Raises:
        UsageError: The method gives no coloured positions.
    """
    points, colours, rotation = estimate.position_map, estimate.texture_map, estimate.rotation
    if points is None or colours is None or rotation is None:
        raise _given_by_others("other views")
    rows, columns = points.shape[:2]
    inner = points[rows // 4 : -rows // 4, columns // 4 : -columns // 4].reshape(-1, 3)
    middle = np.median(inner, axis=0)
    straight = (points.reshape(-1, 3) - middle) @ rotation
    turns = [rotation.astype(np.float64), np.eye(3)]
    turns += [Rotation.from_euler("y", angle, degrees=True).as_matrix() for angle in (TURN, -TURN)]
    turns += [Rotation.from_euler("x", angle, degrees=True).as_matrix() for angle in (TURN, -TURN)]
    return [_drawn(straight @ turn.T, colours, size) for turn in turns]


def relit_pictures(estimate: CropEstimate) -> list[NDArray[np.uint8]]:
    """The face's albedo under each of `lineament.render.preview.LIGHTS`, S×S×3 RGB.

    Raises:
        UsageError: The method gives no albedo.
    """
    if estimate.albedo is None:
        raise _given_by_others("albedo of its own")
    normals = estimate.normals[-1]
    shown = np.ones(normals.shape[:2], np.bool_)
    shades = [shade_normals(normals, light, shown)[..., None] / 255.0 for light in LIGHTS]
    return [np.asarray(np.rint(255.0 * (estimate.albedo * shade).clip(0.0, 1.0)), np.uint8) for shade in shades]


def views_sheet(estimate: CropEstimate, size: int = 256) -> NDArray[np.uint8]:
    """`turned_views` above the restored crop, its albedo and `relit_pictures`, RGB."""
    import cv2

    albedo = relit_pictures(estimate)
    assert estimate.albedo is not None
    flat = np.asarray(np.rint(255.0 * estimate.albedo).clip(0, 255), np.uint8)
    below = [restored_picture(estimate), flat, *albedo]
    shown = [np.asarray(cv2.resize(picture, (size, size)), np.uint8) for picture in below]
    rows = [np.concatenate(row, axis=1) for row in (turned_views(estimate, size), shown)]
    return np.concatenate(rows)


def _given_by_others(wanted: str) -> UsageError:
    able = " or ".join(name for name, method in all_methods().items() if method.restores)
    return UsageError(f"this method gives no {wanted}: take {able} (--method)")


def _drawn(points: NDArray[np.float64], colours: NDArray[np.float32], size: int) -> NDArray[np.uint8]:
    """Coloured points of a grid, millimetres, as a mesh seen from far."""
    rows, columns = colours.shape[:2]
    scale = 0.5 * size / _HEIGHT
    pixels = np.column_stack([0.5 * size + scale * points[:, 0], 0.5 * size - scale * points[:, 1], points[:, 2]])
    triangles = grid_triangles(rows, columns)
    seen = rasterize(pixels, triangles, size, size)
    picture = np.rint(255.0 * seen.of(colours.reshape(-1, colours.shape[-1]), triangles)).clip(0, 255)
    return np.where(seen.triangle[..., None] >= 0, picture, _GREY).astype(np.uint8)
