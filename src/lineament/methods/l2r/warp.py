# SPDX-License-Identifier: Apache-2.0
"""From canonical maps to a picture: Λ and Π of L2R's equations 1 and 2, as Unsup3D has them.

Space: the camera stands at the origin and looks along -z (x right, y up, z towards the viewer); it sees 10°. A
canonical map is what it sees of the face that looks straight at it: a texel at distance d lies at d (x, y, -1), its x
and y running over ±tan 5°. A view turns and moves that face about the point (0, 0, -1). One unit of length is the
distance of the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from lineament.geometry.mesh import grid_triangles
from lineament.methods.l2r.camera import HALF, MOST_SHIFT, MOST_TURN
from lineament.render.raster import interpolate, rasterize
from lineament.render.shading import lambert
from lineament.render.vectors import cross, unit


@dataclass(frozen=True)
class Warp:
    """What a picture of S×S pixels sees of canonical maps."""

    source: Tensor
    """[B, S, S, 2] where each pixel looks, in [-1, 1], as `grid_sample` takes it."""
    seen: Tensor
    """[B, 1, S, S] bool, where it sees any of them."""

    def of(self, canonical: Tensor) -> Tensor:
        """A canonical map [B, C, h, w] in the picture, [B, C, S, S]; zero where it sees nothing."""
        return F.grid_sample(canonical, self.source, padding_mode="border", align_corners=False) * self.seen


def canonical_points(distance: Tensor) -> Tensor:
    """Places [B, 3, S, S] of canonical distances [B, 1, S, S]: D^uv of equation 5."""
    return distance * _rays(distance.shape[-1], distance.device)


def surface_normals(points: Tensor) -> Tensor:
    """Unit normals [B, 3, S, S] of a surface of points [B, 3, S, S], rows from the top, by central differences."""
    framed = F.pad(points, (1, 1, 1, 1), mode="replicate")
    along = framed[:, :, 1:-1, 2:] - framed[:, :, 1:-1, :-2]
    up = framed[:, :, :-2, 1:-1] - framed[:, :, 2:, 1:-1]
    return unit(1e3 * cross(along, up))  # `unit` takes vectors shorter than 1e-6 for zero


def shaded(albedo: Tensor, normals: Tensor, light: Tensor) -> Tensor:
    """Λ: a face under one light and from all sides alike.

    Args:
        albedo: [B, 3, S, S] in [0, 1].
        normals: [B, 3, S, S] canonical.
        light: [B, 4] in [-1, 1]: how strong the light from all sides is, how strong the other, and that one's x and y
            beside a z of 1.

    Returns:
        [B, 3, S, S], not below zero.
    """
    ambient, directed = (0.5 * light[:, number, None, None, None] + 0.5 for number in (0, 1))
    towards = F.normalize(torch.cat([light[:, 2:], torch.ones_like(light[:, :1])], dim=1), dim=1)
    return albedo * (ambient + directed * lambert(normals, towards))


def rotation_of(view: Tensor) -> Tensor:
    """Rotations [B, 3, 3] of views [B, 6], whose first three numbers are shares of 60° about x, y and z."""
    angles = math.radians(MOST_TURN) * view[:, :3]
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    one, zero = torch.ones_like(cx), torch.zeros_like(cx)
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], dim=1).view(-1, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], dim=1).view(-1, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], dim=1).view(-1, 3, 3)
    return about_z @ about_y @ about_x


def turned(vectors: Tensor, view: Tensor) -> Tensor:
    """Canonical directions [B, 3, S, S] in the camera frame of a view."""
    return torch.einsum("bij,bjhw->bihw", rotation_of(view), vectors)


def viewed(points: Tensor, view: Tensor) -> Tensor:
    """Canonical places [B, 3, S, S] in the camera frame of a view [B, 6], whose last three numbers are shares of 0.1
    along x, y and z.
    """
    centre = points.new_tensor([0.0, 0.0, -1.0]).view(1, 3, 1, 1)
    return turned(points - centre, view) + centre + MOST_SHIFT * view[:, 3:, None, None]


def warp(points: Tensor, view: Tensor, size: int) -> Warp:
    """Π: what a picture sees of a surface, its hidden parts hidden.

    Args:
        points: [B, 3, h, w] canonical.
        view: [B, 6] in [-1, 1].
        size: Side of the picture, pixels.

    Returns:
        Where each pixel looks; gradients reach points and view but for what is seen of the outline.
    """
    rows, columns = points.shape[2:]
    place = viewed(points, view).float()
    x, y, z = place.unbind(1)
    inverse = -1.0 / z.clamp_max(-0.1)
    half = 0.5 * size
    flat = torch.stack([half + half / HALF * x * inverse, half - half / HALF * y * inverse, z], dim=-1).flatten(1, 2)
    triangles = _triangles(rows, columns, points.device)
    fragments = rasterize(flat, triangles, size, size, inverse.flatten(1))
    source = interpolate(_texels(rows, columns, points.device), triangles, fragments)
    return Warp(source.permute(0, 2, 3, 1), fragments.mask[:, None])


def coarse(points: Tensor, scale: int) -> Tensor:
    """Points at a grid a whole number of times coarser, so that fewer triangles are drawn."""
    return points if scale == 1 else F.avg_pool2d(points, scale)


def mirrored(canonical: Tensor) -> Tensor:
    """A canonical map of distances or colours flipped left to right: d' and a' of equation 2."""
    return canonical.flip(-1)


@lru_cache(maxsize=16)
def _rays(size: int, device: torch.device) -> Tensor:
    """[1, 3, S, S], of length 1 along the camera's axis."""
    line = ((torch.arange(size, device=device) + 0.5) * (2.0 / size) - 1.0) * HALF
    y, x = torch.meshgrid(-line, line, indexing="ij")
    return torch.stack([x, y, torch.full_like(x, -1.0)])[None]


@lru_cache(maxsize=16)
def _triangles(rows: int, columns: int, device: torch.device) -> Tensor:
    return torch.from_numpy(grid_triangles(rows, columns)).to(device)


@lru_cache(maxsize=16)
def _texels(rows: int, columns: int, device: torch.device) -> Tensor:
    """[rows · columns, 2] of texels' middles in [-1, 1], x and y down."""
    y, x = ((torch.arange(count, device=device) + 0.5) * (2.0 / count) - 1.0 for count in (rows, columns))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 2)
