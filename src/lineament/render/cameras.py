# SPDX-License-Identifier: Apache-2.0
"""Perspective cameras of a batch of heads, and how heads are turned before them (torch)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class CameraBatch:
    """Perspective cameras of a batch: x_px = principal_x + focal · X / (distance - Z), likewise -Y.

    X, Y, Z are millimetres in the camera frame with its origin at the face's centre; the camera's centre is at
    Z = distance. A vertex v of a person's shape is at ``rotation @ (v - origin)``.
    """

    rotation: Tensor  # [B, 3, 3] rig frame to camera frame
    origin: Tensor  # [B, 3] the shape's point at the camera frame's origin, mm
    distance: Tensor  # [B] mm
    focal: Tensor  # [B] px
    principal: Tensor  # [B, 2] px, x right and y down

    @property
    def scale(self) -> Tensor:
        """Pixels per millimetre at the face's centre, [B]."""
        return self.focal / self.distance

    def select(self, rows: Tensor) -> CameraBatch:
        """The cameras of some samples."""
        return CameraBatch(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def project(vertices: Tensor, camera: CameraBatch) -> tuple[Tensor, Tensor]:
    """Camera-frame points to raster points.

    Args:
        vertices: [B, N, 3] mm, camera frame.
        camera: The batch's cameras.

    Returns:
        Points [B, N, 3] (x right and y down in px, z in mm) and inverse distances [B, N] in 1/mm.
    """
    inverse = 1.0 / (camera.distance[:, None] - vertices[..., 2]).clamp_min(20.0)
    scale = camera.focal[:, None] * inverse
    x = camera.principal[:, None, 0] + scale * vertices[..., 0]
    y = camera.principal[:, None, 1] - scale * vertices[..., 1]
    return torch.stack([x, y, vertices[..., 2]], dim=-1), inverse


def axis_rotation(axis: int, degrees: Tensor) -> Tensor:
    """Right-handed rotations about a coordinate axis, [B] degrees to [B, 3, 3]."""
    angle = degrees * (math.pi / 180.0)
    cosine, sine, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: [one, zero, zero, zero, cosine, -sine, zero, sine, cosine],
        1: [cosine, zero, sine, zero, one, zero, -sine, zero, cosine],
        2: [cosine, -sine, zero, sine, cosine, zero, zero, zero, one],
    }[axis]
    return torch.stack(rows, dim=-1).view(-1, 3, 3)
