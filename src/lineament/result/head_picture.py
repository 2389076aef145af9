# SPDX-License-Identifier: Apache-2.0
"""Pictures of a head from any side, with its texture or as grey clay (NumPy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lineament.geometry.head import Head
from lineament.geometry.normals import normalize
from lineament.geometry.raster import rasterize
from lineament.images.inpaint import sampled
from lineament.render.preview import shade_normals
from lineament.rig.posing import head_rotation

_MARGIN = 0.06  # of the picture's side, around the head
_LAMP = (-0.35, 0.45, 0.9)
_BACKGROUND = 236


def head_picture(head: Head, yaw: float, side: int, colours: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A head with its expression, S×S×3 RGB, orthographic.

    Args:
        head: The head.
        yaw: Degrees; positive turns it to the picture's right.
        side: S.
        colours: [T, T, 3] its texture, row 0 being v = 1; grey clay under one lamp without it.
    """
    mesh = head.mesh
    rotation = head_rotation([0.0, np.radians(yaw), 0.0])
    upright = mesh.vertices - 0.5 * (mesh.vertices.min(0) + mesh.vertices.max(0))
    scale = (1.0 - 2.0 * _MARGIN) * side / np.ptp(upright[:, 1])
    turned = upright @ rotation.T
    points = np.column_stack(
        [0.5 * side + scale * turned[:, 0], 0.5 * side - scale * turned[:, 1], scale * turned[:, 2]]
    )
    seen = rasterize(points, mesh.triangles, side, side)
    if colours is None:
        normals = head.normals(mesh.vertices) @ rotation.T
        shown = normalize(seen.of(normals, mesh.triangles)).astype(np.float32)
        picture = np.repeat(shade_normals(shown, _LAMP)[..., None], 3, axis=-1)
    else:
        uv, texels = seen.of(head.uv, mesh.triangles), len(colours)
        places = np.stack([uv[..., 0] * texels, (1.0 - uv[..., 1]) * texels], axis=-1).astype(np.float32)
        picture = np.rint(sampled(colours.astype(np.float32), places - np.float32(0.5))).astype(np.uint8)
    return np.where(seen.triangle[..., None] >= 0, picture, np.uint8(_BACKGROUND))
