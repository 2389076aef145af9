# SPDX-License-Identifier: Apache-2.0
"""Pictures of restored faces: equations 1 and 2 with the restored albedo and the refined shape, from any side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lineament.methods.l2r.camera import MOST_TURN
from lineament.methods.l2r.model import Restored, lit
from lineament.methods.l2r.refinement import Refined
from lineament.methods.l2r.warp import coarse, warp
from lineament.training.augment import Draws

_YAW, _PITCH = 25.0, 12.0  # degrees, spread of the views of the cross-view loss


@dataclass(frozen=True)
class Rendered:
    """Pictures, and where they show anything."""

    image: Tensor
    """[B, 3, S, S] in [0, 1]; zero where nothing is seen."""
    seen: Tensor
    """[B, 1, S, S] bool."""

    @property
    def signed(self) -> Tensor:
        """As a discriminator sees it, in [-1, 1]."""
        return self.hidden_alike(self.image)

    def hidden_alike(self, image: Tensor) -> Tensor:
        """Other pictures as a discriminator sees them, what these do not show left out."""
        return torch.where(self.seen, 2.0 * image - 1.0, 0.0)

    def detached(self) -> Rendered:
        """Without gradient."""
        return Rendered(self.image.detach(), self.seen)


def rendered(
    restored: Restored,
    refined: Refined | None,
    scale: int,
    view: Tensor | None = None,
    light: Tensor | None = None,
    mirror: bool = False,
) -> Rendered:
    """Î of a restored face.

    Args:
        restored: Proxy and albedo.
        refined: The shape; the proxy's if None.
        scale: How much coarser the mesh is than the maps (`lineament.methods.l2r.warp.coarse`).
        view: [B, 6] in place of the proxy's.
        light: [B, 4] likewise.
        mirror: Whether albedo and shape are flipped, for Î'.
    """
    proxy, size = restored.proxy, restored.albedo.shape[-1]
    points, normals = (proxy.points, proxy.normals) if refined is None else (refined.points, refined.normals)
    albedo = restored.albedo
    if mirror:
        albedo = albedo.flip(-1)
        points, normals = (_mirrored(vectors) for vectors in (points, normals))
    finer = points.shape[-1] // proxy.distance.shape[-1]
    seen = warp(coarse(points, scale * finer), proxy.view if view is None else view, size)
    return Rendered(seen.of(lit(albedo, normals, proxy.light if light is None else light)), seen.seen)


def random_view(view: Tensor, draw: Draws) -> Tensor:
    """ω̂: views [B, 6] turned another way, at the faces' own places."""
    pitch, yaw = draw.normal(_PITCH / MOST_TURN), draw.normal(_YAW / MOST_TURN)
    return torch.cat([torch.stack([pitch, yaw], dim=1), view[:, 2:]], dim=1).clamp(-1.0, 1.0)


def random_light(light: Tensor, draw: Draws) -> Tensor:
    """l̂: the lights [B, 4] of other photos of the batch, each one's direction changed a little."""
    turned = torch.stack([draw.normal(0.3), draw.normal(0.3)], dim=1)
    others = light.roll(1, 0)
    return torch.cat([others[:, :2], others[:, 2:] + turned], dim=1).clamp(-1.0, 1.0)


def _mirrored(vectors: Tensor) -> Tensor:
    """Canonical points or normals [B, 3, S, S] flipped left to right."""
    return vectors.flip(-1) * vectors.new_tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
